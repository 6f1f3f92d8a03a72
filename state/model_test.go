package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestKeysBehaveLikeAMap drives random operations, clean reopenings and crashes, and compares with a map after each.
func TestKeysBehaveLikeAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := embeddedConfig(t)
		s, ctx := openStore(t, cfg), testContext(t)
		model := map[string]Entry{}
		key := rapid.Custom(func(rt *rapid.T) string {
			return fmt.Sprintf("%s.%d", rapid.SampledFrom([]string{"ckpt", "reread", "reread.p"}).Draw(rt, "kind"), rapid.IntRange(0, 2).Draw(rt, "n"))
		})
		value := rapid.SliceOfN(rapid.Byte(), 0, 50)
		rarely := rapid.Map(rapid.IntRange(0, 5), func(n int) bool { return n == 1 }) // these two are slow
		highest := uint64(0)
		store := func(k string, v []byte, rev uint64, err error) {
			if err != nil || rev <= highest {
				rt.Fatalf("write %s: revision %d after %d, %v", k, rev, highest, err)
			}
			highest = rev
			model[k] = Entry{Key: k, Value: v, Revision: rev}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				k, v := key.Draw(rt, "key"), value.Draw(rt, "value")
				rev, err := s.Put(ctx, k, v, model[k].Revision)
				store(k, v, rev, err)
			},
			"put at a wrong revision": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if _, err := s.Put(ctx, k, nil, model[k].Revision+1); !errors.Is(err, ErrConflict) {
					rt.Fatalf("put %s: %v", k, err)
				}
			},
			"set": func(rt *rapid.T) {
				k, v := key.Draw(rt, "key"), value.Draw(rt, "value")
				rev, err := s.Set(ctx, k, v)
				store(k, v, rev, err)
			},
			"delete": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if err := s.Delete(ctx, k); err != nil {
					rt.Fatal(err)
				}
				delete(model, k)
			},
			"reopen": func(rt *rapid.T) {
				if !rarely.Draw(rt, "now") {
					return
				}
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = openStore(t, cfg)
			},
			"crash": func(rt *rapid.T) {
				if !rarely.Draw(rt, "now") {
					return
				}
				crashed := crashCopy(t, cfg)
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				cfg = crashed
				s = openStore(t, cfg)
			},
			"": func(rt *rapid.T) {
				got, err := s.List(ctx, "")
				if err != nil {
					rt.Fatal(err)
				}
				want := slices.SortedFunc(maps.Values(model), func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
				if fmt.Sprint(got) != fmt.Sprint(want) {
					rt.Fatalf("got %v, want %v", got, want)
				}
			},
		})
	})
}
