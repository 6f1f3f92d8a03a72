package pipeline

import (
	"bytes"
	"slices"
	"strconv"

	"deskhouse/source"
	"deskhouse/source/webhook"
)

// checkApplied holds a checkpoint against rule 8: a record that an event up to
// it told whole is in the warehouse, or a re-read of it is stored.
func (w *world) checkApplied(upTo uint64) {
	log, inMemory := w.log.(*memLog)
	if !w.cfg.Trust || !inMemory {
		return
	}
	log.mu.Lock()
	msgs := slices.Clone(log.msgs)
	log.mu.Unlock()
	for _, m := range msgs {
		if m.Seq <= w.checked || m.Seq > upTo {
			continue
		}
		events, err := webhook.DecodeGroup(m.Data)
		if err != nil {
			continue // planted
		}
		for _, ev := range events {
			w.checkEvent(m.Seq, ev)
		}
		w.checked = m.Seq
	}
}

func (w *world) checkEvent(seq uint64, ev webhook.Event) {
	kind, ours := eventTables[ev.Type]
	p, err := ev.Decode()
	if !ours || err != nil || ev.Kind == webhook.Hint {
		return
	}
	rec, err := source.ParseRecord(source.Lookup(kind.table), "", p.Record)
	if err != nil || rec.Created == 0 || p.TimeMS > w.portal.Now().UnixMilli() {
		return // a part of a payload, or from the future: a hint, whose re-read may be settled without a row
	}
	if w.wh.row(kind.table, rec.Key.ID).Version != 0 {
		return
	}
	for _, key := range stored(w.kv, "reread.") {
		w.kv.mu.Lock()
		value := w.kv.m[key]
		w.kv.mu.Unlock()
		if bytes.Contains(value, strconv.AppendUint(nil, rec.Key.ID, 10)) {
			return
		}
	}
	w.fail("log message %d counts as applied, and %s %s of its %s is nowhere", seq, kind.table, rec.Key, ev.Type)
}
