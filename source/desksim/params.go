package desksim

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check decides whether a query value is allowed.
type check func(string) bool

// params lists the query parameters an endpoint knows. orgId is known everywhere (OAS Common.json; the header works too).
type params map[string]check

// query is a call's checked parameters.
type query map[string]string

// parse refuses unknown, repeated and malformed parameters, as live portals do.
func (ps params) parse(raw string) (query, *apiError) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &apiError{status: 400, code: "BAD_REQUEST", message: "The query string is malformed."}
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	q := make(query, len(values))
	for _, name := range names {
		ok, known := ps[name]
		switch {
		case name == "orgId":
			continue
		case !known:
			return nil, errExtraQuery(name)
		case len(values[name]) != 1 || !ok(values[name][0]):
			return nil, errQuery(name)
		}
		q[name] = values[name][0]
	}
	return q, nil
}

// with returns ps and more; ps is not changed.
func (ps params) with(more params) params {
	all := params{}
	for _, m := range []params{ps, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func anyText(s string) bool { return s != "" && len(s) <= 65535 }

func isID(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil && s[0] != '-' && s[0] != '+'
}

func isIDList(maxItems int) check {
	return func(s string) bool {
		items := strings.Split(s, ",")
		return len(items) <= maxItems && !slices.ContainsFunc(items, func(i string) bool { return !isID(i) })
	}
}

func isBool(s string) bool { return s == "true" || s == "false" }

func isNumber(low, high int) check {
	return func(s string) bool {
		n, err := strconv.ParseUint(s, 10, 31)
		return err == nil && int(n) >= low && int(n) <= high
	}
}

func oneOf(allowed ...string) check {
	return func(s string) bool { return slices.Contains(allowed, s) }
}

// sortedBy allows the names, each also with the descending prefix.
func sortedBy(allowed ...string) check {
	return func(s string) bool { return slices.Contains(allowed, strings.TrimPrefix(s, "-")) }
}

// listOf allows a comma list of the names, without repeats.
func listOf(allowed ...string) check {
	return func(s string) bool {
		items := strings.Split(s, ",")
		for i, item := range items {
			if !slices.Contains(allowed, item) || slices.Contains(items[:i], item) {
				return false
			}
		}
		return true
	}
}

func atMost(n int) check { return func(s string) bool { return s != "" && strings.Count(s, ",") < n } }

// stamp is one half of a range in OAS Search.json: the milliseconds may be missing, the Z may not.
const stamp = `(?:19|20)\d\d[-/.](?:0?[1-9]|1[012])[-/.](?:0?[1-9]|[12][0-9]|3[01])T(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](?:[/.]\d{0,3})?Z`

var rangePattern = regexp.MustCompile(`^` + stamp + `,` + stamp + `$`)

// isRange demands two stamps, the first not after the second. Only yyyy-MM-ddTHH:mm:ss[.SSS]Z is understood here: the
// OAS pattern is wider, its text names no other format.
func isRange(s string) bool {
	if !rangePattern.MatchString(s) {
		return false
	}
	_, ok := parseRange(s, EndsIncluded)
	return ok
}

// parseRange turns a range into the whole seconds in it.
func parseRange(s string, ends RangeEnds) (span, bool) {
	a, b, ok := strings.Cut(s, ",")
	if !ok {
		return span{}, false
	}
	from, err1 := time.Parse("2006-01-02T15:04:05.999Z", a)
	to, err2 := time.Parse("2006-01-02T15:04:05.999Z", b)
	if err1 != nil || err2 != nil || from.After(to) {
		return span{}, false
	}
	r := span{ceilSecond(from), to.Unix()}
	if ends != EndsIncluded {
		r.to = ceilSecond(to) - 1
	}
	if ends == EndsExcluded {
		r.from = from.Unix() + 1
	}
	return r, true
}

func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// span is the time range a parameter gives, with the ends of Config.Ends.
func (p *Portal) span(q query, name string) span {
	if v, ok := q[name]; ok {
		s, _ := parseRange(v, p.cfg.Ends)
		return s
	}
	return always
}

func (q query) number(name string, d int) int {
	if v, ok := q[name]; ok {
		n, _ := strconv.Atoi(v)
		return n
	}
	return d
}

func (q query) id(name string) uint64 {
	n, _ := strconv.ParseUint(q[name], 10, 64)
	return n
}

func (q query) idSet(name string) map[uint64]bool {
	v, ok := q[name]
	if !ok {
		return nil
	}
	set := map[uint64]bool{}
	for item := range strings.SplitSeq(v, ",") {
		n, _ := strconv.ParseUint(item, 10, 64)
		set[n] = true
	}
	return set
}

func (q query) includes() include {
	var inc include
	if v := q["include"]; v != "" {
		for item := range strings.SplitSeq(v, ",") {
			inc |= includeNames[item]
		}
	}
	return inc
}

// sort returns the name to sort by and whether descending.
func (q query) sort(d string) (name string, descending bool) {
	v, ok := q["sortBy"]
	if !ok {
		v = d
	}
	return strings.CutPrefix(v, "-")
}
