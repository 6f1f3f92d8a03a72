package oascheck

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one place where a request or a reply does not fit.
type Problem struct {
	Method, Path string // Path is the template of the file, or the request's own path
	Kind         string // endpoint, parameter, status, type, missing, member, value, schema
	At           string // JSON pointer with * for array elements, or the parameter's name
	Detail       string
}

func (p Problem) Error() string {
	return fmt.Sprintf("%s %s: %s at %q: %s", p.Method, p.Path, p.Kind, p.At, p.Detail)
}

// shape is one way to satisfy a schema, with allOf, anyOf and oneOf worked in. The files put additionalProperties false into
// branches of an allOf, which taken literally nothing satisfies; they mean the union of the branches, so that is checked.
type shape struct {
	props    map[string][]node
	patterns map[string]node
	required map[string]bool
	closed   bool
	plain    []node // for types and values
}

func (s *Spec) shapes(n node) ([]shape, error) {
	n, err := s.resolve(n)
	if err != nil {
		return nil, err
	}
	base := shape{props: map[string][]node{}, patterns: map[string]node{}, required: map[string]bool{}, plain: []node{n}}
	for name, v := range asMap(n.v["properties"]) {
		base.props[name] = []node{{n.file, asMap(v)}}
	}
	for pattern, v := range asMap(n.v["patternProperties"]) {
		base.patterns[pattern] = node{n.file, asMap(v)}
	}
	for _, name := range asList(n.v["required"]) {
		base.required[fmt.Sprint(name)] = true
	}
	base.closed = n.v["additionalProperties"] == false
	all := []shape{base}
	for _, part := range asList(n.v["allOf"]) {
		more, err := s.shapes(node{n.file, asMap(part)})
		if err != nil {
			return nil, err
		}
		all = cross(all, more)
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		var ways []shape
		for _, part := range asList(n.v[word]) {
			more, err := s.shapes(node{n.file, asMap(part)})
			if err != nil {
				return nil, err
			}
			ways = append(ways, more...)
		}
		if len(ways) > 0 {
			all = cross(all, ways)
		}
	}
	return all, nil
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

func cross(as, bs []shape) []shape {
	var out []shape
	for _, a := range as {
		for _, b := range bs {
			out = append(out, merge(a, b))
		}
	}
	return out
}

func merge(a, b shape) shape {
	m := shape{props: map[string][]node{}, patterns: map[string]node{}, required: map[string]bool{}, closed: a.closed || b.closed,
		plain: slices.Concat(a.plain, b.plain)}
	for _, s := range []shape{a, b} {
		for k, v := range s.props {
			m.props[k] = append(m.props[k], v...)
		}
		for k, v := range s.patterns {
			m.patterns[k] = v
		}
		for k := range s.required {
			m.required[k] = true
		}
	}
	return m
}

// check holds a value against schemas that must all be satisfied and returns the problems of the closest way.
func (s *Spec) check(nodes []node, v any, at string) []Problem {
	ways := []shape{{}}
	for _, n := range nodes {
		more, err := s.shapes(n)
		if err != nil {
			return []Problem{{Kind: "schema", At: at, Detail: err.Error()}}
		}
		ways = cross(ways, more)
	}
	var best []Problem
	for i, w := range ways {
		found := s.checkShape(w, v, at)
		if len(found) == 0 {
			return nil
		}
		if i == 0 || len(found) < len(best) {
			best = found
		}
	}
	return best
}

func (s *Spec) checkShape(w shape, v any, at string) []Problem {
	var found []Problem
	for _, n := range w.plain {
		found = append(found, checkPlain(n.v, v, at)...)
	}
	if len(found) > 0 {
		return found
	}
	switch v := v.(type) {
	case map[string]any:
		return s.checkObject(w, v, at)
	case []any:
		var items []node
		for _, n := range w.plain {
			if item := asMap(n.v["items"]); item != nil {
				items = append(items, node{n.file, item})
			}
		}
		for _, element := range v {
			found = append(found, s.check(items, element, at+"/*")...)
		}
	}
	return found
}

func (s *Spec) checkObject(w shape, v map[string]any, at string) []Problem {
	var found []Problem
	for name := range w.required {
		if _, ok := v[name]; !ok {
			found = append(found, Problem{Kind: "missing", At: at + "/" + name, Detail: "required by the schema"})
		}
	}
	for name, member := range v {
		here := at + "/" + name
		nodes := w.props[name]
		if nodes == nil {
			for pattern, n := range w.patterns {
				if ok, err := matches(pattern, name); err != nil {
					found = append(found, Problem{Kind: "schema", At: here, Detail: err.Error()})
				} else if ok {
					nodes = append(nodes, n)
				}
			}
		}
		switch {
		case nodes != nil:
			found = append(found, s.check(nodes, member, here)...)
		case w.closed:
			found = append(found, Problem{Kind: "member", At: here, Detail: "not in the schema"})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].At < found[j].At })
	return found
}

// checkPlain holds a value against the words of one schema that are about types and values.
func checkPlain(schema map[string]any, v any, at string) []Problem {
	if t, ok := schema["type"]; ok && !typeFits(t, v) {
		return []Problem{{Kind: "type", At: at, Detail: fmt.Sprintf("%s where the schema has %v", typeOf(v), t)}}
	}
	if v == nil {
		return nil
	}
	bad := func(format string, args ...any) []Problem {
		return []Problem{{Kind: "value", At: at, Detail: fmt.Sprintf(format, args...)}}
	}
	if enum := asList(schema["enum"]); enum != nil && !slices.Contains(enum, v) {
		return bad("not one of %v", enum)
	}
	if text, ok := v.(string); ok {
		if problem := checkString(schema, text); problem != "" {
			return bad("%s", problem)
		}
	}
	if n, ok := numberOf(v); ok {
		if low, given := schema["minimum"].(float64); given && n < low {
			return bad("below %v", low)
		}
		if high, given := schema["maximum"].(float64); given && n > high {
			return bad("above %v", high)
		}
	}
	if l, ok := v.([]any); ok {
		if most, given := schema["maxItems"].(float64); given && len(l) > int(most) {
			return bad("more than %v elements", most)
		}
	}
	return nil
}

func checkString(schema map[string]any, text string) string {
	if most, ok := schema["maxLength"].(float64); ok && utf8.RuneCountInString(text) > int(most) {
		return fmt.Sprintf("longer than %v", most)
	}
	if least, ok := schema["minLength"].(float64); ok && utf8.RuneCountInString(text) < int(least) {
		return fmt.Sprintf("shorter than %v", least)
	}
	if pattern, ok := schema["pattern"].(string); ok {
		if ok, err := matches(pattern, text); err != nil || !ok {
			return fmt.Sprintf("does not match %s (%v)", pattern, err)
		}
	}
	return ""
}

func typeFits(t, v any) bool {
	have := typeOf(v)
	for _, want := range append(asList(t), t) {
		if want == have || want == "number" && have == "integer" {
			return true
		}
	}
	return false
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	}
	return 0, false
}

// matches translates a pattern from Java, where it must match the whole text.
func matches(pattern, text string) (bool, error) {
	p := strings.ReplaceAll(pattern, `\P{InBasicLatin}`, `\x{80}-\x{10FFFF}`)
	p = strings.ReplaceAll(p, `(?=.{4,256}$)`, "") // a length of the part behind the @, which RE2 cannot look ahead for
	re, err := regexp.Compile(`^(?:` + p + `)$`)
	if err != nil {
		return false, fmt.Errorf("pattern of the schema: %w", err)
	}
	return re.MatchString(text), nil
}
