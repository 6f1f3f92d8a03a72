package source

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Edition names what a fingerprint covers: a hash of the content fields' names
// and kinds. Fingerprints of two releases compare only where their editions are
// equal; between others every row may differ although nothing changed at Zoho.
// It depends on the catalog alone: not on the portal's custom fields, which
// enter a fingerprint by their own names.
func (r *Resource) Edition() uint32 {
	d := xxhash.New()
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Register != Content || f.Foreign {
			continue
		}
		_, _ = d.WriteString(f.Name)
		_, _ = d.Write([]byte{0, byte(f.Kind)})
	}
	var rules [4]byte
	binary.BigEndian.PutUint32(rules[:], canonicalRules)
	_, _ = d.Write(rules[:])
	return uint32(d.Sum64())
}

// canonicalRules is the version of the canonical forms themselves: raise it
// when a change of fingerprint.go makes a kind's values hash differently.
const canonicalRules = 1
