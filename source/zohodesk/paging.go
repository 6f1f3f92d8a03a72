package zohodesk

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"

	"deskhouse/source"
)

// endpoint is one paged resource. Portals differ in what they allow, so limits
// and base are remembered per endpoint.
type endpoint struct {
	name  string // metrics label, and the key of what is remembered
	path  string // below /api/v1/
	limit int    // largest documented `limit`
}

// pageLimits are the limits that portals have been seen to insist on, widest
// first: 200 (departments), 100 and 99 and 50 (ticket list, by portal).
var pageLimits = []int{200, 100, 99, 50}

// paging remembers what this portal allows. A limit only ever narrows, and
// only after the narrower one was accepted.
type paging struct {
	mu     sync.Mutex
	limits map[string]int
	bases  map[string]int
}

func newPaging() *paging { return &paging{limits: map[string]int{}, bases: map[string]int{}} }

func (p *paging) of(ep endpoint) (limit, base int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.limits[ep.name]; ok {
		return l, p.bases[ep.name]
	}
	return ep.limit, p.bases[ep.name]
}

// accepted notes what a reply proved. asked is the limit tried, wanted the one
// the caller asked for: a small page says nothing about the portal.
func (p *paging) accepted(ep endpoint, limit, wanted, base int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.limits[ep.name]; limit < wanted && (!ok || limit < known) {
		p.limits[ep.name] = limit
	}
	if base != 0 {
		p.bases[ep.name] = base
	}
}

// PageLimit is how many rows a page of Search can hold on this portal, as far
// as known: a page with fewer rows is the last one. Ask after the page came,
// because the first call may have found the portal to be narrower.
func (c *Client) PageLimit(t source.Table) int {
	limit, _ := c.pages.of(endpoint{name: string(t) + "/search", limit: 100})
	return limit
}

// ListLimit is PageLimit for List.
func (c *Client) ListLimit(t source.Table) int {
	limit, _ := c.pages.of(endpoint{name: string(t), limit: listLimits[t]})
	return limit
}

// ArchivedLimit is PageLimit for Archived.
func (c *Client) ArchivedLimit() int {
	limit, _ := c.pages.of(archivedEndpoint)
	return limit
}

// BinLimit is PageLimit for Bin.
func (c *Client) BinLimit(t source.Table) int {
	limit, _ := c.pages.of(binEndpoint(t))
	return limit
}

// pageOf calls a paged endpoint and parses its rows as records.
func (c *Client) pageOf(ctx context.Context, p source.Priority, ep endpoint, res *source.Resource, offset, limit int, query url.Values) (source.Page, error) {
	page := source.Page{Count: -1}
	r, err := c.paged(ctx, p, ep, offset, limit, query, func(body []byte) (err error) {
		page, err = parsePage(res, "", body)
		return err
	})
	if err != nil {
		return source.Page{}, err
	}
	page.At = r.at
	return page, nil
}

func parsePage(res *source.Resource, module string, body []byte) (source.Page, error) {
	if len(body) == 0 {
		return source.Page{}, errEmptyBody
	}
	return source.ParsePage(res, module, body)
}

// paged sends one page request, narrowing `limit` and moving the base of
// `from` when the portal refuses them, and remembers what it accepted.
func (c *Client) paged(ctx context.Context, p source.Priority, ep endpoint, offset, wanted int, query url.Values, decode func([]byte) error) (reply, error) {
	known, base := c.pages.of(ep)
	if wanted <= 0 {
		wanted = ep.limit
	}
	limit := min(wanted, known)
	var first error
	for {
		query.Set("from", strconv.Itoa(offset+base))
		query.Set("limit", strconv.Itoa(limit))
		r, err := c.do(ctx, &call{endpoint: ep.name, method: "GET", path: ep.path, query: query,
			priority: p, weight: weightOfList(offset), decode: decode})
		if err == nil {
			c.pages.accepted(ep, limit, wanted, base)
			return r, nil
		}
		if first == nil {
			first = err
		}
		ok := false
		if limit, base, ok = narrower(err, offset, limit, base); !ok {
			return r, first
		}
	}
}

// narrower decides what to try after a refusal: a smaller limit when `limit`
// was refused, or when nothing was named on the first page (further on the
// depth may be meant), then base 1 when row 0 was refused.
func narrower(err error, offset, limit, base int) (int, int, bool) {
	var call *source.CallError
	if !errors.As(err, &call) || call.Fault != source.FaultInvalid || call.Status != 422 {
		return limit, base, false
	}
	refused := refusedParameters(err)
	if refused["limit"] || len(refused) == 0 && offset == 0 {
		for _, l := range pageLimits {
			if l < limit {
				return l, base, true
			}
		}
	}
	if offset == 0 && base == 0 && refused["from"] {
		return limit, 1, true
	}
	return limit, base, false
}
