package clickhouse

import (
	"fmt"
	"slices"
	"strings"
)

// StepKind says what a step of a plan does.
type StepKind string

// The kinds. Automatic ones only add or describe; the others wait for a person.
const (
	CreateDatabase StepKind = "create database"
	CreateTable    StepKind = "create table"
	AddColumn      StepKind = "add column"
	CommentColumn  StepKind = "comment column"
	RetireColumn   StepKind = "retire column" // it stays, marked as no longer filled
	ReviveColumn   StepKind = "revive column" // it is filled again
	CommentTable   StepKind = "comment table"
	MakeDictionary StepKind = "make dictionary"
	MakeView       StepKind = "make view"

	ChangeType StepKind = "change type"
	ChangeKey  StepKind = "change key" // of a column of keyed hashes
	NameTaken  StepKind = "name taken" // a person's column has the name of one of deskhouse's
	SetAside   StepKind = "set aside"  // rename a table that cannot be altered, so that it is made anew
	Rebuild    StepKind = "rebuild"    // by a resync: see Step.Command
	DropColumn StepKind = "drop column"
	DropTable  StepKind = "drop table" // or a view or dictionary
)

// Step is one change of the database.
type Step struct {
	Table   string   `json:"table"` // table, view or dictionary; "" for the database
	Kind    StepKind `json:"kind"`
	Columns []string `json:"columns"` // those concerned, in the table's order
	What    string   `json:"what"`    // in words
	Why     string   `json:"why"`
	SQL     string   `json:"sql"` // "" when Command does it
	// Command is what a person runs for it, "" when nobody has to.
	Command string `json:"command"`
	// Automatic: Prepare does it by itself, at the next start.
	Automatic bool `json:"automatic"`
	// Blocking: Prepare fails with ErrSchema until it is done.
	Blocking bool `json:"blocking"`
}

// Cleanup reports whether a step only removes what is in nobody's way: it may
// wait for ever. Nothing else needs it done before, and it may take the only copy
// of values away, so people are to agree to it by itself.
func (s Step) Cleanup() bool { return s.Kind == DropColumn || s.Kind == DropTable }

// did names the step in errors.
func (s Step) did() string { return string(s.Kind) + " " + s.Table }

// What carries out steps that are not automatic: changes, and what only removes.
const (
	applyCommand = "deskhouse schema --apply"
	dropCommand  = "deskhouse schema --apply --drop"
)

// maxAlterBytes bounds one ALTER: servers take statements of up to 256 KiB
// (docs: max_query_size).
const maxAlterBytes = 128 << 10

// planTables are the steps that make the wanted tables out of those there are,
// each table's in an order that may end anywhere: what the comments say is true
// after each step, and the table's own comment, which carries the format, comes
// last. Done twice a step changes nothing more.
func planTables(database string, have map[string]haveTable, want []table) []Step {
	var steps []Step
	for _, t := range want {
		h, exists := have[t.name]
		if !exists {
			steps = append(steps, Step{Table: t.name, Kind: CreateTable, Columns: t.names(), Automatic: true, SQL: t.create(database),
				What: fmt.Sprintf("make the table with %s", columnCount(len(t.columns))), Why: "it does not exist"})
			continue
		}
		d := difference{database: database, have: h, want: t, views: viewsIn(have)}
		if aside, wrong := d.setAside(have); wrong {
			steps = append(steps, aside)
			continue
		}
		steps = append(steps, d.steps()...)
	}
	return steps
}

func columnCount(n int) string {
	if n == 1 {
		return "1 column"
	}
	return fmt.Sprintf("%d columns", n)
}

// refusal is why Prepare cannot go on before a person acts, nil when it can.
func refusal(steps []Step) error {
	var wrong []string
	for _, s := range steps {
		if s.Blocking {
			wrong = append(wrong, s.Why)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s; `deskhouse schema --diff` shows what to do", ErrSchema, strings.Join(wrong, "; "))
}

// difference compares one table that exists with what it should be.
type difference struct {
	database string
	have     haveTable
	want     table
	views    []haveTable // as the last start made them
}

func (d difference) steps() []Step {
	unwanted, drops := d.unwanted()
	steps := d.alter(RetireColumn, unwanted, "not wanted any more: left out of the selection, or stored elsewhere by this version; the values stay")
	var add, revive, comment []clause
	var retype []Step
	for _, c := range d.want.columns {
		h, exists := d.have.column(c.name)
		if exists && d.foreign(h, c) {
			retype = append(retype, d.nameTaken(c))
			continue
		}
		if step, changed := d.changeKey(h, c); changed {
			retype = append(retype, step)
			continue
		}
		_, retired := splitRetired(h.comment)
		if (!exists || retired) && d.want.fed && d.have.rows > 0 && c.isData() {
			c = c.pending()
		} else {
			c.comment = remark(c.comment, h.comment)
		}
		switch {
		case !exists:
			add = append(add, clause{c.name, addClause(c)})
		case retired:
			revive = append(revive, commentClause(c.name, c.comment))
		case h.comment != c.comment:
			comment = append(comment, commentClause(c.name, c.comment))
		}
		if exists && h.typ != c.typ {
			retype = append(retype, d.changeType(h, c))
		}
	}
	steps = append(steps, d.alter(AddColumn, add, "missing")...)
	steps = append(steps, d.alter(ReviveColumn, revive, "wanted again")...)
	steps = append(steps, d.alter(CommentColumn, comment, "the comment differs")...)
	if d.have.comment != marked(d.want.comment) {
		steps = append(steps, Step{Table: d.want.name, Kind: CommentTable, Automatic: true, SQL: commentTable(d.database, d.want.name, d.want.comment),
			What: "write the table's comment", Why: "the comment differs"})
	}
	return slices.Concat(steps, retype, drops)
}

// unwanted are the columns deskhouse made that nothing fills any more: what
// marks those that are not marked yet, and what drops them.
func (d difference) unwanted() (retire []clause, drops []Step) {
	for _, h := range d.have.columns {
		if d.wants(h.name) || !made(h) {
			continue
		}
		if _, retired := splitRetired(h.comment); !retired {
			text, _ := splitPending(h.comment)
			retire = append(retire, commentClause(h.name, retiredMark+text))
		}
		drops = append(drops, Step{Table: d.want.name, Kind: DropColumn, Columns: []string{h.name}, Command: dropCommand,
			What: fmt.Sprintf("drop the column %s with its values", h.name), Why: "no longer filled; of records that are not read again, as deleted ones, nothing else has these values",
			SQL: alterTable(d.database, d.want.name, "DROP COLUMN IF EXISTS "+ident(h.name))})
	}
	return retire, drops
}

func (d difference) wants(col string) bool {
	return slices.ContainsFunc(d.want.columns, func(c column) bool { return c.name == col })
}

// changeType brings a column back whose type somebody changed.
func (d difference) changeType(have haveColumn, want column) Step {
	return Step{Table: d.want.name, Kind: ChangeType, Columns: []string{want.name}, Command: applyCommand,
		Blocking: !d.writable(have, want),
		What:     fmt.Sprintf("change the type of %s back to %s", want.name, want.typ),
		Why:      fmt.Sprintf("%s.%s is %s instead of %s", d.want.name, want.name, have.typ, want.typ),
		SQL:      alterTable(d.database, d.want.name, "MODIFY COLUMN "+ident(want.name)+" "+want.typ)}
}

// writable reports whether values go into a column of another type unchanged.
// The native protocol converts nothing, so that is little: LowCardinality more
// or less, and more digits or another zone of a time (seen with 26.7; with
// others the driver refuses, and seconds it writes wrong). Columns that are read
// back, of key and state, must be as they should.
func (d difference) writable(have haveColumn, want column) bool {
	if d.want.orders(want.name) || strings.HasPrefix(want.name, "_") {
		return false
	}
	return bareType(have.typ) == bareType(want.typ)
}

// bareType is a type without what a writer does not notice.
func bareType(typ string) string {
	if inner, ok := strings.CutPrefix(typ, "LowCardinality("); ok {
		typ = strings.TrimSuffix(inner, ")")
	}
	var digits int
	for _, form := range []string{"DateTime64(%d", "Nullable(DateTime64(%d"} {
		if n, _ := fmt.Sscanf(typ, form, &digits); n == 1 && digits >= 3 {
			return strings.TrimSuffix(form, "(%d")
		}
	}
	return typ
}

// setAside renames a table of another engine or order: rows would not meet
// their older versions in it, and neither can be altered.
func (d difference) setAside(have map[string]haveTable) (Step, bool) {
	order := strings.Map(func(r rune) rune {
		if strings.ContainsRune("`()", r) {
			return -1 // the server quotes names, and one alone stands in parentheses
		}
		return r
	}, d.have.order)
	if strings.HasSuffix(d.have.engine, "ReplacingMergeTree") && order == strings.Join(d.want.order, ", ") {
		return Step{}, false
	}
	taken := map[string]bool{}
	for name := range have {
		taken[name] = true
	}
	aside := freeName("old_"+d.want.name, taken)
	return Step{Table: d.want.name, Kind: SetAside, Command: applyCommand, Blocking: true,
		What: fmt.Sprintf("rename the table to %s; deskhouse makes it anew and reads its rows from Zoho again, but those deleted there", aside),
		Why:  fmt.Sprintf("%s is a %s ordered by (%s) instead of a ReplacingMergeTree ordered by (%s)", d.want.name, d.have.engine, order, strings.Join(d.want.order, ", ")),
		SQL:  fmt.Sprintf("RENAME TABLE %s TO %s", qualified(d.database, d.want.name), qualified(d.database, aside))}, true
}

// clause is one part of an ALTER, about one column.
type clause struct{ column, sql string }

func commentClause(col, comment string) clause {
	return clause{col, "COMMENT COLUMN " + ident(col) + " " + literal(comment)}
}

// alter puts the clauses of one kind into as few statements as servers take.
func (d difference) alter(kind StepKind, clauses []clause, why string) []Step {
	verb := map[StepKind]string{AddColumn: "add", ReviveColumn: "fill again", CommentColumn: "write the comment of", RetireColumn: `mark as "` + strings.TrimSuffix(retiredMark, ": ") + `"`}[kind]
	var steps []Step
	for len(clauses) > 0 {
		var columns, parts []string
		for bytes := 0; len(clauses) > 0 && (bytes == 0 || bytes+len(clauses[0].sql) <= maxAlterBytes); clauses = clauses[1:] {
			columns, parts = append(columns, clauses[0].column), append(parts, clauses[0].sql)
			bytes += len(clauses[0].sql) + 2
		}
		steps = append(steps, Step{Table: d.want.name, Kind: kind, Columns: columns, Automatic: true, Why: why,
			What: verb + " " + strings.Join(columns, ", "), SQL: alterTable(d.database, d.want.name, parts...)})
	}
	return steps
}
