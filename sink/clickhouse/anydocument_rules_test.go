package clickhouse

import (
	"encoding/json"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"deskhouse/source"

	"github.com/go-json-experiment/json/jsontext"
)

// The rules of columns, written down once more and differently.

// parseMembers are the members of an object as sent, repeated ones too; names
// with what is broken in them replaced.
func parseMembers(object string) []source.Member {
	var all []source.Member
	each(object, func(name, value string) { all = append(all, source.Member{Name: name, Value: value}) })
	return all
}

func parseItems(array string) []string {
	var all []string
	each(array, func(_, value string) { all = append(all, value) })
	return all
}

func each(text string, f func(name, value string)) {
	if text == "" {
		return
	}
	dec := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	open, _ := dec.ReadToken()
	for dec.PeekKind() != ']' && dec.PeekKind() != '}' {
		name := ""
		if open.Kind() == '{' {
			raw, err := dec.ReadValue()
			if err != nil {
				panic(err)
			}
			unquoted, _ := jsontext.AppendUnquote(nil, raw)
			name = string(unquoted)
		}
		value, err := dec.ReadValue()
		if err != nil {
			panic(err)
		}
		f(name, string(value))
	}
}

var (
	digits    = regexp.MustCompile(`^[0-9]+$`)
	integer   = regexp.MustCompile(`^[+-]?[0-9]+$`)
	decimals  = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$`)
	maxID     = new(big.Int).SetUint64(1<<64 - 1)
	firstTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC)
	lastDay   = time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC)
)

// storedText is what toString shows of a field's column, "NULL" for NULL, items
// of arrays in hexadecimal.
func storedText(k source.Kind, raw string) (text string, fits bool) {
	array := k == source.KindIDs || k == source.KindStrings
	none := "NULL"
	if array {
		none = ""
	}
	if raw == "null" {
		return none, true
	}
	if array {
		items, ok := arrayItems(raw, k == source.KindIDs)
		if !ok {
			return none, false
		}
		return hexItems(items), true
	}
	if k == source.KindJSON {
		return raw, true
	}
	text, ok := scalarText(k, raw)
	if !ok {
		return none, false
	}
	return text, true
}

// inQuotes is what stands between the quotes, or the value itself.
func inQuotes(raw string) string {
	if strings.HasPrefix(raw, `"`) {
		return raw[1 : len(raw)-1]
	}
	return raw
}

func scalarText(k source.Kind, raw string) (string, bool) {
	bare := inQuotes(raw)
	switch k {
	case source.KindID:
		n, ok := new(big.Int).SetString(bare, 10)
		return trimmed(n), ok && digits.MatchString(bare) && n.Cmp(maxID) <= 0
	case source.KindInt:
		n, ok := new(big.Int).SetString(bare, 10)
		return trimmed(n), ok && integer.MatchString(bare) && n.IsInt64()
	case source.KindBool:
		text := map[string]string{"true": "true", "1": "true", "false": "false", "0": "false"}[bare]
		return text, text != ""
	case source.KindTime:
		return timeOf(bare)
	case source.KindDate:
		if len(bare) > 10 && strings.HasPrefix(bare[10:], "T00:00:00") {
			bare = bare[:10]
		}
		day, err := time.Parse("2006-01-02", bare)
		return bare, err == nil && !day.Before(firstTime) && !day.After(lastDay)
	case source.KindDecimal:
		return decimalOf(bare)
	}
	return textOf(raw)
}

func trimmed(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.String()
}

func timeOf(bare string) (string, bool) {
	at, err := time.Parse(time.RFC3339Nano, bare)
	if n, failed := strconv.ParseInt(bare, 10, 64); failed == nil && n > 100_000_000_000 {
		at, err = time.UnixMilli(n), nil
	}
	at = time.UnixMilli(at.UnixMilli()).UTC()
	return at.Format("2006-01-02 15:04:05.000"), err == nil && !at.Before(firstTime) && !at.After(lastTime)
}

func decimalOf(bare string) (string, bool) {
	if !decimals.MatchString(bare) || len(bare) > 64 {
		return "", false
	}
	r, ok := new(big.Rat).SetString(bare)
	if !ok {
		return "", false
	}
	scaled := new(big.Rat).Mul(r, big.NewRat(1_000_000_000, 1))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	text := strings.TrimSuffix(strings.TrimRight(r.FloatString(9), "0"), ".")
	return text, scaled.IsInt() && scaled.Num().CmpAbs(limit) < 0
}

// textOf is a JSON string's text. Broken bytes are kept where nothing has to be
// decoded, and a text with escapes must be whole.
func textOf(raw string) (string, bool) {
	if raw[0] != '"' {
		return "", false
	}
	if !strings.Contains(raw, `\`) {
		return inQuotes(raw), true
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err == nil
}

// arrayItems are the texts of an array's strings and numbers.
func arrayItems(raw string, ids bool) ([]string, bool) {
	if raw[0] != '[' || !utf8.ValidString(raw) {
		return nil, false
	}
	var items []string
	for _, item := range parseItems(raw) {
		text, ok := textOf(item)
		switch {
		case item[0] == '-' || item[0] >= '0' && item[0] <= '9':
			text = item
		case !ok:
			return nil, false
		}
		if ids {
			if text == "" {
				return nil, false
			}
			if text, ok = scalarText(source.KindID, text); !ok {
				return nil, false
			}
		}
		items = append(items, text)
	}
	return items, true
}

// customText is what the column of a custom field shows.
func customText(typ, raw string) (string, bool) {
	kinds := map[string]source.Kind{"Number": source.KindInt, "Currency": source.KindDecimal, "Percent": source.KindDecimal, "Boolean": source.KindBool, "Date": source.KindDate,
		"DateTime": source.KindTime, "Picklist": source.KindEnum}
	k, typed := kinds[typ]
	switch {
	case typed:
		return storedText(k, raw)
	case typ == "Multiselect":
		return labelsText(raw)
	case raw == "null":
		return "NULL", true
	case raw[0] == '{' || raw[0] == '[':
		return "NULL", false
	case raw[0] != '"':
		return raw, true
	}
	text, ok := textOf(raw)
	if !ok {
		return "NULL", false
	}
	return text, true
}

func labelsText(raw string) (string, bool) {
	if raw == "null" {
		return "", true
	}
	if items, ok := arrayItems(raw, false); ok {
		return hexItems(items), true
	}
	text, ok := textOf(raw)
	if !ok {
		return "", false
	}
	return hexItems(slices.DeleteFunc(strings.Split(text, ";"), func(label string) bool { return label == "" })), true
}

// objectArrays are the parallel arrays of an array of objects, and whether they
// show all of it.
func objectArrays(elements []source.Element, raw string) (arrays [][]string, exact bool) {
	arrays = make([][]string, len(elements))
	if raw == "null" {
		return arrays, true
	}
	if raw[0] != '[' {
		return arrays, false
	}
	exact = true
	for _, item := range parseItems(raw) {
		var members []source.Member
		if item[0] == '{' {
			members = parseMembers(item)
		} else {
			exact = false
		}
		known := 0
		for i, e := range elements {
			none := "0"
			if e.Kind == source.KindString || e.Kind == source.KindEnum {
				none = ""
			}
			cell, shows, times := none, true, 0
			for _, m := range members {
				if m.Name != e.Name {
					continue
				}
				known++
				times++
				cell, shows = none, true
				if m.Value == "null" {
					continue
				}
				if text, ok := scalarText(e.Kind, m.Value); ok && text != none {
					cell = text
				} else {
					shows = false
				}
			}
			exact = exact && shows && times < 2
			arrays[i] = append(arrays[i], cell)
		}
		exact = exact && known == len(members)
	}
	return arrays, exact
}

// surelyFits are values that a document must hold.
func surelyFits(raw string) bool {
	_, err := strconv.ParseInt(raw, 10, 64)
	text, isText := textOf(raw)
	return err == nil || raw == "true" || raw == "false" || raw == "[]" || isText && utf8.ValidString(text)
}

// sameValue compares what a document holds with what was sent: numbers as
// numbers, members that are null are nothing.
func sameValue(got any, raw string) bool {
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.UseNumber()
	var want any
	return dec.Decode(&want) == nil && utf8.ValidString(raw) && reflect.DeepEqual(got, plain(want))
}

// leaves are the values left in a document; empty objects are nothing.
func leaves(v any) []any {
	object, ok := v.(map[string]any)
	if !ok {
		return []any{v}
	}
	var all []any
	for _, inner := range object {
		all = append(all, leaves(inner)...)
	}
	return all
}
