package desksim

// mix is the finaliser of splitmix64: a cheap, well spread hash of one word.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// mix2 hashes two words.
func mix2(a, b uint64) uint64 { return mix(mix(a) ^ b) }

// dice draws small numbers from one hash; each draw moves on.
type dice uint64

func (d *dice) next() uint64 {
	*d = dice(mix(uint64(*d)))
	return uint64(*d)
}

// below draws from 0 to n-1; n must be above 0.
func (d *dice) below(n int) int { return int(d.next() >> 33 % uint64(n)) }

// chance is true in the given percentage of draws.
func (d *dice) chance(percent int) bool { return d.below(100) < percent }
