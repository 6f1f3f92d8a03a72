package zohodesk

import (
	"context"
	"net/url"
	"time"

	"deskhouse/source"
)

// Search returns one page of tickets or products whose q.By lies in
// [q.From, q.To], at most q.Limit rows (0: as many as the portal allows, see
// PageLimit). Both ends are sent as whole seconds, From rounded down and To
// up; whether Zoho takes the ends as inclusive is not documented, so ranges
// overlap. q.Filter is added as it is. Offsets beyond 999 are refused by some
// portals (OAS Search.json; HTML docs say 4999) with FaultInvalid.
//
// The page's Count is Zoho's count of all matches, 0 when the very first page
// is empty, -1 when the reply had none.
func (c *Client) Search(ctx context.Context, p source.Priority, t source.Table, q source.Query) (source.Page, error) {
	ep := endpoint{name: string(t) + "/search", path: string(t) + "/search", limit: 100}
	if t != source.Tickets && t != source.Products {
		return source.Page{}, unsupported(ep, "no search exists for "+string(t))
	}
	query := url.Values{}
	if q.By != "" && q.To != 0 {
		query.Set(string(q.By)+"Range", stamp(floorSecond(q.From))+","+stamp(floorSecond(q.To+999)))
	}
	if q.By != "" {
		query.Set("sortBy", sortOrder(string(q.By), q.Desc))
	}
	for k, v := range q.Filter {
		query.Set(k, v)
	}
	page, err := c.pageOf(ctx, p, ep, source.Lookup(t), q.Offset, q.Limit, query)
	if err == nil && page.Rows == 0 && page.Count < 0 && q.Offset == 0 {
		page.Count = 0
	}
	return page, err
}

func sortOrder(by string, desc bool) string {
	if desc {
		return "-" + by
	}
	return by
}

// stamp formats milliseconds the way ranges want them: OAS Search.json,
// pattern yyyy-MM-ddTHH:mm:ss.SSSZ with the Z required.
func stamp(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func floorSecond(ms int64) int64 {
	if r := ms % 1000; r < 0 {
		return ms - r - 1000
	} else {
		return ms - r
	}
}
