package source

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Text masks the JSON object of an earlier state of a record, as Zoho sends it
// with an update. "" when it is of a department that is not selected, or cannot
// be read.
func (m *Mask) Text(object string) string {
	if m == nil || object == "" {
		return object
	}
	out := &bytes.Buffer{}
	t := maskedText{m: m, out: jsontext.NewEncoder(out, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		in: jsontext.NewDecoder(strings.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if t.in.PeekKind() != '{' || t.object(m.res.root, "") != nil || t.leftOut {
		return ""
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// maskedText is one object on its way from in to out.
type maskedText struct {
	m       *Mask
	in      *jsontext.Decoder
	out     *jsontext.Encoder
	leftOut bool
}

// object copies the object at hand, member by member.
func (t *maskedText) object(n *node, path string) error {
	if err := t.token(); err != nil {
		return err
	}
	for t.in.PeekKind() != '}' {
		name, err := t.in.ReadToken()
		if err != nil {
			return err
		}
		if err := t.member(n, path, name.String()); err != nil {
			return err
		}
	}
	return t.token()
}

// token copies one token.
func (t *maskedText) token() error {
	tok, err := t.in.ReadToken()
	if err != nil {
		return err
	}
	return t.out.WriteToken(tok)
}

func (t *maskedText) member(n *node, path, name string) error {
	child := n.children[name]
	opens := t.in.PeekKind() == '{'
	switch {
	case child != nil && child.children != nil && opens:
		return t.nested(name, func() error { return t.object(child, path+name+".") })
	case child != nil && child.field >= 0 && child.field == t.m.res.custom && opens:
		return t.nested(name, t.customFields)
	}
	raw, err := t.in.ReadValue()
	if err != nil {
		return err
	}
	return t.write(name, t.treatment(child, path+name, string(raw)), kindOf(t.m.res, child), string(raw))
}

func (t *maskedText) nested(name string, object func() error) error {
	if err := t.out.WriteToken(jsontext.String(name)); err != nil {
		return err
	}
	return object()
}

// treatment is what becomes of a value that is no object the catalog knows.
func (t *maskedText) treatment(child *node, path, raw string) treatment {
	switch {
	case child == nil || child.field < 0 && child.children != nil && raw != null:
		return t.m.unknown(path)
	case child.skip, child.field >= 0 && child.field == t.m.res.custom:
		if t.m.MasksCustom() { // customFields has labels for names: it cannot be told which is which
			return excluded
		}
	case child.field >= 0:
		if child.field == t.m.department {
			t.leftOut = t.m.leavesValue(raw)
		}
		return t.m.fields[child.field]
	}
	return keep
}

func kindOf(res *Resource, n *node) Kind {
	if n == nil || n.field < 0 {
		return KindJSON
	}
	return res.Fields[n.field].Kind
}

// write copies one member, if it is kept.
func (t *maskedText) write(name string, treat treatment, kind Kind, raw string) error {
	if treat == excluded {
		return nil
	}
	if err := t.out.WriteToken(jsontext.String(name)); err != nil {
		return err
	}
	return t.out.WriteValue(jsontext.Value(t.m.value(treat, kind, raw)))
}

func (t *maskedText) customFields() error {
	if err := t.token(); err != nil {
		return err
	}
	for t.in.PeekKind() != '}' {
		name, err := t.in.ReadToken()
		if err != nil {
			return err
		}
		api := name.String()
		raw, err := t.in.ReadValue()
		if err != nil {
			return err
		}
		if err := t.write(api, t.m.ofCustom(api), KindString, string(raw)); err != nil {
			return err
		}
	}
	return t.token()
}
