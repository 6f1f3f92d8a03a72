package source

import (
	"encoding/binary"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Edition names what a fingerprint covers: a hash of the content fields' names
// and kinds. Fingerprints of two releases compare only where their editions are
// equal; between others every row may differ although nothing changed at Zoho.
// It depends on the catalog alone: not on the portal's custom fields, which
// enter a fingerprint by their own names.
func (r *Resource) Edition() uint32 { return r.edition("") }

// Edition is the resource's for records that passed the mask: what is left out
// or hashed changes their fingerprints. Departments do not.
func (m *Mask) Edition() uint32 { return m.edition }

func (m *Mask) ownEdition() uint32 {
	if len(m.patterns) == 0 {
		return m.res.Edition()
	}
	var b strings.Builder
	b.WriteString(m.KeyID())
	for _, p := range m.patterns {
		b.WriteString("\x00" + strings.ToLower(p.text) + "\x00")
		b.WriteByte('0' + byte(p.treat))
	}
	return m.res.edition(b.String())
}

func (r *Resource) edition(selection string) uint32 {
	d := xxhash.New()
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Register != Content || f.Foreign {
			continue
		}
		_, _ = d.WriteString(f.Name)
		_, _ = d.Write([]byte{0, byte(f.Kind)})
		for _, e := range f.Elements {
			if !e.Foreign {
				_, _ = d.WriteString(e.Name)
				_, _ = d.Write([]byte{1, byte(e.Kind)})
			}
		}
	}
	var rules [4]byte
	binary.BigEndian.PutUint32(rules[:], canonicalRules)
	_, _ = d.Write(rules[:])
	_, _ = d.WriteString(selection)
	return uint32(d.Sum64())
}

// canonicalRules is the version of the canonical forms themselves: raise it
// when a change of fingerprint.go makes a kind's values hash differently.
const canonicalRules = 1
