package clickhouse

import (
	"fmt"
	"slices"
)

// The logbook is what deskhouse records about itself and its changes: one
// table <name>_all each, and the view <name> that shows one row a key.
//
// Their _version is the server's clock, so the last write wins.
var versionNow = column{name: "_version", typ: typeID, def: "toUInt64(toUnixTimestamp64Micro(now64(6)))",
	comment: "Version of the row; the largest is the current one"}

// originComment names all origins of changes that are told.
const originComment = "How it was learned: webhook, poll, resync, restore (a resync after a loss), re-read, hydration (read by id for the detail table), bin"

// historyDays is how long changes are kept.
const historyDays = 365

const (
	positionsName = "sync_state_all"
	statusName    = "sync_status_all"
	runsName      = "sync_runs_all"
	changesName   = "changes_all"
)

func positionsTable(comment string) table {
	return table{name: positionsName, comment: comment, order: []string{"name"}, columns: []column{
		{name: "name", typ: typePlain, comment: "What the position is of"},
		{name: "seq", typ: typeID, comment: "Last position whose changes are in the tables"},
		{name: "saved_at", typ: typeInstant, def: "now64(3, 'UTC')", comment: "When it was saved (UTC)"},
		versionNow,
	}}
}

func statusTable() table {
	return table{name: statusName, order: []string{"table"}, comment: "freshness of each table", columns: []column{
		{name: "table", typ: typeLabel, comment: "Table of this database"},
		{name: "phase", typ: typeLabel, comment: "What is being done: snapshot, following, resync, …"},
		{name: "complete_until", typ: typeTime, comment: "Every change at Zoho up to here is in the table (UTC); NULL while the first load runs"},
		{name: "last_event_at", typ: typeTime, comment: "Time of the last webhook event applied (UTC)"},
		{name: "last_poll_at", typ: typeTime, comment: "Time of the last complete poll (UTC)"},
		{name: "last_resync_at", typ: typeTime, comment: "Start of the last complete comparison with Zoho (UTC)"},
		{name: "drift", typ: typeID, comment: "Rows the last comparison found different"},
		{name: "unplaced", typ: typeID, comment: "Values that went to _extra since the service started"},
		{name: "error", typ: typePlain, comment: "What keeps rows from being written, since when and how often it was tried; empty while nothing does"},
		{name: "saved_at", typ: typeInstant, def: "now64(3, 'UTC')", comment: "When this was written (UTC)"},
		versionNow,
	}}
}

func runsTable() table {
	return table{name: runsName, order: []string{"run", "table"}, comment: "drift reports, one row for each comparison and table", columns: []column{
		{name: "run", typ: typePlain, comment: "Comparison"},
		{name: "table", typ: typeLabel, comment: "Table of this database"},
		{name: "trigger", typ: typeLabel, comment: "What started it: command, cron, restore, demo, poll"},
		{name: "started_at", typ: typeTime, comment: "Start (UTC)"},
		{name: "finished_at", typ: typeTime, comment: "End (UTC); NULL while it runs"},
		{name: "read", typ: typeID, comment: "Records that Zoho showed"},
		{name: "unchanged", typ: typeID, comment: "Rows that were right"},
		{name: "repaired", typ: typeID, comment: "Rows whose content was corrected or added"},
		{name: "deleted", typ: typeID, comment: "Rows found deleted at Zoho"},
		{name: "resurrected", typ: typeID, comment: "Deleted rows found alive at Zoho"},
		{name: "missed_by_search", typ: typeID, comment: "Rows that exist but that reading everything did not return"},
		{name: "not_visible", typ: typeID, comment: "Rows kept because the agent may not see them any more"},
		{name: "incomplete", typ: typeFlag, comment: "1 when not everything could be read, so nothing was deleted"},
		{name: "error", typ: typePlain, comment: "Why it ended early; empty when it did not"},
		{name: "backfilled", typ: typeID, comment: "Rows that were right and written once more for a column they lacked"},
		{name: "saved_at", typ: typeInstant, def: "now64(3, 'UTC')", comment: "When this was written (UTC)"},
		versionNow,
	}}
}

func changesTable() table {
	return table{name: changesName, order: []string{"org_id", "table", "id", "key", "change_id"},
		ttl:     fmt.Sprintf("toDateTime(received_at) + toIntervalDay(%d)", historyDays),
		comment: fmt.Sprintf("history of applied changes, kept for %d days", historyDays), columns: []column{
			{name: "org_id", typ: typeID, comment: "Zoho Desk organization (portal) id"},
			{name: "change_id", typ: typeID, comment: "Hash of the source event; a replay has the same"},
			{name: "table", typ: typeLabel, comment: "Table of this database"},
			{name: "id", typ: typeID, comment: "Id of the record; 0 in tables keyed by name"},
			{name: "key", typ: typePlain, comment: "Key of the record as text"},
			{name: "op", typ: typeLabel, comment: "What became of the row: insert, update, delete, restore"},
			{name: "at", typ: typeTime, comment: "When it happened as far as is known, on Zoho's clock (UTC)"},
			{name: "received_at", typ: typeInstant, comment: "When it arrived (UTC)"},
			{name: "origin", typ: typeLabel, comment: originComment},
			{name: "event_type", typ: typeLabel, comment: "Zoho's event type, for webhooks"},
			{name: "row_version", typ: typeID, comment: "_version of the row it made"},
			{name: "modified_by", typ: typeRef, comment: "Agent whom the record names as the last to modify it: who made the change, where Zoho says"},
			{name: "changed", typ: typeLabels, comment: "Columns that got another value; of every table those that analysts follow (labels, ids, times, flags), where history is full all content columns"},
			{name: "old", typ: typeTexts, codec: codecText, comment: "Their values before, as text, one for each of changed; all NULL for an insert"},
			{name: "new", typ: typeTexts, codec: codecText, comment: "Their values after, as text, one for each of changed"},
			{name: "previous", typ: typeString, codec: codecText, comment: "State before the change as JSON, where Zoho sends it and history is full"},
			versionNow,
		}}
}

func logbookTables() []table { return []table{statusTable(), runsTable(), changesTable()} }

// logbookViews show the newest row of each key.
func logbookViews(database string) []view {
	var views []view
	for _, t := range append(logbookTables(), positionsTable("positions")) {
		views = append(views, logbookView(database, t))
	}
	return views
}

func logbookView(database string, t table) view {
	v := view{name: t.name[:len(t.name)-len("_all")], comment: t.comment, from: "FROM " + qualified(database, t.name) + " FINAL"}
	for _, c := range t.columns {
		if !slices.Contains([]string{"_version", "org_id"}, c.name) {
			v.columns = append(v.columns, viewColumn{name: c.name, typ: c.typ, comment: c.comment})
		}
	}
	return v
}
