package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// What a selection (source.Mask) makes of a table: a column that is left out is
// not in the layout, so nothing makes, fills or shows it; one that is hashed has
// <column>_hash in its place. Rows of departments that are not selected have
// _left_out = 1 and no content.

// shown is the condition for the rows that analysts see.
const shown = "_is_deleted = 0 AND _left_out = 0"

// leftOutColumn is a state column of main and side tables alike.
var leftOutColumn = column{name: "_left_out", typ: typeFlag,
	comment: "1 when the record is of a department that is not selected: its content is not stored"}

const hashSuffix = "_hash"

// hashMark starts the comment of a column of keyed hashes; the key's id follows
// and then what the values are of.
const hashMark = "keyed hash (key "

func hashComment(keyID, of string) string { return hashMark + keyID + ") of " + of }

// splitHash takes the mark off a comment, without those of backfill and
// retirement. keyID is "" for a column without hashes.
func splitHash(comment string) (keyID, of string) {
	comment, _ = splitRetired(comment)
	comment, _ = splitPending(comment)
	rest, hashed := strings.CutPrefix(comment, hashMark)
	if !hashed {
		return "", comment
	}
	keyID, of, found := strings.Cut(rest, ") of ")
	if !found {
		return "", comment
	}
	return keyID, of
}

// columnsOf are the columns of one field of the catalog; hashed, it has one.
func (l *layout) columnsOf(i int) []column {
	f := &l.res.Fields[i]
	if !l.mask.Hashes(i) {
		return catalogColumns(l.res.Table, f)
	}
	return []column{{name: f.Column + hashSuffix, typ: hashType(f.Kind),
		comment: hashComment(l.mask.KeyID(), catalogComment(string(l.res.Table)+"."+f.Name, ""))}}
}

// hashType is the type of a column of hashes: an array has one each element.
func hashType(k source.Kind) string {
	if k == source.KindIDs || k == source.KindStrings {
		return typeStrings
	}
	return typeString
}

// fieldCells decodes a field into its columns.
func (l *layout) fieldCells(i int) fieldCells {
	f := &l.res.Fields[i]
	if !l.mask.Hashes(i) {
		return newFieldCells(i, f)
	}
	c := cells(&hashCells{})
	if hashType(f.Kind) == typeStrings {
		c = newCells(source.KindStrings)
	}
	return fieldCells{i, c, []sender{c}}
}

// customSelected are those custom columns that the selection wants: none of a
// field that is left out, and of one that is hashed the hashes alone.
func customSelected(m *source.Mask, all []customColumn) []customColumn {
	var selected []customColumn
	for _, c := range all {
		if m.ExcludesCustom(c.APIName) || m.HashesCustom(c.APIName) != (c.keyID != "") {
			continue
		}
		if c.keyID != "" {
			c.keyID = m.KeyID() // as it should be: the plan sees where it is another
		}
		selected = append(selected, c)
	}
	return selected
}

// fieldsSelected are those custom fields that get a column.
func fieldsSelected(m *source.Mask, all []source.CustomField) []source.CustomField {
	return slices.DeleteFunc(slices.Clone(all), func(f source.CustomField) bool { return m.ExcludesCustom(f.APIName) })
}

// changeKey is the step for a column that holds hashes of another key, which
// would never meet those of this one.
func (d difference) changeKey(have haveColumn, want column) (Step, bool) {
	was, _ := splitHash(have.comment)
	is, _ := splitHash(want.comment)
	if was == "" || is == "" || was == is {
		return Step{}, false
	}
	return Step{Table: d.want.name, Kind: ChangeKey, Columns: []string{want.name}, Command: applyCommand, Blocking: true,
		What: fmt.Sprintf("drop %s with its hashes; the next resync fills it with those of the new key, but for deleted rows", want.name),
		Why:  fmt.Sprintf("%s.%s holds hashes of key %s and hash_key is now key %s: put the old key back, or let its hashes go", d.want.name, want.name, was, is),
		SQL:  alterTable(d.database, d.want.name, "DROP COLUMN IF EXISTS "+ident(want.name))}, true
}

// unselected are the content fields that no record brings any more, though rows
// may hold values of them from before. What a document held of custom fields
// cannot be told apart, so where any is masked nothing is said of them.
func (l *layout) unselected() source.FieldSet {
	var set source.FieldSet
	for _, i := range l.res.In(source.Content) {
		if l.mask.Excludes(i) || l.document && l.res.Fields[i].Kind == source.KindCustom && l.mask.MasksCustom() {
			set = set.With(i)
		}
	}
	return set
}

// emptySides empties the side rows of records that are left out in a main table
// or its shadow, deleted ones among them: no reading brings those any more.
// Of two rows with one version the one written last stays.
func (w *Warehouse) emptySides(ctx context.Context, t source.Table, name string) error {
	l, err := w.layout(t)
	if err != nil || l.mask == nil {
		return err
	}
	for _, reg := range l.sides() {
		if err := w.exec(ctx, "empty rows that are left out in "+sideName(t, reg), emptySideSQL(w.cfg.Database, l, reg, name, w.fence.Load())); err != nil {
			return err
		}
	}
	return nil
}

func emptySideSQL(database string, l *layout, reg source.Register, name string, epoch uint64) string {
	t := l.res.Table
	order, side := idents(orderOf(t)), qualified(database, sideName(t, reg))
	return fmt.Sprintf("INSERT INTO %s (%s, %s)\nSELECT %s, _version, greatest(_epoch, %d), _as_of, _rank, _hash, 1\nFROM %s FINAL\nWHERE _left_out = 0 AND (%s) IN (SELECT %s FROM %s FINAL WHERE _left_out = 1)",
		side, order, idents(stateNames(sideState)), order, epoch, side, order, order, qualified(database, name))
}
