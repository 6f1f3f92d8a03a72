package clickhouse

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

// viewPortal makes the tickets of the view benchmark: rows of some 1.2 KB of
// JSON with the spreads that analysts' queries meet. The same seed gives the
// same tickets.
type viewPortal struct {
	r   *rand.Rand
	ids []uint64 // of every ticket, ascending, as Zoho numbers them
}

// viewNow is the day the portal's history ends, viewYears how long it is.
var viewNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const viewYears = 4

// newViewPortal spreads ids like Zoho's: one ascending sequence that all kinds
// of records share, so with gaps (live captures).
func newViewPortal(rows int) *viewPortal {
	p := &viewPortal{r: rand.New(rand.NewPCG(1, 2)), ids: make([]uint64, rows)}
	id := uint64(900100000001000000)
	for i := range p.ids {
		id += 1 + p.r.Uint64N(200)
		p.ids[i] = id
	}
	return p
}

func (p *viewPortal) pick(of ...string) string { return of[p.r.IntN(len(of))] }

// often picks the first ones more often than the last.
func (p *viewPortal) often(of ...string) string { return of[min(p.r.IntN(len(of)), p.r.IntN(len(of)))] }

func (p *viewPortal) ref(base uint64, n int) string {
	return fmt.Sprint(900100000000000000 + base + 7*uint64(p.r.IntN(n)))
}

func (p *viewPortal) words(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(p.pick("printer", "invoice", "please", "the", "order", "cannot", "again", "since", "update", "customer", "of", "to",
			"refund", "account", "login", "error", "screen", "delivery", "late", "broken", "thanks", "when", "still", "no", "answer"))
		b.WriteByte(' ')
	}
	return b.String()
}

// ticket is the i-th ticket as a search row; each call gives another state of
// it, with the same id and time of creation.
func (p *viewPortal) ticket(t testing.TB, i int) *source.Record {
	stamp := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
	age := time.Duration(float64(viewYears*365*24*time.Hour) * (1 - float64(i)/float64(len(p.ids))))
	created := viewNow.Add(-age)
	status, statusType, closed := p.often("Closed", "Open", "On Hold", "Escalated", "Waiting"), "Open", "null"
	modified := created.Add(time.Duration(p.r.Int64N(int64(30 * 24 * time.Hour))))
	if status == "Closed" {
		statusType, closed = "Closed", `"`+stamp(modified)+`"`
	}
	return record(t, source.Tickets, fmt.Sprintf(`{"id":"%d","ticketNumber":"%d","subject":"%s","status":"%s","statusType":"%s","priority":"%s",`+
		`"channel":"%s","category":"%s","subCategory":null,"classification":null,"language":"English","email":"user%d@example.org","phone":"%d",`+
		`"departmentId":"%s","contactId":"%s","accountId":"%s","productId":null,"assigneeId":"%s","teamId":null,"layoutId":"%s","slaId":null,`+
		`"createdTime":"%s","modifiedTime":"%s","closedTime":%s,"dueDate":"%s","customerResponseTime":"%s","createdBy":"%s","modifiedBy":"%s",`+
		`"threadCount":"%d","commentCount":"%d","isSpam":false,"isOverDue":%t,"isEscalated":false,"description":"%s","resolution":null,`+
		`"webUrl":"https://desk.example.org/support/x/ShowHomePage.do#Cases/dv/%d","entitySkills":[],"secondaryContacts":["%s"],`+
		`"cf":{"cf_region":"%s","cf_amount":"%d.50","cf_reference":"%d"}}`,
		p.ids[i], 100+i, p.words(6), status, statusType, p.often("Medium", "Low", "High", ""), p.often("Email", "Web", "Phone", "Chat"),
		p.often("Billing", "Shipping", "General"), p.r.IntN(50_000), p.r.IntN(1_000_000_000), p.ref(1, 12), p.ref(2, 50_000), p.ref(3, 5_000),
		p.ref(4, 80), p.ref(5, 3), stamp(created), stamp(modified), closed, stamp(created.Add(48*time.Hour)), stamp(modified), p.ref(4, 80), p.ref(4, 80),
		p.r.IntN(20), p.r.IntN(5), p.r.IntN(2) == 0, p.words(60), p.ids[i], p.ref(2, 50_000),
		fmt.Sprintf("Region %d", p.r.IntN(60)), p.r.IntN(1000), p.r.IntN(1_000_000)))
}

// rows are the states of some tickets at a version, one row each.
func (p *viewPortal) rows(t testing.TB, version uint64, tickets ...int) []source.Row {
	rows := make([]source.Row, len(tickets))
	for i, n := range tickets {
		rec := p.ticket(t, n)
		rows[i] = withVersion(content(rec, rec.Modified), version)
	}
	return rows
}

// some are n tickets at random, each once.
func (p *viewPortal) some(n int) []int {
	seen := make(map[int]bool, n)
	list := make([]int, 0, n)
	for len(list) < n {
		if i := p.r.IntN(len(p.ids)); !seen[i] {
			seen[i] = true
			list = append(list, i)
		}
	}
	return list
}

// benchQueries are what analysts ask; %s is the table. Answers have an order.
var benchQueries = []struct{ name, sql string }{
	{"count by status", "SELECT status, count() FROM %s GROUP BY status ORDER BY status"},
	{"open by department and priority", "SELECT department_id, priority, count() FROM %s WHERE status_type = 'Open' GROUP BY department_id, priority ORDER BY department_id, priority"},
	{"created per day, last 90 days", "SELECT toDate(created_time) AS day, count() FROM %s WHERE created_time >= toDateTime64('2025-10-03 00:00:00', 3, 'UTC') GROUP BY day ORDER BY day"},
	{"resolution time by assignee", "SELECT assignee_id, count(), round(avg(dateDiff('minute', created_time, closed_time)), 3) FROM %s WHERE status_type = 'Closed' GROUP BY assignee_id ORDER BY assignee_id"},
	{"top regions, text in subject", "SELECT cf_region, count() AS n FROM %s WHERE subject ILIKE '%%printer%%invoice%%' GROUP BY cf_region ORDER BY n DESC, cf_region LIMIT 20"},
}
