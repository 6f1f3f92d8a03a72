package config

import (
	"strconv"
	"strings"
)

// suggest names the known key that a misspelt one was meant to be, or all of them.
func suggest(key string, known []string) string {
	if near, ok := nearest(key, known); ok {
		return "did you mean " + near + "?"
	}
	return oneOf(known)
}

// nearest finds the known key with the fewest wrong letters, at most a third of them, but always one.
func nearest(key string, known []string) (best string, ok bool) {
	most := max(1, len(key)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(key), k); d <= most && (!ok || d < most) {
			best, most, ok = k, d, true
		}
	}
	return best, ok
}

// distance counts the letters to insert, drop, replace or swap with their neighbour that turn a into b.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i-1)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}

func oneOf(all []string) string { return "one of " + strings.Join(all, ", ") }

// quote shows a value that is no secret, cut to a readable length.
func quote(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}
