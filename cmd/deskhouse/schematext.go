package main

import (
	"fmt"
	"io"
	"strings"

	"deskhouse/sink/clickhouse"
)

// printColumns lists the columns of deskhouse's tables; of whatever is named if
// named is set.
func (r schemaReply) printColumns(w io.Writer, named bool) {
	var views, others []string
	for _, t := range r.Tables {
		switch {
		case named || t.Ours && t.Kind == "table":
			printColumnsOf(w, t)
			fmt.Fprintln(w)
		case t.Ours && t.Kind == "view":
			views = append(views, t.Name)
		case !t.Ours:
			others = append(others, t.Name)
		}
	}
	if len(views) > 0 {
		fmt.Fprintf(w, "views, each shown by `deskhouse schema VIEW`: %s\n", strings.Join(views, ", "))
	}
	if len(others) > 0 {
		fmt.Fprintf(w, "not deskhouse's, left alone: %s\n", strings.Join(others, ", "))
	}
	if due := r.due(); due > 0 && !named {
		fmt.Fprintf(w, "%s to what they should be: deskhouse schema --diff\n", plural(due, "step"))
	}
}

func printColumnsOf(w io.Writer, t clickhouse.SchemaTable) {
	head := t.Name + " (" + t.Kind
	if t.Kind == "table" {
		head += ", " + plural(int(t.Rows), "row")
	}
	fmt.Fprintln(w, strings.TrimRight(head+")  "+t.Comment, " "))
	var rows [][]string
	for _, c := range t.Columns {
		d := c.Have
		if d == nil {
			d = c.Want
		}
		rows = append(rows, []string{c.Name, d.Type, d.Comment, string(c.State)})
	}
	printTable(w, []string{"COLUMN", "TYPE", "WHAT IT IS", "STATE"}, rows, nil)
}

// printDiff shows, table by table, what is not as it should be and the steps.
func (r schemaReply) printDiff(w io.Writer) {
	if created := r.byKind(clickhouse.CreateDatabase); len(created) > 0 {
		fmt.Fprintf(w, "database %s: it does not exist\n\n", r.Database)
	}
	for _, t := range r.Tables {
		r.printDiffOf(w, t)
	}
	for _, s := range r.Plan { // of what is not there at all
		if !r.has(s.Table) && s.Kind != clickhouse.CreateDatabase {
			fmt.Fprintf(w, "%s\n  %s\n\n", s.Table, stepText(s))
		}
	}
	fmt.Fprintln(w, r.verdict())
}

func (r schemaReply) printDiffOf(w io.Writer, t clickhouse.SchemaTable) {
	if !t.Ours {
		fmt.Fprintf(w, "%s\n  a %s that is not deskhouse's, left alone\n\n", t.Name, t.Kind)
		return
	}
	var rows [][]string
	exists := false
	for _, c := range t.Columns {
		exists = exists || c.Have != nil
		if have, want, differs := sides(c); differs {
			rows = append(rows, []string{"  " + c.Name, have, want, string(c.State)})
		}
	}
	steps := r.of(t.Name)
	if len(rows) == 0 && len(steps) == 0 {
		return
	}
	fmt.Fprintln(w, t.Name)
	if len(rows) > 0 && exists && !dropped(steps) {
		printTable(w, []string{"  COLUMN", "HAVE", "WANT", "STATE"}, rows, nil)
	}
	for _, s := range steps {
		fmt.Fprintln(w, "  "+stepText(s))
	}
	fmt.Fprintln(w)
}

// dropped reports whether a table goes as a whole.
func dropped(steps []clickhouse.Step) bool {
	return len(steps) == 1 && steps[0].Kind == clickhouse.DropTable
}

// sides are what a column is and what it should be, as far as they differ.
func sides(c clickhouse.SchemaColumn) (have, want string, differs bool) {
	switch {
	case c.Have == nil:
		return "-", c.Want.Type, true
	case c.Want == nil:
		return c.Have.Type, "-", true
	case c.Have.Type != c.Want.Type:
		return c.Have.Type, c.Want.Type, true
	case c.Have.Comment != c.Want.Comment:
		return "COMMENT " + quoted(c.Have.Comment), "COMMENT " + quoted(c.Want.Comment), true
	}
	return c.Have.Type, c.Want.Type, c.State == clickhouse.ColumnRetired
}

// maxShown bounds a comment in a table: they have up to some hundred characters.
const maxShown = 60

func quoted(s string) string {
	if r := []rune(s); len(r) > maxShown {
		s = string(r[:maxShown]) + "…"
	}
	return "'" + s + "'"
}

// stepText is a step for people: who does it, what, why; SQL where a person
// decides.
func stepText(s clickhouse.Step) string {
	who := "at the next start:"
	if !s.Automatic {
		who = "waits for `" + s.Command + "`:"
	}
	text := fmt.Sprintf("%s %s (%s)", who, s.What, s.Why)
	if s.Blocking {
		text += "; deskhouse does not start before"
	}
	if !s.Automatic && s.SQL != "" {
		text += "\n    " + s.SQL
	}
	return text
}

// verdict sums the plan up.
func (r schemaReply) verdict() string {
	var auto, person, cleanup int
	for _, s := range r.Plan {
		switch {
		case s.Automatic:
			auto++
		case s.Cleanup():
			cleanup++
		default:
			person++
		}
	}
	if auto+person+cleanup == 0 {
		return "nothing to do: the tables are what they should be"
	}
	var parts []string
	for _, p := range []struct {
		n    int
		text string
	}{{auto, "at the next start of deskhouse"}, {person, "for a person to decide"}, {cleanup, "to drop what nothing uses, which may wait for ever (--apply --drop)"}} {
		if p.n > 0 {
			parts = append(parts, plural(p.n, "step")+" "+p.text)
		}
	}
	return strings.Join(parts, ", ")
}

// due counts the steps that are to be done.
func (r schemaReply) due() int {
	n := 0
	for _, s := range r.Plan {
		if !s.Cleanup() {
			n++
		}
	}
	return n
}

func (r schemaReply) of(table string) (steps []clickhouse.Step) {
	for _, s := range r.Plan {
		if s.Table == table {
			steps = append(steps, s)
		}
	}
	return steps
}

func (r schemaReply) byKind(k clickhouse.StepKind) (steps []clickhouse.Step) {
	for _, s := range r.Plan {
		if s.Kind == k {
			steps = append(steps, s)
		}
	}
	return steps
}

func (r schemaReply) has(table string) bool {
	for _, t := range r.Tables {
		if t.Name == table {
			return true
		}
	}
	return false
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
