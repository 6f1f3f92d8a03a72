package source

import "time"

// Change is one applied change, a row of the warehouse's history.
type Change struct {
	// ID identifies the change for de-duplication: replaying the same evidence
	// gives the same id.
	ID       uint64
	Table    Table
	Key      Key
	At       int64 // when it happened as far as is known, ms on Zoho's clock
	Op       Op
	Origin   string    // "webhook", "poll", "bin", "re-read", "resync"
	Event    string    // Zoho's event type, for webhooks
	Received time.Time // when this process learned of it, local clock, UTC
	Version  uint64    // _version of the row it made
	Previous string    // JSON of the state before, "" when Zoho sent none
	// ModifiedBy is the agent that the record names as the last to modify it, of
	// inserts and updates; 0 where it names none.
	ModifiedBy uint64
	// Changed names the tracked columns that the change gave other values, Old
	// and New are the values before and after, one each (see Tracked). A deletion
	// alone changes no column.
	Changed  []string
	Old, New []*string
}

// Op is what a change made of a row.
type Op string

// The kinds of changes; OpNone is none: only the as_of of a row moved.
const (
	OpNone    Op = ""
	OpInsert  Op = "insert"
	OpUpdate  Op = "update"
	OpDelete  Op = "delete"
	OpRestore Op = "restore"
)

// TableStatus is what analysts and operators see of one table's sync. Zero
// times mean "not yet".
type TableStatus struct {
	Table         Table
	Phase         string    // waiting, snapshot, following, resync, skipped
	Reason        string    // why a table is skipped or waits, for people
	CompleteUntil time.Time // Zoho's clock: everything changed before is in
	LastEventAt   time.Time // newest webhook event applied, Zoho's clock
	LastPollAt    time.Time
	LastResyncAt  time.Time
	Drift         uint64 // rows the last resync had to repair
	Error         string // what keeps the table from being written, since when; no row values
}

// RunReport is the outcome of one resync of one table: the drift report.
type RunReport struct {
	Run                 string
	Table               Table
	Trigger             string // "cron", "command", "demo", "recovery"
	Started, Finished   time.Time
	Read                uint64 // records seen at the source
	Unchanged, Repaired uint64 // of those: content as held; content new or different
	Backfilled          uint64 // held as read, and written once more for a column they lacked: no drift
	Deleted             uint64 // absent at the source, confirmed by GET
	Resurrected         uint64
	MissedBySearch      uint64 // absent from search, alive by GET
	NotVisible          uint64 // GET refused: kept
	Incomplete          bool   // no absence was derived
	Err                 string // why it ended early, "" otherwise
	// Pending are the columns that still wait for a backfill when it ended, of all
	// registers. It is not stored.
	Pending []string
}
