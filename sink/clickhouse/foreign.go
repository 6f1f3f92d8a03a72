package clickhouse

import "fmt"

// A person may have added a column whose name a release, or a wider selection,
// now gives to one of deskhouse's. Filling it would replace their values, so a
// start refuses it, as it does tables of others.

// foreign reports whether somebody else made the column that has the name of a
// wanted one. A column is deskhouse's if its comment says so, or, where somebody
// changed that, if a view of deskhouse's shows the column with the comment it
// should have: views show no columns of others. Key columns are older than any
// row, and names that begin with _ are deskhouse's own.
func (d difference) foreign(have haveColumn, want column) bool {
	if !d.want.fed || !want.isData() || d.want.orders(want.name) || made(have) {
		return false
	}
	text, _ := splitPending(want.comment)
	for _, v := range d.views {
		for _, c := range v.columns {
			if shown, _ := splitPending(c.comment); shown == text {
				return false
			}
		}
	}
	return true
}

// nameTaken is the step that only the column's owner can do.
func (d difference) nameTaken(want column) Step {
	text, _ := splitPending(want.comment)
	rename := alterTable(d.database, d.want.name, "RENAME COLUMN "+ident(want.name)+" TO "+ident(freeName("my_"+want.name, d.have.taken())))
	return Step{Table: d.want.name, Kind: NameTaken, Columns: []string{want.name}, Command: rename, Blocking: true,
		What: fmt.Sprintf("rename your column %s, and deskhouse adds its own; if it is deskhouse's and only its comment was changed, put that back: %s",
			want.name, commentColumn(d.database, d.want.name, want.name, text)),
		Why: fmt.Sprintf("%s.%s is not deskhouse's, as its comment tells, and deskhouse needs the name: %s", d.want.name, want.name, rename)}
}
