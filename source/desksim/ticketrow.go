package desksim

// State is what became of a record.
type State uint8

const (
	Live    State = iota // listed and readable; archived tickets too
	Trashed              // in the recycle bin
	Purged               // gone for good: purged, deleted as spam, merged into another, or a field that was removed
	Hidden               // exists, but the authorising agent may not see it (Faults.HideDepartment)
)

func (s State) String() string { return [...]string{"live", "trashed", "purged", "hidden"}[s] }

// ticket is one ticket's content: numbers and seeds, from which texts are rendered. A stored ticket is never changed,
// only replaced. Times are unix seconds, 0 is null. References are sequence numbers; product, assignee and team count
// from 1, so that 0 is null.
type ticket struct {
	seq uint32

	created, modified, closed, due, responseDue, onhold, customerResponse, locked int64

	department, contact, account, product             uint32
	assignee, team, createdBy, modifiedBy             uint16
	threads, comments                                 uint16
	status, priority, channel, category, subCategory  uint8
	classification, language, sentiment, relationship uint8
	approvals, timeEntries, tasks, attachments        uint8
	tags, followers, children, skills                 uint8
	spam, escalated, overdue, responseOverdue         bool
	archived, isRead, following                       bool
	subject, body, resolution, links                  uint32 // seeds; resolution 0 is null

	text *ticketText       // set by callers of CreateTicket and UpdateTicket; nil: from the seeds
	cf   map[uint64]cfCell // changed custom fields by field id; absent: as generated

	state     State
	deletedAt int64
	deletedBy uint16
	merged    uint32 // sequence number + 1 of the survivor

	past[ticket]
}

// ticketText holds texts given by a caller, unescaped; nil members come from the seeds.
type ticketText struct{ subject, description, resolution *string }

// cfCell is a changed custom field value: drawn from rev, or given by a caller.
type cfCell struct {
	rev   uint32
	null  bool
	given *string
}

const threeYears = 3 * 365 * 24 * 3600

// createdAt spreads n tickets over the three years before start, ascending: mostly distinct seconds, now and then a
// block of up to fifty in one, and one burst of cfg.Burst.
func (g *generator) createdAt(i int) int64 {
	first := g.start - threeYears
	n := max(g.tickets, 1)
	gap := int64(threeYears-60) / int64(n)
	if lo, hi := g.burst(); i >= lo && i < hi {
		i = lo
	} else if block := i / 50; mix2(g.seed, uint64(block))%23 == 0 && !(block*50 < hi && i >= lo) {
		i = block * 50
	}
	at := first + int64(i)*(threeYears-60)/int64(n)
	if gap > 1 {
		at += int64(mix2(g.seed^0xc0ffee, uint64(i)) % uint64(gap))
	}
	return at
}

// burst is the range of tickets that share one second because of Config.Burst: the middle of the portal's history.
func (g *generator) burst() (lo, hi int) {
	lo = (g.tickets - g.burstSize) / 2 / 50 * 50
	return max(lo, 0), max(lo, 0) + min(g.burstSize, g.tickets)
}

// modifiedAt is the creation second for a third of the tickets and up to ninety days later for the others.
func (g *generator) modifiedAt(i int, created int64) int64 {
	d := dice(mix2(g.seed^0x30d, uint64(i)))
	if d.chance(33) {
		return created
	}
	span := 3600
	if d.chance(60) {
		span = 90 * 24 * 3600
	}
	return min(created+int64(d.below(span)), g.start-1)
}

// generator makes the rows a portal starts with. It is immutable.
type generator struct {
	seed                                    uint64
	start                                   int64
	tickets, archived, burstSize            int
	departments, products, contacts, agents int
}

// fill writes the generated content of ticket seq into t.
func (g *generator) fill(t *ticket, seq uint32, created, modified int64) {
	d := dice(mix2(g.seed^0x71c3e7, uint64(seq)))
	*t = ticket{seq: seq, created: created, modified: modified}
	t.archived = int(seq) < g.archived
	t.department = uint32(d.below(g.departments))
	t.contact = uint32(d.below(g.contacts))
	t.account = accountOf(t.contact)
	if g.products > 0 && d.chance(40) {
		t.product = 1 + uint32(d.below(g.products))
	}
	if d.chance(80) {
		t.assignee = 1 + uint16(d.below(g.agents))
	}
	if d.chance(30) {
		t.team = 1 + uint16(d.below(len(teamNames)))
	}
	t.createdBy, t.modifiedBy = uint16(d.below(g.agents)), uint16(d.below(g.agents))
	g.fillLabels(t, &d)
	g.fillTimes(t, &d)
	g.fillCounters(t, &d)
	t.subject, t.body, t.links = uint32(d.next()), uint32(d.next()), uint32(d.next())
	if statuses[t.status].kind == "Closed" && d.chance(60) {
		t.resolution = 1 + uint32(d.next()>>33)
	}
}

func (g *generator) fillLabels(t *ticket, d *dice) {
	t.status = uint8(d.below(len(statuses)))
	if t.archived {
		t.status = statusClosed
	}
	t.priority = uint8(d.below(len(priorities)))
	t.channel = uint8(d.below(len(channels)))
	t.category = uint8(d.below(len(categories)))
	if t.category != 0 {
		t.subCategory = uint8(d.below(len(subCategories)))
	}
	t.classification = uint8(d.below(len(classifications)))
	t.language = uint8(d.below(len(languages)))
	t.sentiment = uint8(d.below(len(sentiments)))
	if d.chance(4) {
		t.relationship = uint8(d.below(len(relationships)))
	}
	if t.relationship == 1 {
		t.children = uint8(1 + d.below(4))
	}
	t.spam = g.isSpam(t.seq)
	t.escalated, t.overdue, t.responseOverdue = d.chance(3), d.chance(8), d.chance(5)
	t.isRead, t.following = d.chance(70), d.chance(10)
}

func (g *generator) fillTimes(t *ticket, d *dice) {
	t.customerResponse = t.created + int64(d.below(int(max(t.modified-t.created, 1))))
	if d.chance(50) {
		t.due = t.created + int64(3600*(1+d.below(96)))
	}
	if d.chance(30) {
		t.responseDue = t.created + int64(600*(1+d.below(48)))
	}
	switch statuses[t.status].kind {
	case "Closed":
		t.closed = t.modified
	case "On Hold":
		t.onhold = t.modified
	}
	if d.chance(1) {
		t.locked = t.modified
	}
}

func (g *generator) fillCounters(t *ticket, d *dice) {
	t.threads, t.comments = uint16(1+d.below(12)), uint16(d.below(5))
	if d.chance(2) {
		t.threads = uint16(100 + d.below(200))
	}
	t.timeEntries, t.tasks, t.attachments = uint8(d.below(4)), uint8(d.below(3)), uint8(d.below(5))
	t.tags, t.followers = uint8(d.below(4)), uint8(d.below(6))
	if d.chance(5) {
		t.approvals = uint8(1 + d.below(3))
	}
	if d.chance(6) {
		t.skills = uint8(1 + d.below(3))
	}
}

// isSpam is true for one generated ticket in a hundred.
func (g *generator) isSpam(seq uint32) bool { return mix2(g.seed^0x5a, uint64(seq))%100 == 0 }

func (t *ticket) id() uint64 { return kindTicket.id(t.seq) }
