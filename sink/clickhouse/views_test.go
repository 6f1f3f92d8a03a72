package clickhouse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

func at(text string) int64 {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

// statusTicket is a ticket's row; closed is "" for none.
func statusTicket(id int, department, status, typ, created, closed, modified string) string {
	stamp := func(text string) string {
		if text == "" {
			return "null"
		}
		return `"` + strings.Replace(text, " ", "T", 1) + `.000Z"`
	}
	return fmt.Sprintf(`{"id":"%d","ticketNumber":"%d","departmentId":%s,"status":%q,"statusType":%q,"createdTime":%s,"closedTime":%s,"modifiedTime":%s}`,
		id, id%100, department, status, typ, stamp(created), stamp(closed), stamp(modified))
}

// statusChange is a change as "column old new" each.
func statusChange(id, key int, op source.Op, event, when string, columns ...string) source.Change {
	ch := source.Change{ID: uint64(id), Table: source.Tickets, Key: source.Key{ID: uint64(key)}, At: at(when), Op: op, Origin: "webhook", Event: event, Received: time.Now(), Version: uint64(id)}
	for _, c := range columns {
		parts := strings.Split(c, "|")
		ch.Changed = append(ch.Changed, parts[0])
		value := func(text string) *string {
			if text == "∅" {
				return nil
			}
			return &text
		}
		ch.Old, ch.New = append(ch.Old, value(parts[1])), append(ch.New, value(parts[2]))
	}
	return ch
}

func lives(t *testing.T) *Warehouse {
	w := prepared(t)
	var rows []source.Row
	for _, text := range []string{
		statusTicket(101, `"11"`, "Open", "Open", "2024-01-01 10:00:00", "", "2024-01-01 10:00:00"),
		statusTicket(102, `"11"`, "Closed", "Closed", "2024-01-01 11:00:00", "2024-01-02 11:00:00", "2024-01-02 11:00:00"),
		statusTicket(103, `"11"`, "Waiting", "On Hold", "2024-01-01 12:00:00", "", "2024-01-03 15:00:00"),
		statusTicket(104, `"11"`, "Solved", "Closed", "2024-01-03 08:00:00", "2024-01-03 20:00:00", "2024-01-03 20:00:00"),
		statusTicket(105, `null`, "Open", "Open", "2024-01-02 00:00:00", "", "2024-01-04 00:00:00"),
		statusTicket(106, `null`, "New", "Open", "2024-01-02 00:00:00", "", "2024-01-05 00:00:00"),
		statusTicket(109, `null`, "Solved", "Closed", "2024-01-02 00:00:00", "2024-01-06 00:00:00", "2024-01-06 00:00:00"),
		statusTicket(107, `null`, "Open", "Open", "2024-01-02 00:00:00", "", "2024-01-02 00:00:00"),
	} {
		rows = append(rows, content(record(t, source.Tickets, text), 1))
	}
	rows = append(rows, deletion(source.Key{ID: 108}, source.Head{}, 5))
	must(t, w.Write(ctx, source.Tickets, rows, 1))
	must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(source.Key{ID: 107}, rows[7].Head, 7)}, 1))
	must(t, w.Write(ctx, source.Departments, []source.Row{content(record(t, source.Departments, `{"id":"11","name":"Sales"}`), 1)}, 1))
	must(t, w.WriteChanges(ctx, []source.Change{
		// 103 was there before; it waited twice, with the type it has now, and was open in between.
		statusChange(2, 103, source.OpUpdate, "Ticket_Update", "2024-01-03 12:00:00", "status|Waiting|Open", "status_type|On Hold|Open", "priority|∅|High"),
		statusChange(1, 103, source.OpUpdate, "Ticket_Update", "2024-01-02 12:00:00", "status|Asked|Waiting"),
		statusChange(3, 103, source.OpUpdate, "Ticket_Update", "2024-01-03 13:00:00", "status|Open|Waiting", "status_type|Open|On Hold"),
		// 104 was seen from its beginning to its end.
		statusChange(4, 104, source.OpInsert, "Ticket_Add", "2024-01-03 08:00:01", "status|∅|Open", "status_type|∅|Open"),
		statusChange(5, 104, source.OpUpdate, "Ticket_Update", "2024-01-03 09:00:00", "priority|∅|High"),
		statusChange(6, 104, source.OpUpdate, "Ticket_Update", "2024-01-03 20:00:00", "status|Open|Solved", "status_type|Open|Closed", "closed_time|∅|2024-01-03 20:00:00.000"),
		// 105 was closed and came to life again.
		statusChange(7, 105, source.OpUpdate, "Ticket_Update", "2024-01-04 00:00:00", "status|Closed|Open", "status_type|Closed|Open", "closed_time|2024-01-03 06:00:00.000|∅"),
		// 106 has a status that no change tells of, and was found by a poll.
		statusChange(8, 106, source.OpInsert, "", "2024-01-03 00:00:00", "status|∅|Open", "status_type|∅|Open"),
		statusChange(9, 107, source.OpUpdate, "Ticket_Update", "2024-01-04 00:00:00", "status|New|Open"),
		statusChange(10, 107, source.OpDelete, "Ticket_Delete", "2024-01-05 00:00:00"),
		// 109 went from one closed status to another.
		statusChange(12, 109, source.OpUpdate, "Ticket_Update", "2024-01-06 00:00:00", "status|Closed|Solved", "closed_time|2024-01-04 00:00:00.000|2024-01-06 00:00:00.000"),
		{ID: 11, Table: source.Contracts, Key: source.Key{ID: 103}, Received: time.Now(), Changed: []string{"status"}, Old: []*string{nil}, New: []*string{nil}},
	}))
	return w
}

func TestTicketChanges(t *testing.T) {
	w := lives(t)
	wantRow(t, w, "20\t10", "SELECT count(), uniqExact(change_id) FROM ticket_changes")
	wantRow(t, w, "2024-01-03 12:00:00\t∅\tHigh\tupdate\twebhook\tTicket_Update\t1\t2",
		"SELECT at, old, new, op, origin, event_type, received_at > at, change_id FROM ticket_changes WHERE ticket_id = 103 AND column = 'priority'")
	wantRow(t, w, "New\tOpen", "SELECT old, new FROM ticket_changes WHERE ticket_id = 107") // deleted by now
}

func TestTicketStatusDurations(t *testing.T) {
	w := lives(t)
	got := strings.Join(rows(t, w, "SELECT ticket_id, ticket_number, status, status_type, formatDateTime(started_at, '%%d %%H:%%i:%%S'), formatDateTime(ended_at, '%%d %%H:%%i:%%S'), start_known FROM ticket_status_durations ORDER BY ticket_id, started_at"), "\n")
	want := strings.ReplaceAll(`101 1 Open Open 01 10:00:00 ∅ false
102 2 Closed Closed 02 11:00:00 ∅ true
103 3 Asked On Hold 01 12:00:00 02 12:00:00 false
103 3 Waiting On Hold 02 12:00:00 03 12:00:00 true
103 3 Open Open 03 12:00:00 03 13:00:00 true
103 3 Waiting On Hold 03 13:00:00 ∅ true
104 4 Open Open 03 08:00:00 03 20:00:00 true
104 4 Solved Closed 03 20:00:00 ∅ true
105 5 Closed Closed 03 06:00:00 04 00:00:00 true
105 5 Open Open 04 00:00:00 ∅ true
106 6 Open Open 02 00:00:00 05 00:00:00 false
106 6 New Open 05 00:00:00 ∅ false
109 9 Closed Closed 04 00:00:00 06 00:00:00 true
109 9 Solved Closed 06 00:00:00 ∅ true`, "\t", " ")
	if got = strings.ReplaceAll(got, "\t", " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wantRow(t, w, "86400\t1", "SELECT seconds, (SELECT min(seconds = dateDiff('second', started_at, now())) FROM ticket_status_durations WHERE isNull(ended_at)) FROM ticket_status_durations WHERE ticket_id = 103 AND status = 'Asked'")
}

func TestOpenTicketsByDay(t *testing.T) {
	w := lives(t)
	must(t, w.ReloadNames(ctx, source.Departments))
	got := strings.Join(rows(t, w, "SELECT toString(day), department_id, department_name, opened, closed, open FROM open_tickets_by_day WHERE day <= '2024-01-05' ORDER BY department_id, day"), "\n")
	want := strings.ReplaceAll(`2024-01-01 11 Sales 3 0 3
2024-01-02 11 Sales 0 1 2
2024-01-03 11 Sales 1 1 2
2024-01-04 11 Sales 0 0 2
2024-01-05 11 Sales 0 0 2
2024-01-02 ∅ ∅ 3 0 3
2024-01-03 ∅ ∅ 0 0 3
2024-01-04 ∅ ∅ 0 0 3
2024-01-05 ∅ ∅ 0 0 3`, "\t", " ")
	if got = strings.ReplaceAll(got, "\t", " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wantRow(t, w, "1\t4", "SELECT max(day) = toDate(now('UTC')), sumIf(open, day = toDate(now('UTC'))) FROM open_tickets_by_day")
	days := row(t, w, "SELECT uniqExact(day) = dateDiff('day', min(day), max(day)) + 1, count() = uniqExact(day, department_id) FROM open_tickets_by_day WHERE department_id = 11")
	if days != "1\t1" {
		t.Errorf("days are missing or double: %s", days)
	}
}

// TestOpenTicketsOfOtherCenturies has times that are right for a DateTime64 and
// beyond what a Date holds: none may come out as a day of another century.
func TestOpenTicketsOfOtherCenturies(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, statusTicket(101, `"11"`, "Closed", "Closed", "2024-01-01 10:00:00", "2200-01-01 00:00:00", "2024-01-01 10:00:00")))
	must(t, write(w, source.Tickets, statusTicket(102, `"12"`, "Closed", "Closed", "1965-12-31 10:00:00", "1966-01-01 00:00:00", "2024-01-01 10:00:00")))
	wantRow(t, w, "1\t0\t1\t2024-01-01", "SELECT sum(opened), sum(closed), argMax(open, day), toString(min(day)) FROM open_tickets_by_day WHERE department_id = 11")
	wantRow(t, w, "1\t1\t0\t1965-12-31", "SELECT sum(opened), sum(closed), argMax(open, day), toString(min(day)) FROM open_tickets_by_day WHERE department_id = 12")
	wantRow(t, w, "1966-01-01", "SELECT toString(day) FROM open_tickets_by_day WHERE closed > 0")
	for year, ticket := range map[string]string{"2200": "101", "1966": "102"} {
		wantRow(t, w, year, "SELECT toString(toYear(toDate32(closed_time))) FROM tickets WHERE id = %s", ticket)
	}
}

// The views are there with tickets only, each column says what it is, and
// nothing of somebody else's with their names is taken.
func TestTicketViewsComeWithTickets(t *testing.T) {
	const views = "SELECT arrayStringConcat(arraySort(groupArray(name)), ' ') FROM system.tables WHERE database = '%s' AND name IN ('ticket_changes', 'ticket_status_durations', 'open_tickets_by_day')"
	w := open(t, config(t))
	must(t, w.Prepare(ctx, []source.Table{source.Departments}))
	wantRow(t, w, "", views, w.Database())
	w = open(t, config(t))
	must(t, w.Prepare(ctx, []source.Table{source.Tickets}))
	wantRow(t, w, "open_tickets_by_day ticket_changes ticket_status_durations", views, w.Database())
	wantRow(t, w, "0", "SELECT countIf(comment = '') FROM system.columns WHERE database = '%s'", w.Database())
	wantRow(t, w, "day department_id opened closed open", "SELECT arrayStringConcat(groupArray(name), ' ') FROM (SELECT name FROM system.columns WHERE database = '%s' AND table = 'open_tickets_by_day' ORDER BY position)", w.Database())
	wantRow(t, w, "0\t0\t0", "SELECT count(), (SELECT count() FROM ticket_changes), (SELECT count() FROM open_tickets_by_day) FROM ticket_status_durations")
}
