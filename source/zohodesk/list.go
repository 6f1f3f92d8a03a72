package zohodesk

import (
	"context"
	"net/url"
	"strconv"

	"deskhouse/source"
)

// listLimits are the largest `limit` of each list (OAS: departments 200,
// products and contracts 100; tickets undocumented, 50 to 100 in use).
var listLimits = map[source.Table]int{
	source.Departments: 200, source.Contracts: 100, source.Products: 100, source.Tickets: 100,
}

// List returns one page of a plain list: departments, contracts, products, or
// tickets (the fallback where search is refused). Ticket and contract rows
// carry no modifiedTime. Page.Count is always -1.
func (c *Client) List(ctx context.Context, p source.Priority, t source.Table, q source.ListQuery) (source.Page, error) {
	ep := endpoint{name: string(t), path: string(t), limit: listLimits[t]}
	if ep.limit == 0 {
		return source.Page{}, unsupported(ep, "no list exists for "+string(t))
	}
	query := url.Values{}
	if q.SortBy != "" {
		query.Set("sortBy", q.SortBy)
	}
	if q.DepartmentID != 0 {
		switch t {
		case source.Contracts:
			query.Set("departmentIds", formatID(q.DepartmentID))
		case source.Tickets, source.Products:
			query.Set("departmentId", formatID(q.DepartmentID))
		default:
			return source.Page{}, unsupported(ep, "cannot be narrowed by department")
		}
	}
	return c.pageOf(ctx, p, ep, source.Lookup(t), q.Offset, q.Limit, query)
}

var archivedEndpoint = endpoint{name: "tickets/archivedTickets", path: "tickets/archivedTickets", limit: 100}

// Archived returns one page of a department's archived tickets: a narrow list
// whose rows serve as ids only (OAS Ticket.json). Offsets end at 4999.
func (c *Client) Archived(ctx context.Context, p source.Priority, departmentID uint64, offset, limit int) (source.Page, error) {
	query := url.Values{"departmentId": {formatID(departmentID)}}
	return c.pageOf(ctx, p, archivedEndpoint, source.Lookup(source.Tickets), offset, limit, query)
}

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }
