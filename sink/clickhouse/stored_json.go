package clickhouse

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"deskhouse/source"

	"github.com/go-json-experiment/json/jsontext"
)

// What a stored cell was in Zoho's JSON: ids, times and decimals in quotes, and
// counters of tickets; every value of cf is a string (zoho-desk OAS, captures).
// "" stands for nothing.

func jsonOf(t source.Table, f *source.Field, typ string) func([]*string, [][]string) string {
	bare := f.Kind == source.KindBool || f.Kind == source.KindInt && t != source.Tickets || f.Kind == source.KindJSON
	return func(cells []*string, arrays [][]string) string {
		if isArray(typ) {
			return arrayJSON(arrays[0])
		}
		text, ok := cellText(typ, cells[0])
		switch {
		case !ok:
			return ""
		case bare:
			return text
		}
		return quotedJSON(text)
	}
}

// customJSON is a custom field's value; labels are joined where that can be
// undone.
func customJSON(typ string) func([]*string, [][]string) string {
	return func(cells []*string, arrays [][]string) string {
		if isArray(typ) {
			for _, label := range arrays[0] {
				if label == "" || strings.Contains(label, ";") {
					return arrayJSON(arrays[0])
				}
			}
			if len(arrays[0]) == 0 {
				return ""
			}
			return quotedJSON(strings.Join(arrays[0], ";"))
		}
		text, ok := cellText(typ, cells[0])
		if !ok {
			return ""
		}
		return quotedJSON(text)
	}
}

// retiredJSON is what a column of an earlier release holds: JSON text where it
// was an open structure.
func retiredJSON(cells []*string, _ [][]string) string {
	switch {
	case cells[0] == nil:
		return ""
	case jsontext.Value(*cells[0]).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)):
		return *cells[0]
	}
	return quotedJSON(*cells[0])
}

// cellOrNothing is a cell's text, "" for NULL.
func cellOrNothing(cell *string) string {
	if cell == nil {
		return ""
	}
	return *cell
}

// cellText is a scalar cell's text; times come as milliseconds.
func cellText(typ string, cell *string) (string, bool) {
	if cell == nil {
		return "", false
	}
	if typ != typeTime {
		return *cell, true
	}
	ms, err := strconv.ParseInt(*cell, 10, 64)
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"), err == nil
}

func arrayJSON(items []string) string {
	if len(items) == 0 {
		return ""
	}
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quotedJSON(item)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// showObjects reports whether parallel arrays are what an array of objects
// leaves of itself in them.
func showObjects(elements []source.Element, raw string, arrays [][]string) bool {
	c := newObjectCells(elements)
	c.add(raw)
	for i, m := range c.members {
		if !slices.Equal(m.texts(), arrays[i]) {
			return false
		}
	}
	return true
}

// objectsJSON puts parallel arrays together again; 0 and the empty text were no
// value.
func objectsJSON(elements []source.Element, arrays [][]string) string {
	var objects []string
	for i := range arrays[0] {
		var o objectText
		for m, e := range elements {
			number := e.Kind == source.KindID || e.Kind == source.KindInt
			if item := arrays[m][i]; item != "" && (item != "0" || !number) {
				o.member(nil, e.Name, quotedJSON(item))
			}
		}
		objects = append(objects, o.end())
	}
	if len(objects) == 0 {
		return ""
	}
	return "[" + strings.Join(objects, ",") + "]"
}

// quotedJSON is a JSON string. Broken UTF-8 stays as it is: the parser takes it,
// and a document does not.
func quotedJSON(text string) string {
	if utf8.ValidString(text) {
		b, _ := jsontext.AppendQuote(nil, text)
		return string(b)
	}
	return `"` + text + `"` // no character of it needs an escape, else it would not have been stored
}
