package desksim

import (
	"strconv"
	"time"
)

// Custom fields come twice in a record: `cf` keyed by API name, and the deprecated twin `customFields` keyed by label.
// Every value is a string or null, whatever the type (captures): number "2", decimal "122222.111111111", percent "0.1",
// boolean "true", date yyyy-MM-dd, date-time as all times, multi-select labels joined by ";".

// ticketFields writes cf and customFields of a ticket.
func (p *Portal) ticketFields(o *object, t *ticket) {
	p.customFields(o, "tickets", func(b []byte, f *field) []byte {
		cell, changed := t.cf[f.id]
		if !changed && !f.initial {
			return append(b, "null"...)
		}
		return appendCell(b, f, cell, mix2(p.gen.seed^uint64(t.seq)<<20, f.id))
	})
}

// recordFields writes cf and customFields of a product or a contract.
func (p *Portal) recordFields(o *object, module string, id uint64, cells map[uint64]cfCell) {
	p.customFields(o, module, func(b []byte, f *field) []byte {
		cell, changed := cells[f.id]
		if !changed && !f.initial {
			return append(b, "null"...)
		}
		return appendCell(b, f, cell, mix2(p.gen.seed^id, f.id))
	})
}

func (p *Portal) customFields(o *object, module string, value func([]byte, *field) []byte) {
	fields := p.custom[module]
	o.key("cf")
	cf := openObject(o.b)
	var ends [64]int
	for i, f := range fields {
		cf.key(f.apiName)
		at := len(cf.b)
		cf.b = value(cf.b, f)
		if i < len(ends)/2 {
			ends[2*i], ends[2*i+1] = at, len(cf.b)
		}
	}
	o.b = cf.close()
	o.key("customFields")
	twin := openObject(o.b)
	for i, f := range fields {
		twin.keyText(f.label)
		if i < len(ends)/2 {
			twin.b = append(twin.b, twin.b[ends[2*i]:ends[2*i+1]]...)
		} else {
			twin.b = value(twin.b, f)
		}
	}
	o.b = twin.close()
}

// keyText is key for names that may need escaping.
func (o *object) keyText(k string) {
	if o.some {
		o.b = append(o.b, ',')
	}
	o.some = true
	o.b = append(appendQuoted(o.b, k), ':')
}

func appendCell(b []byte, f *field, c cfCell, h uint64) []byte {
	if c.null {
		return append(b, "null"...)
	}
	if c.given != nil {
		return appendQuoted(b, *c.given)
	}
	d := dice(mix2(h, uint64(c.rev)))
	if d.chance(25) {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = appendValue(b, f, &d)
	return append(b, '"')
}

// appendValue writes a drawn value of the field's type, without quotes.
func appendValue(b []byte, f *field, d *dice) []byte {
	switch f.kind {
	case "Number":
		return strconv.AppendInt(b, int64(d.below(100_000))-500, 10)
	case "Decimal":
		b = strconv.AppendInt(b, int64(d.below(1_000_000)), 10)
		b = append(b, '.')
		return strconv.AppendInt(b, int64(100_000_000+d.below(900_000_000)), 10)
	case "Percent":
		return strconv.AppendFloat(b, float64(d.below(1001))/10, 'f', 1, 64)
	case "Currency":
		b = strconv.AppendInt(b, int64(d.below(100_000)), 10)
		b = append(b, '.')
		return appendTwo(b, d.below(100))
	case "Boolean":
		return strconv.AppendBool(b, d.chance(50))
	case "Date":
		return appendDate(b, time.Unix(1_500_000_000+int64(d.below(300_000_000)), 0).UTC())
	case "DateTime":
		return appendTime(b, 1_500_000_000+int64(d.below(300_000_000)))
	case "Picklist":
		return append(b, f.values[d.below(len(f.values))]...)
	case "Multiselect":
		return appendLabels(b, f.values, d)
	}
	b = append(b, wordsLatin[d.below(len(wordsLatin))]...)
	b = append(b, ' ')
	return strconv.AppendInt(b, int64(d.below(1000)), 10)
}

func appendLabels(b []byte, values []string, d *dice) []byte {
	n, at := 1+d.below(3), d.below(len(values))
	for i := range min(n, len(values)) {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, values[(at+i)%len(values)]...)
	}
	return b
}
