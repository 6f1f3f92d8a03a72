package desksim

import (
	"cmp"
	"slices"
)

// tieSalt is what orders rows with equal sort keys in one request: 0 for ascending ids, with Config.UnstableTies another
// value each time.
func (p *Portal) tieSalt() uint64 {
	if !p.cfg.UnstableTies {
		return 0
	}
	return mix2(p.gen.seed^0x71e5, p.salts.Add(1)) | 1
}

// tie compares two ids with equal sort keys; rows in order of ids stay so without a salt.
func tie(salt, a, b uint64) int {
	if salt == 0 {
		return 0
	}
	return cmp.Compare(mix2(salt, a), mix2(salt, b))
}

// inGroups visits the entries from lo to hi, which are in ascending order of key, ascending or descending. Equal keys come in
// order of ids, or as salt says; seq is false for an entry to skip. visit returns false to stop.
func inGroups(lo, hi int, descending bool, salt uint64, key func(int) int64, seq func(int) (uint32, bool), visit func(uint32) bool) {
	var same []uint32
	for lo < hi {
		start, end := lo, hi
		if descending {
			for start = hi - 1; start > lo && key(start-1) == key(hi-1); start-- {
			}
			hi = start
		} else {
			for end = lo + 1; end < hi && key(end) == key(lo); end++ {
			}
			lo = end
		}
		same = same[:0]
		for i := start; i < end; i++ {
			if s, ok := seq(i); ok {
				same = append(same, s)
			}
		}
		slices.SortStableFunc(same, func(a, b uint32) int { return tie(salt, uint64(a), uint64(b)) })
		if slices.ContainsFunc(same, func(s uint32) bool { return !visit(s) }) {
			return
		}
	}
}
