package clickhouse

import (
	"database/sql"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// shows is how the values of one column are shown. The driver scans days and
// times alike.
type shows struct{ dates bool }

var (
	dayTypes  = regexp.MustCompile(`\bDate(32)?\b`)
	timeTypes = regexp.MustCompile(`\bDateTime(64)?\b`)
)

// isDate reports whether the times in values of a type, an array's or a tuple's
// too, are days.
func isDate(typ string) bool { return dayTypes.MatchString(typ) && !timeTypes.MatchString(typ) }

// text shows a value the way ClickHouse's own client does, near enough:
// strings as they are, times in UTC, maps as JSON, the rest in Go's notation.
func (s shows) text(v reflect.Value) (string, bool) {
	if !v.IsValid() {
		return "", true
	}
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return "", true
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case driver.Dynamic:
		return s.text(reflect.ValueOf(x.Any()))
	case driver.JSON, []driver.JSON, []driver.Dynamic:
		return s.jsonText(v), false
	case time.Time:
		return s.time(x), false
	case sql.NullString:
		return x.String, !x.Valid
	case fmt.Stringer:
		return x.String(), false
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), false
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), false
	case reflect.Slice:
		return s.list(v), false
	case reflect.Map:
		return s.jsonText(v), false
	}
	return fmt.Sprint(v.Interface()), false
}

func (s shows) time(t time.Time) string {
	if s.dates {
		return t.UTC().Format(time.DateOnly)
	}
	if t.Nanosecond() == 0 {
		return t.UTC().Format(time.DateTime)
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999999")
}

func (s shows) list(v reflect.Value) string {
	out := "["
	for i := range v.Len() {
		if i > 0 {
			out += ","
		}
		item, null := s.text(v.Index(i))
		switch {
		case null:
			out += "NULL"
		case isText(v.Type().Elem()):
			out += literal(item)
		default:
			out += item
		}
	}
	return out + "]"
}

func isText(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.String
}
