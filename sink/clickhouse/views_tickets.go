package clickhouse

import (
	"fmt"

	"deskhouse/source"
)

const (
	ticketChangesName   = "ticket_changes"
	statusDurationsName = "ticket_status_durations"
	openByDayName       = "open_tickets_by_day"
)

// ticketViews are the views about the life of tickets. A view whose columns are
// not stored here is left out.
func (l *layout) ticketViews(database string, names nameTables) []view {
	stored := map[string]bool{}
	for _, c := range l.contentColumns() {
		stored[c.name] = true
	}
	views := []view{ticketChangesView(database)}
	if stored["status"] && stored["status_type"] && stored["ticket_number"] && stored["created_time"] && stored["closed_time"] && stored["modified_time"] {
		views = append(views, statusDurationsView(database))
	}
	if stored["created_time"] && stored["closed_time"] && stored[departmentColumn] {
		views = append(views, openByDayView(database, names))
	}
	return views
}

// ticketChangesView is the history of tickets, a row for each column that got
// another value.
func ticketChangesView(database string) view {
	return view{name: ticketChangesName, columns: []viewColumn{
		{name: "ticket_id", typ: typeID, expr: "id", comment: "tickets.id; the ticket may be deleted by now"},
		{name: "at", typ: typeTime, comment: "When it happened as far as is known, on Zoho's clock (UTC)"},
		{name: "column", typ: typeLabel, expr: "name", comment: "Column of tickets that got another value"},
		{name: "old", typ: typeString, expr: "before", comment: "Its value before, as text; NULL for none"},
		{name: "new", typ: typeString, expr: "after", comment: "Its value after, as text; NULL for none"},
		{name: "modified_by", typ: typeRef, comment: "Agent whom the ticket names as the last to modify it: who made the change, where Zoho says"},
		{name: "op", typ: typeLabel, comment: "What became of the ticket: insert (old is always NULL), update, delete, restore"},
		{name: "origin", typ: typeLabel, comment: originComment},
		{name: "event_type", typ: typeLabel, comment: "Zoho's event type, for webhooks"},
		{name: "received_at", typ: typeInstant, comment: "When it arrived (UTC)"},
		{name: "change_id", typ: typeID, comment: "The change in changes; columns that changed together share it"},
	}, from: fmt.Sprintf("FROM %s FINAL\nARRAY JOIN changed AS name, old AS before, new AS after\nWHERE table = %s",
		qualified(database, changesName), literal(string(source.Tickets))),
		comment: "What changed in tickets from what to what, one row for each change and column. The first load is no change. Which columns are followed, and for how long, is up to the history."}
}

// openByDayView counts tickets by day and department. Days on which nothing
// happened come from the second part of the union. A Date ends in 2149 and wraps
// beyond; times of tickets go as far as a Date32.
func openByDayView(database string, names nameTables) view {
	cols := []viewColumn{
		{name: "day", typ: "Date32", comment: "Day (UTC); every day from a department's first ticket to today"},
		{name: departmentColumn, typ: typeRef, comment: "departments.id; NULL for tickets without"},
	}
	cols = append(cols, names.after(database, departmentColumn)...)
	cols = append(cols,
		viewColumn{name: "opened", typ: typeID, comment: "Tickets created on that day"},
		viewColumn{name: "closed", typ: typeID, comment: "Tickets closed on that day, for the last time"},
		viewColumn{name: "open", typ: "Int64", expr: "sum(toInt64(opened) - toInt64(closed)) OVER (PARTITION BY department_id ORDER BY day)",
			comment: "Tickets open at the end of the day"})
	tickets := qualified(database, string(source.Tickets))
	return view{name: openByDayName, columns: cols, from: fmt.Sprintf(`FROM
(
    SELECT department_id, day, sum(o) AS opened, sum(c) AS closed
    FROM
    (
        SELECT department_id, toDate32(happened) AS day, toUInt64(opens) AS o, toUInt64(1 - opens) AS c
        FROM (SELECT department_id, [created_time, closed_time] AS times FROM %s WHERE isNotNull(created_time))
        ARRAY JOIN times AS happened, [1, 0] AS opens
        WHERE isNotNull(happened)
        UNION ALL
        SELECT department_id, arrayJoin(arrayMap(d -> addDays(toDate32('1970-01-01'), d), range(toInt32(toDate32(min(created_time))), toInt32(toDate32(now('UTC'))) + 1))), 0, 0
        FROM %s
        WHERE isNotNull(created_time)
        GROUP BY department_id
    )
    WHERE day <= toDate32(now('UTC'))
    GROUP BY department_id, day
)`, tickets, tickets),
		comment: "Open tickets by day (UTC) and department, from created_time and closed_time of the tickets that exist now: deleted tickets are not counted, a ticket counts for the department it is in now, and a reopened one as open since its creation."}
}
