package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"deskhouse/source"
)

// What follows is the stored form of the queue of re-reads: chunks of entries,
// written before what asks for them is confirmed and deleted once every entry is
// settled.

// chunk is the stored form: what one batch asked for.
type chunk struct {
	Table   source.Table `json:"table"`
	Entries []entry      `json:"entries"`
}

type entry struct {
	ID       uint64               `json:"id"`
	Reason   source.Contradiction `json:"reason"`
	Modified int64                `json:"modified,omitempty"`
}

// load takes over what an earlier run left open.
func (q *rereads) load(ctx context.Context) error {
	stored, err := q.kv.List(ctx, q.prefix)
	if err != nil {
		return fmt.Errorf("load re-reads: %w", err)
	}
	for key, value := range stored {
		n, err := strconv.ParseUint(strings.TrimPrefix(key, q.prefix), 10, 64)
		if err != nil {
			return fmt.Errorf("load re-reads: key %q: %w", key, err)
		}
		var c chunk
		if err := json.Unmarshal(value, &c); err != nil {
			return fmt.Errorf("load re-reads: %s cannot be read: %w", key, err)
		}
		q.mu.Lock()
		q.next = max(q.next, n+1)
		q.mu.Unlock()
		q.begin([]asked{{c, n}}, nil)
	}
	return nil
}

// asked is a chunk whose re-reads have not begun; n is 0 when it is not stored.
type asked struct {
	chunk
	n uint64
}

// keep stores hints durably without reading them yet: a re-read must begin
// after the evidence that asks for it is in the warehouse, or its reply could
// count as older. begin lets them go. A record that is queued already is stored
// once more, since its read may be under way by then.
func (q *rereads) keep(ctx context.Context, t source.Table, hints []hint) ([]asked, error) {
	var all []asked
	for entries := range slices.Chunk(entriesOf(t, hints), chunkEntries) {
		a, err := q.store(ctx, chunk{t, entries})
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// chunkEntries bounds a stored chunk to some 350 KB, well below what any server
// takes as one value.
const chunkEntries = 5000

func (q *rereads) store(ctx context.Context, c chunk) (asked, error) {
	a := asked{chunk: c}
	value, err := json.Marshal(a.chunk)
	if err != nil {
		return a, err
	}
	q.mu.Lock()
	a.n = q.next
	q.next++
	q.mu.Unlock()
	if err := q.kv.Save(ctx, fmt.Sprintf("%s%d", q.prefix, a.n), value); err != nil {
		return a, fmt.Errorf("queue %d re-reads of %s: %w", len(c.Entries), c.Table, err)
	}
	return a, nil
}

// entriesOf drops repeats. Organization fields have no GET by key: their next
// full list is the re-read.
func entriesOf(t source.Table, hints []hint) []entry {
	if t == source.OrganizationFields {
		return nil
	}
	var entries []entry
	at := map[uint64]int{}
	for _, h := range hints {
		if i, ok := at[h.key.ID]; ok {
			entries[i].Modified = max(entries[i].Modified, h.modified)
			continue
		}
		at[h.key.ID] = len(entries)
		entries = append(entries, entry{h.key.ID, h.reason, h.modified})
	}
	return entries
}

// forget deletes the stored chunks that are settled.
func (q *rereads) forget(ctx context.Context) error {
	q.mu.Lock()
	settled := q.done
	q.done = nil
	q.mu.Unlock()
	for _, n := range settled {
		if err := q.kv.Delete(ctx, fmt.Sprintf("%s%d", q.prefix, n)); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			q.log.Warn().Err(err).Msg("settled re-reads stay stored; they will be read once more after a restart")
		}
	}
	return nil
}
