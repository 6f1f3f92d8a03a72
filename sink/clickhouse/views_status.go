package clickhouse

import (
	"fmt"

	"deskhouse/source"
)

func statusDurationsView(database string) view {
	return view{name: statusDurationsName, columns: []viewColumn{
		{name: "ticket_id", typ: typeID, expr: "id", comment: "tickets.id"},
		{name: "ticket_number", typ: typeInt, comment: "tickets.ticket_number"},
		{name: "status", typ: typeString, expr: "status_then", comment: "Status in this interval"},
		{name: "status_type", typ: typeString, expr: "type_then", comment: "Its type (Open, On Hold, Closed), where known"},
		{name: "started_at", typ: typeTime, expr: "started", comment: "When the ticket got this status (UTC); where start_known is false the earliest it can have been"},
		{name: "ended_at", typ: typeTime, expr: "ended", comment: "When it got another (UTC); NULL for the status it has now"},
		{name: "seconds", typ: typeInt, expr: "dateDiff('second', started, ifNull(ended, now64(3, 'UTC')))", comment: "Length of the interval, of the status it has now until now"},
		{name: "start_known", typ: "Bool", expr: "known", comment: "false where the beginning was not observed: what a ticket had been through before deskhouse saw it, or while no history was kept. true says that the change into this status was seen at started_at, not that the ticket stayed in it throughout: a change whose event another overtook is not known"},
	}, from: statusIntervals(database),
		comment: "How long tickets that exist now were in each status, one row for each ticket and interval, from the history of tickets. A ticket without recorded changes has one interval, since closed_time if it is closed, else since its creation."}
}

// Types of what the aggregation meets: a ticket's row, and a change of status.
const (
	rowTuple  = "Tuple(number " + typeInt + ", status " + typeString + ", type " + typeString + ", created " + typeTime + ", closed " + typeTime + ", modified " + typeTime + ")"
	stepTuple = "Tuple(at " + typeInstant + ", version " + typeID + ", inserted Bool, added Bool, was " + typeString + ", now " + typeString +
		", type_was " + typeString + ", type_now " + typeString + ", closed_was " + typeTime + ", closed_now " + typeTime + ")"
)

// statusIntervals are the rows id, ticket_number, started, ended, status_then,
// type_then, known. A ticket's own row and its changes of status meet in one
// aggregation, so there is no join.
//
// There is an interval for each change, one before them unless the first change
// is the ticket's creation (whole), and one after them if the ticket has
// another status than the last change left (gap). A type that did not change
// with the status is recorded nowhere: it is that of the next interval, in the
// end that of the row.
func statusIntervals(database string) string {
	closedWas := "parseDateTime64BestEffortOrNull(" + ofChange("old", "closed_time") + ", 3, 'UTC')"
	closedNow := "parseDateTime64BestEffortOrNull(" + ofChange("new", "closed_time") + ", 3, 'UTC')"
	step := fmt.Sprintf("ifNull(at, received_at), row_version, op = 'insert', event_type = 'Ticket_Add', %s, %s, %s, %s, %s, %s",
		ofChange("old", "status"), ofChange("new", "status"), ofChange("old", "status_type"), ofChange("new", "status_type"), closedWas, closedNow)
	rows := fmt.Sprintf(`SELECT id, true AS is_row,
                CAST((ticket_number, status, status_type, created_time, closed_time, modified_time), %[1]s) AS r,
                CAST((0, 0, false, false, NULL, NULL, NULL, NULL, NULL, NULL), %[2]s) AS step
            FROM %[3]s
            UNION ALL
            SELECT id, false, CAST((NULL, NULL, NULL, NULL, NULL, NULL), %[1]s), CAST((%[4]s), %[2]s)
            FROM %[5]s FINAL
            WHERE table = %[6]s AND has(changed, 'status')`,
		literal(rowTuple), literal(stepTuple), qualified(database, string(source.Tickets)), step, qualified(database, changesName), literal(string(source.Tickets)))
	return fmt.Sprintf(`FROM
(
    SELECT id, ticket_number, length(steps) AS n, steps[1] AS s1, steps[-1] AS sn,
        n > 0 AND s1.inserted AS whole,
        n > 0 AND ifNull(sn.now, '') != ifNull(status, '') AS gap,
        multiIf(n = 0 AND type = 'Closed', closed, n > 0 AND ifNull(s1.type_was, 'Closed') = 'Closed', s1.closed_was, NULL) AS closed_first,
        arrayConcat(if(whole, [], [ifNull(closed_first, created)]),
            arrayMap(s -> if(s.inserted, if(s.type_now = 'Closed', ifNull(s.closed_now, created), created), s.at), steps),
            if(gap, [greatest(ifNull(modified, sn.at), sn.at)], [])) AS starts,
        arrayConcat(if(whole, [], [if(n = 0, status, s1.was)]), arrayMap(s -> s.now, steps), if(gap, [status], [])) AS statuses,
        arrayConcat(if(whole, [], [isNotNull(closed_first)]),
            arrayMap(s -> NOT s.inserted OR s.added OR ifNull(s.at <= created, false) OR s.type_now = 'Closed' AND isNotNull(s.closed_now), steps),
            if(gap, [false], [])) AS knowns,
        arrayConcat(if(whole, [], [NULL]), arrayMap(s -> s.type_now, steps), if(gap, [NULL], [])) AS types_began,
        arrayConcat(arrayMap(s -> s.type_was, if(whole, arrayPopFront(steps), steps)), if(gap, [NULL], []), [type]) AS types_ended
    FROM
    (
        SELECT id, any(r.number) AS ticket_number, any(r.status) AS status, any(r.type) AS type, any(r.created) AS created,
            any(r.closed) AS closed, any(r.modified) AS modified, arraySort(s -> (s.at, s.version), groupArrayIf(step, NOT is_row)) AS steps
        FROM
        (
            %s
        )
        GROUP BY id
        HAVING max(is_row)
    )
)
ARRAY JOIN starts AS started, arrayPushBack(arrayPopFront(starts), NULL) AS ended, statuses AS status_then, knowns AS known,
    arrayReverseFill(t -> isNotNull(t), arrayMap((b, e) -> coalesce(b, e), types_began, types_ended)) AS type_then`, rows)
}

// ofChange is a column's value in the arrays of a change, NULL for one that the
// change left alone.
func ofChange(array, name string) string {
	return fmt.Sprintf("arrayFirst((v, c) -> c = %s, %s, changed)", literal(name), array)
}
