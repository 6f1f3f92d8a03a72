package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Columns are what of a table's records is not stored as Zoho sends it: names of columns, of fields as the API spells
// them, or of custom fields, each with * for any text. Whether a table has such columns is not known here.
type Columns struct {
	// Exclude are left out, of Hash only a keyed hash is stored.
	Exclude []string `json:"exclude,omitempty" yaml:"exclude,omitempty"`
	Hash    []string `json:"hash,omitempty" yaml:"hash,omitempty"`
}

// Departments are the departments whose records are stored. Exactly one of the two is given.
type Departments struct {
	Only   []uint64 `json:"only,omitempty" yaml:"only,omitempty"`
	Except []uint64 `json:"except,omitempty" yaml:"except,omitempty"`
}

// tablesOfDepartments are the tables whose records belong to departments.
var tablesOfDepartments = []string{"tickets", "products", "contracts"}

// minHashKey is the least length of a hash_key in bytes: a shorter one could be guessed.
const minHashKey = 16

func columns(v value) *Columns {
	if v.absent() {
		return nil
	}
	f := v.fields("exclude", "hash")
	c := &Columns{Exclude: f["exclude"].texts("[description, \"*_email\"]"), Hash: f["hash"].texts("[email, cf_phone]")}
	if v.kept() && len(c.Exclude)+len(c.Hash) == 0 && f["exclude"].absent() && f["hash"].absent() {
		v.fail("names no columns", "write {exclude: [description]}, {hash: [email]} or both, or remove the key")
	}
	return c
}

func departments(v value, table string) *Departments {
	if v.absent() {
		return nil
	}
	if !slices.Contains(tablesOfDepartments, table) {
		v.fail("is not for "+table+", whose records belong to no department", "remove it; it is for "+strings.Join(tablesOfDepartments, ", "))
		return nil
	}
	f := v.fields("only", "except")
	d := &Departments{Only: f["only"].ids(), Except: f["except"].ids()}
	switch {
	case !f["only"].absent() && !f["except"].absent():
		v.fail("has both only and except", "keep one of the two")
	case v.kept() && f["only"].absent() && f["except"].absent():
		v.fail("names no departments", `write {only: ["1234"]} or {except: ["1234"]}, or remove the key`)
	}
	return d
}

// hashKey reads the key of the keyed hashes, which must be there when a table asks for some.
func hashKey(v value, tables map[string]Table) Secret {
	key := v.secret()
	if n := len(key.Reveal()); n > 0 && n < minHashKey {
		v.fail(fmt.Sprintf("has %d bytes", n), fmt.Sprintf("at least %d, such as the output of: openssl rand -base64 32", minHashKey))
	}
	for _, name := range TableNames {
		if c := tables[name].Columns; v.absent() && c != nil && len(c.Hash) > 0 {
			v.fail("is missing, and tables."+name+".columns.hash needs it", "write {env: NAME} or {file: PATH}, with the output of: openssl rand -base64 32")
			break
		}
	}
	return key
}

// kept reports that no mistake was told for this place.
func (v value) kept() bool {
	return !slices.ContainsFunc(v.d.errs, func(e *Error) bool { return e.Path == v.path || strings.HasPrefix(e.Path, v.path+".") })
}

// texts reads a list of texts; one text is a list of one.
func (v value) texts(example string) []string {
	if v.absent() {
		return nil
	}
	nodes := []ast.Node{v.node}
	if list, ok := v.node.(*ast.SequenceNode); ok {
		nodes = list.Values
	}
	var all []string
	for _, n := range nodes {
		s, ok := scalar(n)
		switch {
		case !ok:
			v.fail("must be a list of texts", "write "+example)
			return nil
		case strings.TrimSpace(s) != s || s == "":
			v.fail("holds an empty text, or one with blanks around it", "write "+example)
			return nil
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		v.fail("is an empty list", "write "+example+" or remove the key")
	}
	return all
}

// ids reads a list of Zoho ids.
func (v value) ids() []uint64 {
	var all []uint64
	for _, s := range v.texts(`["1234"]`) {
		id, ok := parseID(s)
		if !ok {
			v.fail(quote(s)+" is not a department's id", "digits only, as deskhouse sql \"SELECT id, name FROM departments\" shows them")
			return nil
		}
		all = append(all, id)
	}
	return all
}

// Suggest names the known name that a misspelt one was meant to be, or all of them if they are few.
func Suggest(name string, known []string) string {
	if near, ok := nearest(name, known); ok {
		return "did you mean " + near + "?"
	}
	const few = 12
	if len(known) > few {
		return ""
	}
	return oneOf(known)
}
