package clickhouse

import (
	"errors"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

// selected opens a database with a selection; again opens the same one with
// another.
func selecting(s source.Selection, key string) func(*Config) {
	return func(c *Config) {
		m, err := source.NewMask(source.Lookup(source.Tickets), s, []byte(key))
		if err != nil {
			panic(err)
		}
		c.Select = map[source.Table]*source.Mask{source.Tickets: m}
	}
}

func again(t *testing.T, w *Warehouse, change func(*Config)) (*Warehouse, error) {
	t.Helper()
	cfg := w.cfg
	change(&cfg)
	next := open(t, cfg)
	return next, next.Prepare(ctx, allTables)
}

const hashKey, otherHashKey = "the key of these hashes", "another key of hashes"

// put writes a record as the pipeline does, masked.
func put(t *testing.T, w *Warehouse, version uint64, text string) *source.Record {
	t.Helper()
	rec := w.cfg.Select[source.Tickets].Record(record(t, source.Tickets, text))
	row := withVersion(content(rec, 1), version)
	row.LeftOut = rec.LeftOut
	must(t, w.Write(ctx, source.Tickets, []source.Row{row}, 1))
	return rec
}

const selectedTicket = `{"id":"5","subject":"s","email":"Ann@example.org","description":"D","departmentId":"1","entitySkills":["7"],"contactId":"9","cf":{"cf_a":"A","cf_b":"B","cf_c":"C"}}`

func TestSelectedColumns(t *testing.T) {
	w := prepared(t, selecting(source.Selection{Exclude: []string{"description", "cf_b"}, Hash: []string{"email", "entity_skills", "cf_c"}}, hashKey))
	custom := []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}, {APIName: "cf_b", Label: "B", Type: "Text"}, {APIName: "cf_c", Label: "C", Type: "Multiselect"}}
	added, err := w.EnsureCustomFields(ctx, source.Tickets, custom)
	must(t, err)
	if got := strings.Join(added, " "); got != "cf_a cf_c_hash" {
		t.Errorf("added %s", got)
	}
	rec := put(t, w, 1, selectedTicket)
	id := w.cfg.Select[source.Tickets].KeyID()
	wantRow(t, w, "cf_a cf_c_hash email_hash entity_skills_hash", "%s", "SELECT arrayStringConcat(arraySort(groupArray(name)), ' ') FROM system.columns WHERE database = '"+w.cfg.Database+
		"' AND table = 'tickets' AND (name LIKE '%email%' OR name LIKE 'descr%' OR name LIKE 'entity%' OR name LIKE 'cf%')")
	wantRow(t, w, "keyed hash (key "+id+") of Zoho Desk tickets.email|keyed hash (key "+id+`) of custom field "cf_c" of type "Multiselect": C`,
		"%s", "SELECT arrayStringConcat(arraySort(groupArray(comment)), '|') FROM (SELECT comment FROM system.columns WHERE database = '"+w.cfg.Database+"' AND table = 'tickets' AND name IN ('email_hash', 'cf_c_hash') ORDER BY name DESC)")
	email, _ := source.ParseString(rec.Value(fieldIndex(rec.Resource, "email")))
	wantRow(t, w, "1\t1\t32\tA\t", "%s", "SELECT email_hash = '"+email+"', length(entity_skills_hash), length(cf_c_hash), cf_a, _extra FROM tickets WHERE id = 5")
	put(t, w, 1, `{"id":"6","subject":"s","email":[],"entitySkills":[],"cf":{"cf_c":[]}}`)
	wantRow(t, w, "∅\t0\t∅\t", "SELECT email_hash, length(entity_skills_hash), cf_c_hash, _extra FROM tickets WHERE id = 6")
	filled, err := w.Filled(ctx, source.Tickets, []source.Key{rec.Key})
	must(t, err)
	if filled[rec.Key] != rec.Filled() {
		t.Errorf("filled %v, the record %v", filled[rec.Key], rec.Filled())
	}
	restarted, err := again(t, w, func(*Config) {})
	must(t, err)
	if more, err := restarted.EnsureCustomFields(ctx, source.Tickets, custom); len(more) > 0 || err != nil {
		t.Errorf("after a restart: %q, %v", more, err)
	}
}

func fieldIndex(res *source.Resource, name string) int {
	for i, f := range res.Fields {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// A column that is left out later keeps its values until a person drops it; one
// that comes in again waits for its backfill.
func TestSelectionChanges(t *testing.T) {
	w := prepared(t, func(*Config) {})
	custom := []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}}
	_, err := w.EnsureCustomFields(ctx, source.Tickets, custom)
	must(t, err)
	put(t, w, 1, selectedTicket)
	narrow, err := again(t, w, selecting(source.Selection{Exclude: []string{"description", "cf_a"}, Hash: []string{"email"}}, hashKey))
	must(t, err)
	comment := func(column string) string {
		return "SELECT comment FROM system.columns WHERE database = '" + w.cfg.Database + "' AND table = 'tickets_all' AND name = '" + column + "'"
	}
	wantRow(t, narrow, "1\t1\t1", "%s", "SELECT startsWith(("+comment("description")+") AS d, 'no longer filled: '), startsWith(("+comment("email")+") AS e, 'no longer filled: '), startsWith(("+comment("cf_a")+") AS c, 'no longer filled: ')")
	wantRow(t, narrow, "0", "%s", "SELECT count() FROM system.columns WHERE database = '"+w.cfg.Database+"' AND table IN ('tickets', 'tickets_full') AND name IN ('description', 'email', 'cf_a')")
	if more, err := narrow.EnsureCustomFields(ctx, source.Tickets, custom); len(more) > 0 || err != nil {
		t.Errorf("of a field that is left out: %q, %v", more, err)
	}
	put(t, narrow, 2, selectedTicket)
	wantRow(t, narrow, "∅\t∅\t∅\t32", "SELECT description, email, cf_a, length(email_hash) FROM tickets_all FINAL WHERE id = 5")
	wide, err := again(t, w, func(*Config) {})
	must(t, err)
	pending := wide.PendingColumns(source.Tickets)
	names := map[string]bool{}
	for _, p := range pending {
		names[p.Column] = true
	}
	if len(pending) != 3 || !names["description"] || !names["email"] || !names["cf_a"] {
		t.Errorf("pending %+v", pending)
	}
	put(t, wide, 3, selectedTicket)
	wantRow(t, wide, "D\tAnn@example.org\tA", "SELECT description, email, cf_a FROM tickets WHERE id = 5")
}

func TestAnotherHashKeyIsRefused(t *testing.T) {
	hashed := source.Selection{Hash: []string{"email", "cf_a"}}
	w := prepared(t, selecting(hashed, hashKey))
	_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}})
	must(t, err)
	other, err := again(t, w, selecting(hashed, otherHashKey))
	if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "email_hash holds hashes of key "+w.cfg.Select[source.Tickets].KeyID()) ||
		!strings.Contains(err.Error(), "cf_a_hash") || strings.Contains(err.Error(), otherHashKey) {
		t.Fatalf("got %v", err)
	}
	if err := other.Check(ctx, allTables); !errors.Is(err, ErrSchema) {
		t.Errorf("check: %v", err)
	}
	if _, err := again(t, w, selecting(hashed, hashKey)); err != nil {
		t.Errorf("with the old key: %v", err)
	}
	if _, err := again(t, w, func(c *Config) { c.Select = nil }); err != nil {
		t.Errorf("without hashes: %v", err)
	}
	if _, err := again(t, w, selecting(hashed, otherHashKey)); !errors.Is(err, ErrSchema) {
		t.Errorf("retired columns that come back: %v", err)
	}
	steps, err := other.have(ctx)
	must(t, err)
	_, want := other.cfg.wanted(allTables, steps)
	for _, s := range planTables(other.cfg.Database, steps, want) {
		if s.Kind == ChangeKey {
			must(t, other.into.Exec(ctx, s.SQL))
		}
	}
	renewed, err := again(t, w, selecting(hashed, otherHashKey))
	must(t, err)
	put(t, renewed, 9, selectedTicket)
	wantRow(t, renewed, "32", "SELECT length(email_hash) FROM tickets WHERE id = 5")
}

// A row that is left out is stored and not shown, and nothing counts it.
func TestRowsThatAreLeftOut(t *testing.T) {
	w := prepared(t, selecting(source.Selection{Except: []uint64{1}}, hashKey))
	must(t, w.Write(ctx, source.Tickets, nil, 1))
	rec := put(t, w, 7, selectedTicket)
	key := rec.Key
	must(t, w.WriteSide(ctx, source.Tickets, source.Detail, []source.SideRow{{Key: key, Stamp: source.Stamp{AsOf: 50, Rank: source.EvidenceGet}, Record: rec}}, 1))
	heads, err := w.Heads(ctx, source.Tickets, []source.Key{key})
	must(t, err)
	if h := heads[key]; !h.LeftOut || h.Content.Hash != rec.Fingerprint || h.Version != 7 {
		t.Errorf("head %+v", h)
	}
	wantRow(t, w, "∅\t∅\t∅\t1", "SELECT subject, email, department_id, _left_out FROM tickets_all FINAL WHERE id = 5")
	wantRow(t, w, "0\t0", "SELECT (SELECT count() FROM tickets), (SELECT count() FROM tickets_full)")
	visible, deleted, err := w.Counts(ctx, source.Tickets)
	must(t, err)
	in, err := w.VisibleIn(ctx, source.Tickets)
	must(t, err)
	must(t, w.BeginRun(ctx, "r"))
	absent, err := w.Absent(ctx, "r", source.Tickets, farFuture)
	must(t, err)
	unhydrated, err := w.Unhydrated(ctx, source.Tickets, zeroTime, 10)
	must(t, err)
	if visible+deleted != 0 || len(in)+len(absent)+len(unhydrated) != 0 {
		t.Errorf("%d visible, %d deleted, %v, absent %v, unhydrated %v", visible, deleted, in, absent, unhydrated)
	}
	// A deletion carries the mark along with the content.
	h := heads[key]
	h.Deleted, h.DeletedAt, h.Life, h.Version = true, 9, source.Stamp{AsOf: 9, Rank: source.EvidenceGet}, 8
	must(t, w.Write(ctx, source.Tickets, []source.Row{{Key: key, State: source.State{Head: h}}}, 1))
	if heads, err = w.Heads(ctx, source.Tickets, []source.Key{key}); err != nil || heads[key] != h {
		t.Errorf("head %+v, %v, want %+v", heads[key], err, h)
	}
	// Selected again, its detail counts as never read.
	wide, err := again(t, w, func(c *Config) { c.Select = nil })
	must(t, err)
	put(t, wide, 9, selectedTicket)
	if unhydrated, err = wide.Unhydrated(ctx, source.Tickets, zeroTime, 10); err != nil || len(unhydrated) != 1 {
		t.Errorf("unhydrated %v, %v", unhydrated, err)
	}
	wantRow(t, wide, "s\t1", "SELECT subject, department_id FROM tickets WHERE id = 5")
}

var farFuture, zeroTime = time.UnixMilli(1 << 50), time.Time{}

func TestHashesHaveAText(t *testing.T) {
	for raw, want := range map[string]string{`"0a"`: "0a", `[]`: "", `null`: ""} {
		c := &hashCells{}
		if !c.add(raw) {
			t.Errorf("%s is refused", raw)
		}
		if text := lastText(c); (text == nil) != (want == "") || text != nil && *text != want {
			t.Errorf("%s has the text %v", raw, text)
		}
	}
}
