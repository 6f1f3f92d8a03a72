package pipeline

import (
	"context"
	"time"

	"deskhouse/source"
)

// Desk is the portal as the pipeline uses it. Errors are *source.CallError;
// the client has already retried what is worth retrying at once. Safe for
// concurrent use.
type Desk interface {
	Search(ctx context.Context, p source.Priority, t source.Table, q source.Query) (source.Page, error)
	Get(ctx context.Context, p source.Priority, t source.Table, id uint64) (*source.Record, source.Timing, error)
	List(ctx context.Context, p source.Priority, t source.Table, q source.ListQuery) (source.Page, error)
	Archived(ctx context.Context, p source.Priority, departmentID uint64, offset, limit int) (source.Page, error)
	Fields(ctx context.Context, p source.Priority, module string) (source.Page, []source.CustomField, error)
	Bin(ctx context.Context, p source.Priority, t source.Table, offset, limit int) ([]source.BinItem, source.Timing, error)
	// ZohoNow is the portal's clock, zero before the first reply.
	ZohoNow() time.Time
	// AskTime is ZohoNow, asked for if need be without credits. Where it fails any
	// other call may still tell the time.
	AskTime(ctx context.Context) (time.Time, error)
}

// Warehouse is the sink. Writing the same rows again is harmless. An error
// means that nothing is promised and the same call may be made again.
type Warehouse interface {
	Heads(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.Head, error)
	Write(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error
	SideStamps(ctx context.Context, t source.Table, reg source.Register, keys []source.Key) (map[source.Key]source.Stamp, error)
	WriteSide(ctx context.Context, t source.Table, reg source.Register, rows []source.SideRow, epoch uint64) error
	WriteChanges(ctx context.Context, changes []source.Change) error
	// Tracked are the columns whose changes the history spells out, and what the
	// rows of these keys hold in them.
	Tracked(ctx context.Context, t source.Table, keys []source.Key) (*source.Tracked, error)
	SavePosition(ctx context.Context, name string, seq uint64) error
	Position(ctx context.Context, name string) (seq uint64, ok bool, err error)
	SaveStatus(ctx context.Context, rows []source.TableStatus) error
	SaveRun(ctx context.Context, r source.RunReport) error
	EnsureCustomFields(ctx context.Context, t source.Table, fields []source.CustomField) (added []string, err error)
	KnowsCustom(t source.Table, apiName string) bool
	// CustomFields are those with a column that are not marked as removed;
	// RemoveCustomFields marks some, which keep their columns and values.
	CustomFields(t source.Table) []string
	RemoveCustomFields(ctx context.Context, t source.Table, gone []string) error
	// PendingColumns are those that rows lack because they were added later.
	// Backfills reports whether a record holds a value for one, so that its row is
	// to be written again; Backfilled ends what a complete reading filled,
	// and BackfilledRead what it filled but for rows that no reading brings.
	PendingColumns(t source.Table) []source.PendingColumn
	Backfills(t source.Table, reg source.Register, rec *source.Record) bool
	Backfilled(ctx context.Context, t source.Table, filled []source.PendingColumn) error
	BackfilledRead(t source.Table, read []source.PendingColumn)
	// BeginRun, Seen, Absent and EndRun keep the record of the keys that one
	// complete reading saw. Absent returns the visible rows that were not seen
	// and whose newest as_of lies before the bound. What is never ended is
	// forgotten at the next start.
	BeginRun(ctx context.Context, run string) error
	Seen(ctx context.Context, run string, t source.Table, keys []source.Key) error
	Absent(ctx context.Context, run string, t source.Table, before time.Time) ([]source.Key, error)
	EndRun(ctx context.Context, run string) error
	// DeletedKeys are the rows that were deleted at or after since.
	DeletedKeys(ctx context.Context, t source.Table, since time.Time) ([]source.Key, error)
	Counts(ctx context.Context, t source.Table) (visible, deleted uint64, err error)
	// Totals are the rows of each register's table, tombstones included: they
	// never shrink unless rows were lost.
	Totals(ctx context.Context, t source.Table) (map[source.Register]uint64, error)
	// Departments are the departments that visible rows belong to; tables whose
	// rows belong to no single one, and rows without one, are left out.
	Departments(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]uint64, error)
	// VisibleIn counts the visible rows of each department, 0 for those without.
	VisibleIn(ctx context.Context, t source.Table) (map[uint64]uint64, error)
	// Filled are the content fields that hold a value (not null, not the empty
	// text, not an empty array) in each key's row.
	Filled(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.FieldSet, error)
	// Archived are those of these tickets that are held as archived.
	Archived(ctx context.Context, keys []source.Key) (map[source.Key]bool, error)
	// Unhydrated are up to limit visible rows, the newest content first, whose
	// detail is missing or older than their content, and whose content is newer
	// than since (zero: all).
	Unhydrated(ctx context.Context, t source.Table, since time.Time, limit int) ([]source.Key, error)
	// Settle merges what is stored of these tables, and of what belongs to none,
	// as far as that is due, and returns the names of what it merged. It takes
	// from seconds to minutes and holds up neither writes nor reads.
	Settle(ctx context.Context, tables []source.Table) (merged []string, err error)
	// FreshNames makes the names that views show by id those that were written,
	// and returns the tables whose names it loaded: none when nothing of names
	// was written since the last call. It holds up neither writes nor reads.
	FreshNames(ctx context.Context, only ...source.Table) (loaded []source.Table, err error)
	Shadows
}

// Shadows rebuilds a table beside itself. One rebuild a table at a time; one
// that is never swapped is forgotten at the next start.
type Shadows interface {
	// BeginRebuild makes an empty shadow of the main table and gives it the
	// deleted rows. From then on Write writes both.
	BeginRebuild(ctx context.Context, t source.Table, run string) error
	// WriteShadow writes rows to the shadow alone: those that are unchanged.
	WriteShadow(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error
	// SwapRebuild copies what the shadow lacks or has older, checks that both
	// hold the same keys at the same versions, and exchanges the tables. Nothing
	// may be written meanwhile. copied are the rows that the reading did not
	// bring.
	SwapRebuild(ctx context.Context, t source.Table) (copied uint64, err error)
	// DropRebuild gives a rebuild up; without one it does nothing.
	DropRebuild(ctx context.Context, t source.Table) error
}

// KV is this process's durable small state, written under the lease.
type KV interface {
	// Load returns nil without error for an unknown key.
	Load(ctx context.Context, key string) ([]byte, error)
	Save(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string) (map[string][]byte, error)
}

// EventLog is the durable log of webhook deliveries.
type EventLog interface {
	// Read starts at the first message whose sequence is >= from.
	Read(ctx context.Context, from uint64) (EventReader, error)
	// Bounds are the first and last sequence held; last < first when empty.
	Bounds(ctx context.Context) (first, last uint64, err error)
	// Before is the last sequence stored before a time by the log's clock, 0 when
	// there is none.
	Before(ctx context.Context, t time.Time) (uint64, error)
	// Purge forgets messages up to a sequence that are older than a time.
	Purge(ctx context.Context, upTo uint64, olderThan time.Time) error
}

// EventReader follows the log. Next blocks until a message or ctx ends.
type EventReader interface {
	Next(ctx context.Context) (Message, error)
	Close() error
}

// Message is one group of events as the intake appended it.
type Message struct {
	Seq  uint64
	Data []byte
}

// DeadLetters keeps what could not be decoded or placed.
type DeadLetters interface {
	DeadLetter(ctx context.Context, reason string, raw []byte) error
}
