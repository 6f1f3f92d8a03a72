package source

import (
	"strings"
	"unicode"
)

// Table names a table of the warehouse and, by the same word, a resource of
// the portal. Config, metrics, logs and SQL all use these names.
type Table string

// The five tables.
const (
	Tickets            Table = "tickets"
	Departments        Table = "departments"
	Products           Table = "products"
	OrganizationFields Table = "organization_fields"
	Contracts          Table = "contracts"
)

// Kind is what a field's JSON value means; the sink gives each kind one column
// type and the fingerprint one canonical form. Their numbers are part of a
// catalog's edition: new ones go to the end.
type Kind uint8

// The kinds of values. Zoho quotes ids and counters ("121"); both the quoted
// and the plain form are read (zoho-desk OAS allows either).
const (
	KindString  Kind = iota // short free text
	KindText                // long text or HTML, up to 65,535 characters
	KindEnum                // one of few labels (status, channel, picklists)
	KindID                  // id of a record, unsigned 64 bits
	KindIDs                 // array of ids
	KindInt                 // counter or plain integer
	KindBool                // true/false, also "true"/"false"/1/0
	KindTime                // instant, millisecond resolution
	KindDate                // calendar day yyyy-MM-dd
	KindDecimal             // money or other decimal number
	KindStrings             // array of strings
	KindJSON                // open structure, kept as JSON text
	KindCustom              // the cf object: custom fields by API name
	KindObjects             // array of objects with known members: parallel arrays, one a member
)

// Register says which part of a row a field belongs to. A register is written
// as a whole or not at all, so no reply can blank what it does not carry.
type Register uint8

// Content is the main table's row: what search, GET and a complete webhook
// payload all carry. Listed is what only lists and search carry, Detail what
// only GET (and a webhook payload that has it all) carries.
const (
	Content Register = iota
	Listed
	Detail
	registers
)

// String returns the register's name as tables and logs spell it.
func (r Register) String() string {
	return [...]string{"content", "listed", "detail"}[r]
}

// Field is one value of a resource and one column of its register's table, or
// one column for each element member with KindObjects.
type Field struct {
	Name     string   // path in the JSON record: "subject", "assignee.email"
	Column   string   // snake_case column name, not used with KindObjects
	Kind     Kind     // meaning of the value
	Register Register // which table carries it
	// Foreign marks values that are not the record's own (names of joined
	// objects, values relative to the calling agent, derived URLs): they are
	// stored but are no evidence that the record changed.
	Foreign bool
	// Optional marks keys that a complete reply may lack (include-only, or
	// sent by some portals only).
	Optional bool
	// Note says in a few words what an analyst should know of the values: the
	// unit, the labels there are, what they refer to. "" for none.
	Note string
	// Elements are the members of the objects in a KindObjects array, else nil.
	Elements []Element
}

// Element is one member of the objects in an array, and the array column that
// holds it for all of them.
type Element struct {
	Name    string // key in the object: "id"
	Column  string // snake_case column name: "shared_department_ids"
	Kind    Kind   // KindID, KindInt, KindString or KindEnum
	Foreign bool   // as Field.Foreign
	Note    string // as Field.Note
}

// Columns are the names of the columns that hold the field.
func (f *Field) Columns() []string {
	if f.Kind != KindObjects {
		return []string{f.Column}
	}
	names := make([]string, len(f.Elements))
	for i, e := range f.Elements {
		names[i] = e.Column
	}
	return names
}

// Resource describes one table: where it is found in the API's vocabulary and
// which fields it has. Resources are built once and shared; they are
// read-only and safe for concurrent use.
type Resource struct {
	Table  Table
	Module string // Zoho's module name, as /fields and /recycleBin spell it
	Fields []Field

	root     *node
	static   [registers]FieldSet // all fields of a register
	required [registers]FieldSet // those a complete reply carries
	modified int                 // index of modifiedTime, -1 without
	created  int                 // index of createdTime, -1 without
	custom   int                 // index of cf, -1 without
	id       int
	apiName  int // index of apiName (organization fields), -1 else
}

// CustomField is the metadata of one custom field (zoho-desk OAS Field.json,
// FieldOld.json), as the warehouse needs it for a column.
type CustomField struct {
	APIName string // the key inside cf, "cf_region"
	Label   string // display label, free text
	Type    string // Zoho's type: Text, Number, Decimal, Picklist, Multiselect, …
}

// FieldSet is a set of indices into Resource.Fields.
type FieldSet [2]uint64

// Has reports whether index i is in the set.
func (s FieldSet) Has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

// With returns s with index i added.
func (s FieldSet) With(i int) FieldSet {
	s[i>>6] |= 1 << (i & 63)
	return s
}

// Union returns the indices that are in s or t.
func (s FieldSet) Union(t FieldSet) FieldSet { return FieldSet{s[0] | t[0], s[1] | t[1]} }

// Intersect returns the indices that are in s and t.
func (s FieldSet) Intersect(t FieldSet) FieldSet { return FieldSet{s[0] & t[0], s[1] & t[1]} }

// Without leaves out the fields of t.
func (s FieldSet) Without(t FieldSet) FieldSet { return FieldSet{s[0] &^ t[0], s[1] &^ t[1]} }

// Covers reports whether every index of t is in s.
func (s FieldSet) Covers(t FieldSet) bool { return t[0]&^s[0] == 0 && t[1]&^s[1] == 0 }

// Empty reports whether the set has no index.
func (s FieldSet) Empty() bool { return s == FieldSet{} }

// HasCustom reports whether the resource has custom fields.
func (r *Resource) HasCustom() bool { return r.custom >= 0 }

// HasModified reports whether records carry a modifiedTime.
func (r *Resource) HasModified() bool { return r.modified >= 0 }

// Required returns the fields of a register that a complete reply carries.
func (r *Resource) Required(reg Register) FieldSet { return r.required[reg] }

// In returns the indices of the fields of one register, in declared order.
func (r *Resource) In(reg Register) []int {
	var in []int
	for i, f := range r.Fields {
		if f.Register == reg {
			in = append(in, i)
		}
	}
	return in
}

// Has reports whether the resource has fields of that register at all.
func (r *Resource) Has(reg Register) bool { return !r.static[reg].Empty() }

// node is one level of the key tree that records are parsed against.
type node struct {
	field    int // -1: not a field itself
	children map[string]*node
	skip     bool // known, deliberately not stored
	deleted  bool // a life flag: true means deleted
}

// lifeFlags are the keys whose truth means that a record is deleted, in any
// payload (isTrashed, isDeleted: zoho-desk OAS Ticket.json; IsDel, isDel:
// captures of Ticket_Update deliveries).
var lifeFlags = []string{"IsDel", "isDel", "isDeleted", "isTrashed"}

func newResource(table Table, module string, fields []Field) *Resource {
	if len(fields) > 128 {
		panic("source: FieldSet holds 128 fields, " + string(table) + " has more")
	}
	r := &Resource{Table: table, Module: module, Fields: fields, root: &node{field: -1},
		modified: -1, created: -1, custom: -1, id: -1, apiName: -1}
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Column == "" {
			f.Column = snake(f.Name)
		}
		f.annotate(notes[table])
		r.root.add(strings.Split(f.Name, "."), i)
		r.note(f.Name, i)
		r.static[f.Register] = r.static[f.Register].With(i)
		if !f.Optional {
			r.required[f.Register] = r.required[f.Register].With(i)
		}
	}
	for _, flag := range lifeFlags {
		n := r.root.at(flag)
		n.deleted = true
	}
	// customFields is cf again, keyed by label (deprecated, zoho-desk OAS
	// Ticket.json): storing it would double the row and make a renamed label
	// look like a change.
	r.root.at("customFields").skip = true
	return r
}

func (r *Resource) note(name string, i int) {
	switch name {
	case "id":
		r.id = i
	case "modifiedTime":
		r.modified = i
	case "createdTime":
		r.created = i
	case "cf":
		r.custom = i
	case "apiName":
		r.apiName = i
	}
}

func (n *node) at(key string) *node {
	child := n.children[key]
	if child == nil {
		child = &node{field: -1}
		if n.children == nil {
			n.children = map[string]*node{}
		}
		n.children[key] = child
	}
	return child
}

func (n *node) add(path []string, field int) {
	for _, key := range path {
		n = n.at(key)
	}
	n.field = field
}

// snake turns a JSON path into a column name: "assignee.firstName" becomes
// assignee_first_name, "associatedSLAId" associated_sla_id.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, c := range runes {
		if c == '.' {
			b.WriteByte('_')
			continue
		}
		if unicode.IsUpper(c) && i > 0 && runes[i-1] != '.' {
			startsWord := unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if startsWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
