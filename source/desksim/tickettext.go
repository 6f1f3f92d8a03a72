package desksim

import "strconv"

// appendSubject writes the subject as a JSON string.
func (t *ticket) appendSubject(b []byte) []byte {
	if t.text != nil && t.text.subject != nil {
		return appendQuoted(b, *t.text.subject)
	}
	h := mix(uint64(t.subject))
	b = append(b, '"')
	b = append(b, subjects[h%uint64(len(subjects))]...)
	b = append(b, " #"...)
	b = strconv.AppendUint(b, h>>40%10000, 10)
	return append(b, '"')
}

// appendDescription writes the HTML description, null for one ticket in thirty-two.
func (t *ticket) appendDescription(b []byte) []byte {
	if t.text != nil && t.text.description != nil {
		return appendQuoted(b, *t.text.description)
	}
	d := dice(mix(uint64(t.body)))
	n := 1 + d.below(2)
	if n == 1 && d.chance(6) {
		return append(b, "null"...)
	}
	b = append(b, '"')
	for range n {
		b = append(b, sentences[d.below(len(sentences))]...)
	}
	b = append(b, "<p>Ref "...)
	b = strconv.AppendUint(b, uint64(t.body), 10)
	return append(b, "</p>\""...)
}

func (t *ticket) appendResolution(b []byte) []byte {
	if t.text != nil && t.text.resolution != nil {
		return appendQuoted(b, *t.text.resolution)
	}
	if t.resolution == 0 {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = append(b, resolutions[t.resolution%uint32(len(resolutions))]...)
	return append(b, '"')
}
