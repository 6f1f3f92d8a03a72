package source

import "testing"

// Kinds are numbers in the edition, so they must never be renumbered: doing so
// would make every stored fingerprint look old.
func TestEditionIsThatOfTheContentFields(t *testing.T) {
	base := []Field{{Name: "id", Kind: KindID}, {Name: "a", Kind: KindString}}
	edition := func(fields ...Field) uint32 {
		return newResource("t", "", append(append([]Field{}, base...), fields...)).Edition()
	}
	for name, same := range map[string]Field{
		"a foreign field": {Name: "b", Foreign: true},
		"a listed field":  {Name: "b", Register: Listed},
	} {
		if edition(same) != edition() {
			t.Errorf("%s is not in the fingerprint but changes the edition", name)
		}
	}
	seen := map[uint32]string{edition(): "no more field"}
	for name, other := range map[string]Field{
		"a string":    {Name: "b", Kind: KindString},
		"its kind":    {Name: "b", Kind: KindInt},
		"its name":    {Name: "c", Kind: KindInt},
		"name border": {Name: "b\x00", Kind: KindInt},
	} {
		if e := edition(other); seen[e] != "" {
			t.Errorf("%s: the same edition as %s", name, seen[e])
		} else {
			seen[e] = name
		}
	}
}
