package pipeline

import (
	"errors"

	"deskhouse/source"
	"deskhouse/source/webhook"
)

// errNotOurs marks events of no table of this sync: kept in the log, counted,
// not applied.
var errNotOurs = errors.New("event of no table that is synchronised")

// eventTables says which events are about which table. Comments, threads,
// attachments and approvals are other resources: their payload is no ticket.
var eventTables = map[string]struct {
	table   source.Table
	deleted bool
}{
	"Ticket_Add":        {source.Tickets, false},
	"Ticket_Update":     {source.Tickets, false},
	"Ticket_Delete":     {source.Tickets, true},
	"Department_Add":    {source.Departments, false},
	"Department_Update": {source.Departments, false},
}

// observe turns one event into an observation of one record.
func (a *applier) observe(ev webhook.Event) (source.Table, source.Observation, error) {
	p, err := ev.Decode()
	if err != nil {
		return "", source.Observation{}, err
	}
	if ev.Kind == webhook.Hint {
		return a.observeHint(p.TicketID)
	}
	kind, ok := eventTables[ev.Type]
	w := a.writers[kind.table]
	if !ok || w == nil {
		return "", source.Observation{}, errNotOurs
	}
	rec, err := source.ParseRecord(w.res, "", p.Record)
	if err != nil {
		return "", source.Observation{}, err
	}
	mask := a.masks[kind.table]
	rec = mask.Record(rec)
	o := w.cov.FromEvent(source.Event{Type: ev.Type, Time: p.TimeMS, Deleted: kind.deleted, Trust: a.trust,
		ZohoNow: a.zohoNow(), Previous: mask.Text(string(p.Prev))}, rec)
	return kind.table, o, nil
}

// observeHint reads a workflow notification: nothing but a ticket's id.
func (a *applier) observeHint(id uint64) (source.Table, source.Observation, error) {
	w := a.writers[source.Tickets]
	if w == nil {
		return "", source.Observation{}, errNotOurs
	}
	return source.Tickets, source.Observation{Key: source.Key{ID: id}, Evidence: source.EvidenceWebhook, Hint: true,
		Origin: "webhook", Event: "workflow"}, nil
}

// zohoNow is Zoho's clock in ms, 0 while no reply has told it.
func (a *applier) zohoNow() int64 {
	now := a.desk.ZohoNow()
	if now.IsZero() {
		return 0
	}
	return now.UnixMilli()
}
