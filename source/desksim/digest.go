package desksim

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// notOwn are the members of a record's GET that are not its own content: joined objects, what depends on the reader, the
// label-keyed twin of cf, and derived addresses.
var notOwn = []string{"account", "product", "sla", "owner", "sharedDepartments", "isFollowing", "customFields", "webUrl"}

// Digest hashes the own content of every record of a table that the agent may see, by TruthRow.Key: what GET by id says now,
// without names of joined objects, isFollowing, customFields, webUrl, sharedDepartments and the members named by
// without. Comparing two digests tells which records were created, changed and removed between them.
func (p *Portal) Digest(table string, without ...string) map[string]uint64 {
	skip := slices.Concat(notOwn, without)
	digests := map[string]uint64{}
	for r := range p.Truth(table) {
		if r.State != Live {
			continue
		}
		row := r.Get
		if row == nil {
			row = r.Search
		}
		var h uint64
		members(row, func(name, value []byte) {
			if !slices.Contains(skip, string(name)) {
				h = mix2(h^xxhash.Sum64(name), xxhash.Sum64(value))
			}
		})
		digests[r.Key] = h
	}
	return digests
}

// members visits the members of a JSON object the portal wrote: no white space, well formed.
func members(row []byte, visit func(name, value []byte)) {
	for at := 1; at < len(row)-1; at++ { // at stands on the quote that opens a name, after the loop's step on a comma
		name := row[at+1 : stringEnd(row, at)]
		start := at + len(name) + 3
		at = valueEnd(row, start)
		visit(name, row[start:at])
	}
}

// stringEnd is the index of the quote that ends the string opened at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

// valueEnd is the index after the value that begins at i.
func valueEnd(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}
