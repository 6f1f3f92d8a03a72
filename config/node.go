package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decoder walks the syntax tree and gathers mistakes, where decoding into structs would stop at the first one and
// would quote lines of the file, secrets included.
type decoder struct {
	base   string
	getenv func(string) string
	errs   []*Error
}

// value is one place in the file: what is written there, its key and its line.
type value struct {
	d    *decoder
	node ast.Node // nil when the key is not given, or when what is given was refused
	path string
	line int
	// refused is set once a mistake was told for this place or for the object around it, so that one mistake gives one line.
	refused bool
}

// fields are the values of an object by key; every known key is there, given or not.
type fields map[string]value

// entry is one key of an object, its place without a node yet, and what is written there.
type entry struct {
	key   string
	place value
	node  ast.Node
}

// value puts the node at its place, which records a mistake when it says nothing.
func (e entry) value() value { return e.place.with(e.node) }

// parse returns the one document in data.
func (d *decoder) parse(data []byte) (value, bool) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.add(syntaxError(err))
		return value{}, false
	}
	var docs []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType {
			docs = append(docs, doc.Body)
		}
	}
	if len(docs) > 1 {
		d.add(&Error{Line: line(docs[1]), Problem: "a second YAML document starts here", Fix: "keep everything in one document"})
		return value{}, false
	}
	root := value{d: d, line: 1}
	if len(docs) == 1 {
		root.node = docs[0]
	}
	return root, true
}

// syntaxError keeps the parser's message and line and drops its quotation of the file, which may show a secret.
func syntaxError(err error) *Error {
	e := &Error{Problem: "not valid YAML", Fix: "check indentation, quotes and brackets around this line"}
	var y yaml.Error
	if errors.As(err, &y) {
		e.Problem += ": " + y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line = t.Position.Line
		}
	}
	return e
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// absent reports that there is nothing to read here.
func (v value) absent() bool { return v.node == nil }

// fail records a mistake at v. The words must not quote what may be a secret.
func (v value) fail(problem, fix string) {
	if !v.refused {
		v.d.add(&Error{Line: v.line, Path: v.path, Problem: problem, Fix: fix})
	}
}

// reject is fail for a value that cannot be read at all.
func (v value) reject(problem, fix string) value {
	v.fail(problem, fix)
	v.node, v.refused = nil, true
	return v
}

// told marks a place whose mistake is told already: a misspelt key is not missing as well.
func (v value) told() value {
	v.refused = true
	return v
}

// required records a mistake when nothing is given; what says what to write.
func (v value) required(what string) value {
	if v.absent() {
		return v.reject("is missing", "write "+what)
	}
	return v
}

// entries lists the keys of an object in the order of the file, without those that occur twice.
func (v value) entries() (all []entry, ok bool) {
	if v.absent() {
		return nil, true
	}
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return nil, false
	}
	for _, pair := range pairs {
		key, ok := keyName(pair.Key)
		at := value{d: v.d, path: v.path, line: line(pair.Key)}
		if !ok {
			at.fail("has a key that is no plain name", "write key: value, with the value after a colon and a space")
			continue
		}
		at.path = join(v.path, key)
		if slices.ContainsFunc(all, func(e entry) bool { return e.key == key }) {
			at.fail("is given twice", "keep one of the two")
			continue
		}
		all = append(all, entry{key, at, pair.Value})
	}
	return all, true
}

// plainKey takes names of up to 40 characters, and longer ones of words with _ between, as settings of ClickHouse have
// them: Zoho's secrets are longer than 40 and have no _.
var plainKey = regexp.MustCompile(`^([A-Za-z0-9_-]{1,40}|[a-z0-9]{1,20}(_[a-z0-9]{1,20}){1,15})$`)

// keyName refuses keys that do not look like names: what follows a forgotten colon could be a secret, and keys are
// quoted in messages.
func keyName(key ast.MapKeyNode) (string, bool) {
	if _, merge := key.(*ast.MergeKeyNode); merge {
		return "", false
	}
	s, ok := scalar(key)
	return s, ok && plainKey.MatchString(s)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// with puts a node at a place, refusing those that say nothing or say it elsewhere.
func (v value) with(n ast.Node) value {
	switch n.(type) {
	case nil, *ast.NullNode:
		return v.reject("is set but empty", "give it a value or remove the key")
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MappingKeyNode:
		return v.reject("uses an anchor, an alias or a tag", "write the value out")
	}
	v.node = n
	return v
}

// fields reads an object with known keys; any other key is a mistake.
func (v value) fields(known ...string) fields {
	all, ok := v.entries()
	if !ok {
		v = v.reject("must be an object", "write {"+strings.Join(known, ": …, ")+": …}, or what of it is needed")
	}
	f := make(fields, len(known))
	for _, key := range known {
		f[key] = value{d: v.d, path: join(v.path, key), line: v.line, refused: v.refused}
	}
	for _, e := range all {
		if _, ok := f[e.key]; ok {
			f[e.key] = e.value()
			continue
		}
		e.place.fail("unknown key", suggest(e.key, known))
		if meant, ok := nearest(e.key, known); ok && f[meant].absent() {
			f[meant] = f[meant].told()
		}
	}
	return f
}

// named reads an object whose keys the user chose.
func (v value) named(kind, example string) []entry {
	all, ok := v.entries()
	switch {
	case !ok:
		v.fail("must be an object with a name for each "+kind, "write "+example)
	case len(all) == 0:
		v.fail("has no "+kind, "write "+example)
	}
	for _, e := range all {
		if !validName.MatchString(e.key) {
			e.place.fail("is not a name", fmt.Sprintf("name a %s with a small letter, then up to 30 small letters, digits, - or _", kind))
		}
	}
	return all
}

// validName is part of URLs, of stream names and of metric labels.
var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)

// scalar returns a text, number or boolean as it is written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
