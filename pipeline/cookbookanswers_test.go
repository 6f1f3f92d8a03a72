package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// answers are worked out from a portal's records, and from what a witness saw
// change in them.
type answers struct {
	seen           *witness
	now            time.Time
	tickets, trash []fact
	departments    map[string]string
	products       map[string]string
	contracts      []fact
}

func newAnswers(portal *desksim.Portal, seen *witness, now time.Time) *answers {
	a := &answers{seen: seen, now: now, departments: map[string]string{}, products: map[string]string{}}
	all := facts(portal, source.Tickets)
	a.tickets = live(all)
	for _, f := range all {
		if f.row.State == desksim.Trashed {
			a.trash = append(a.trash, f)
		}
	}
	for _, f := range facts(portal, source.Departments) {
		a.departments[f.ID] = f.Name
	}
	for _, f := range facts(portal, source.Products) {
		a.products[f.ID] = f.ProductName
	}
	a.contracts = live(facts(portal, source.Contracts))
	return a
}

func (a *answers) all() map[string]func() []string {
	return map[string]func() []string{
		"1. How long do tickets take to be solved?":                              a.solved,
		"2. How long does a new ticket wait until somebody moves it on?":         a.firstMove,
		"3. How did each department's backlog develop?":                          a.backlog,
		"4. What is open, by status and priority?":                               a.byStatus,
		"5. How long do tickets stay in each status?":                            a.inStatus,
		"6. Who gave whose tickets to whom?":                                     a.reassigned,
		"7. Which tickets were reopened?":                                        a.reopened,
		"8. How do tickets spread over a custom field?":                          a.byRegion,
		"9. Which labels of a multi-select field go together with open tickets?": a.byLabel,
		"10. Which contracts end within 30 days?":                                a.ending,
		"11. How many tickets name no product?":                                  a.withoutProduct,
		"12. Which tickets were deleted in the last week?":                       a.deleted,
		"13. How fresh are the tables?":                                          a.fresh,
	}
}

func text(p *string) string {
	if p == nil {
		return "∅"
	}
	return *p
}

func or(p *string, otherwise string) string {
	if p == nil {
		return otherwise
	}
	return *p
}

// quantile is the element that quantileExact takes.
func quantile(of []int64, level float64) int64 {
	slices.Sort(of)
	return of[min(int(level*float64(len(of))), len(of)-1)]
}

// grouped puts tickets into groups by a name.
func grouped(all []fact, by func(fact) string) map[string][]fact {
	groups := map[string][]fact{}
	for _, f := range all {
		groups[by(f)] = append(groups[by(f)], f)
	}
	return groups
}

func count(all []fact, which func(fact) bool) int {
	n := 0
	for _, f := range all {
		if which(f) {
			n++
		}
	}
	return n
}

func open(f fact) bool { return f.StatusType != "Closed" }

// mostFirst sorts lines that begin with a key by a count, then by the key.
func mostFirst(lines map[string]int) []string {
	return slices.SortedFunc(maps.Keys(lines), func(a, b string) int { return cmp.Or(cmp.Compare(lines[b], lines[a]), cmp.Compare(a, b)) })
}

func (a *answers) department(id string) string {
	if name, ok := a.departments[id]; ok {
		return name
	}
	return "∅"
}

func (a *answers) solved() []string {
	var lines []string
	closed := slices.DeleteFunc(slices.Clone(a.tickets), func(f fact) bool { return open(f) || f.ClosedTime == nil })
	groups := grouped(closed, func(f fact) string { return text(f.DepartmentID) })
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		var took []int64
		for _, f := range groups[id] {
			took = append(took, int64(f.ClosedTime.Sub(f.CreatedTime).Seconds()))
		}
		lines = append(lines, fmt.Sprintf("%s | %s | %d | %d | %d", id, a.department(id), len(took), quantile(took, 0.5)/3600, quantile(took, 0.9)/3600))
	}
	return lines
}

// spell is a ticket in one status; ended is zero while it is.
type spell struct {
	ticket, status string
	began, ended   time.Time
	known          bool
}

// spells are the intervals of all tickets that exist, by the witness.
func (a *answers) spells() map[string][]spell {
	all := map[string][]spell{}
	for _, t := range a.seen.shifts {
		id := t.after.ID
		switch last := len(all[id]) - 1; {
		case t.before == nil:
			all[id] = []spell{{id, t.after.Status, t.after.CreatedTime, time.Time{}, true}}
		case t.before.Status == t.after.Status:
		default:
			if last < 0 { // it was there before
				was := spell{id, t.before.Status, t.before.CreatedTime, time.Time{}, false}
				if t.before.StatusType == "Closed" && t.before.ClosedTime != nil {
					was.began, was.known = *t.before.ClosedTime, true
				}
				all[id], last = []spell{was}, 0
			}
			all[id][last].ended = t.after.ModifiedTime
			all[id] = append(all[id], spell{id, t.after.Status, t.after.ModifiedTime, time.Time{}, true})
		}
	}
	exists := grouped(a.tickets, func(f fact) string { return f.ID })
	maps.DeleteFunc(all, func(id string, _ []spell) bool { return exists[id] == nil })
	return all
}

func (a *answers) firstMove() []string {
	var took []int64
	for id, list := range a.spells() {
		if len(list) > 1 && !a.seen.loaded[id] {
			took = append(took, int64(list[0].ended.Sub(list[0].began).Seconds()))
		}
	}
	return []string{fmt.Sprintf("%d | %d | %d", len(took), quantile(took, 0.5), slices.Max(took))}
}

func (a *answers) inStatus() []string {
	took := map[string][]int64{}
	for _, list := range a.spells() {
		for _, s := range list {
			if s.known && !s.ended.IsZero() {
				took[s.status] = append(took[s.status], int64(s.ended.Sub(s.began).Seconds()))
			}
		}
	}
	var lines []string
	for _, status := range slices.Sorted(maps.Keys(took)) {
		lines = append(lines, fmt.Sprintf("%s | %d | %d | %d", status, len(took[status]), quantile(took[status], 0.5), quantile(took[status], 0.9)))
	}
	return lines
}

// backlog counts day by day. The view ends on the server's today, which the
// portal's clock has left behind it.
func (a *answers) backlog() []string {
	var lines []string
	groups := grouped(a.tickets, func(f fact) string { return text(f.DepartmentID) })
	today := a.now.Truncate(24 * time.Hour)
	for back := 7; back >= 0; back-- {
		day := today.AddDate(0, 0, -back)
		on := func(t time.Time) bool { return t.Truncate(24 * time.Hour).Equal(day) }
		until := func(t time.Time) bool { return t.Before(day.AddDate(0, 0, 1)) }
		if day.After(time.Now()) {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			opened := count(groups[id], func(f fact) bool { return on(f.CreatedTime) })
			closed := count(groups[id], func(f fact) bool { return f.ClosedTime != nil && on(*f.ClosedTime) })
			ever := count(groups[id], func(f fact) bool { return until(f.CreatedTime) })
			done := count(groups[id], func(f fact) bool { return f.ClosedTime != nil && until(*f.ClosedTime) })
			if ever > 0 {
				lines = append(lines, fmt.Sprintf("%s | %s | %s | %d | %d | %d", day.Format(time.DateOnly), id, a.department(id), opened, closed, ever-done))
			}
		}
	}
	return lines
}

func (a *answers) byStatus() []string {
	lines := map[string]int{}
	for _, group := range grouped(slices.DeleteFunc(slices.Clone(a.tickets), func(f fact) bool { return !open(f) }), func(f fact) string { return f.Status + " | " + or(f.Priority, "none") }) {
		late := count(group, func(f fact) bool { return f.IsOverDue })
		lines[fmt.Sprintf("%s | %s | %d | %d", group[0].Status, or(group[0].Priority, "none"), len(group), late)] = len(group)
	}
	return mostFirst(lines)
}

func (a *answers) reassigned() []string {
	var shifts []shift
	for _, t := range a.seen.shifts {
		if t.before != nil && text(t.before.AssigneeID) != text(t.after.AssigneeID) {
			shifts = append(shifts, t)
		}
	}
	slices.SortStableFunc(shifts, func(x, y shift) int { return y.after.ModifiedTime.Compare(x.after.ModifiedTime) })
	var lines []string
	for _, t := range shifts {
		lines = append(lines, fmt.Sprintf("%s | %s | %s | %s | %s", t.after.ModifiedTime.Format(time.DateTime), t.after.ID, text(t.before.AssigneeID), text(t.after.AssigneeID), t.after.ModifiedBy))
	}
	return lines
}

func (a *answers) reopened() []string {
	times, last := map[string]int{}, map[string]fact{}
	for _, t := range a.seen.shifts {
		if t.before != nil && t.before.StatusType == "Closed" && t.after.StatusType != "Closed" {
			times[t.after.ID]++
			last[t.after.ID] = t.after
		}
	}
	var lines []string
	for _, id := range mostFirst(times) {
		lines = append(lines, fmt.Sprintf("%s | %d | %s | %s", id, times[id], last[id].ModifiedTime.Format(time.DateTime), last[id].ModifiedBy))
	}
	return lines
}

func (a *answers) byRegion() []string {
	lines := map[string]int{}
	for region, group := range grouped(a.tickets, func(f fact) string { return or(f.CF["cf_region"], "none") }) {
		contacts := map[string]bool{}
		for _, f := range group {
			if f.ContactID != nil {
				contacts[*f.ContactID] = true
			}
		}
		lines[fmt.Sprintf("%s | %d | %d | %d", region, len(group), count(group, open), len(contacts))] = len(group)
	}
	return mostFirst(lines)
}

func (a *answers) byLabel() []string {
	groups := map[string][]fact{}
	for _, f := range a.tickets {
		for label := range strings.SplitSeq(or(f.CF["cf_tags"], ""), ";") {
			if label != "" {
				groups[label] = append(groups[label], f)
			}
		}
	}
	lines := map[string]int{}
	for label, group := range groups {
		further := count(group, func(f fact) bool { return len(f.SecondaryContacts) > 0 })
		lines[fmt.Sprintf("%s | %d | %d | %d", label, len(group), count(group, open), further)] = len(group)
	}
	return mostFirst(lines)
}

func (a *answers) ending() []string {
	today := a.now.Truncate(24 * time.Hour)
	var lines []string
	slices.SortFunc(a.contracts, func(x, y fact) int { return cmp.Or(cmp.Compare(x.EndDate, y.EndDate), cmp.Compare(x.ID, y.ID)) })
	for _, f := range a.contracts {
		end, err := time.Parse(time.DateOnly, f.EndDate)
		days := int(end.Sub(today).Hours() / 24)
		if err != nil || days < 0 || days > 30 {
			continue
		}
		product, ok := a.products[text(f.ProductID)]
		if !ok {
			product = "∅"
		}
		lines = append(lines, fmt.Sprintf("%s | %s | %s | %s | %d", f.ID, f.ContractName, product, end.Format(time.DateOnly), days))
	}
	return lines
}

func (a *answers) withoutProduct() []string {
	var lines []string
	groups := grouped(a.tickets, func(f fact) string { return f.Channel })
	for _, channel := range slices.Sorted(maps.Keys(groups)) {
		without := count(groups[channel], func(f fact) bool { return f.ProductID == nil })
		lines = append(lines, fmt.Sprintf("%s | %d | %d | %d", channel, len(groups[channel]), without, 100*without/len(groups[channel])))
	}
	return lines
}

// deleted are the tickets in the bin that were seen alive.
func (a *answers) deleted() []string {
	gone := slices.DeleteFunc(slices.Clone(a.trash), func(f fact) bool { return f.row.DeletedAt.Before(a.now.AddDate(0, 0, -7)) })
	slices.SortFunc(gone, func(x, y fact) int { return cmp.Or(x.row.DeletedAt.Compare(y.row.DeletedAt), cmp.Compare(x.ID, y.ID)) })
	var lines []string
	for _, f := range gone {
		lines = append(lines, fmt.Sprintf("%s | %s | %s", f.ID, f.Status, f.row.DeletedAt.Format(time.DateTime)))
	}
	return lines
}

// fresh: the portal is quiet, each table has been polled, and no comparison was
// made that could have found anything.
func (a *answers) fresh() []string {
	var lines []string
	for _, table := range []source.Table{source.Contracts, source.Departments, source.OrganizationFields, source.Products, source.Tickets} {
		lines = append(lines, fmt.Sprintf("%s | following | 0 | 1", table))
	}
	return lines
}
