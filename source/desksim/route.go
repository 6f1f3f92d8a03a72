package desksim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// endpoint is one method on one path.
type endpoint struct {
	class  string     // for Stats and faults: "tickets.search", …
	scopes [][]string // every inner list needs one scope of it (Config.ScopesAnyOf: one of all)
	params params
	noOrg  bool            // works without orgId
	cost   func(query) int // credits
	serve  func(*call) *apiError
}

// router finds endpoints by path below /api/v1; "{id}" stands for digits.
type router map[string]map[string]*endpoint

// call is one request on its way through an endpoint.
type call struct {
	p         *Portal
	r         *http.Request
	now       time.Time
	class     string // the endpoint's, once it is found
	q         query
	id        uint64
	body      []byte // the reply's body, appended to
	status    int    // default 200
	stale     bool   // a stale replica answers a GET by id
	staleList bool   // a stale replica answers a search or a list
}

// find returns the endpoint, the id in the path, and the refusal.
func (rt router) find(method, path string) (*endpoint, uint64, *apiError) {
	path, ok := strings.CutPrefix(path, "/api/v1/")
	if !ok {
		return nil, 0, errNotFound
	}
	var id uint64
	methods := rt[path]
	if methods == nil {
		head, tail, _ := strings.Cut(path, "/")
		n, err := strconv.ParseUint(tail, 10, 64)
		if methods = rt[head+"/{id}"]; methods == nil || err != nil {
			return nil, 0, errNotFound
		}
		id = n
	}
	e := methods[method]
	if e == nil {
		return nil, 0, errMethod
	}
	return e, id, nil
}

func (p *Portal) newRouter() router {
	rt := router{}
	p.routeTickets(rt)
	p.routeDepartments(rt)
	p.routeProducts(rt)
	p.routeContracts(rt)
	p.routeFields(rt)
	p.routeOrganizations(rt)
	p.routeMyInfo(rt)
	p.routeRecycleBin(rt)
	p.routeWebhooks(rt)
	return rt
}

func (rt router) add(method, path string, e *endpoint) {
	if rt[path] == nil {
		rt[path] = map[string]*endpoint{}
	}
	rt[path][method] = e
}

func (rt router) get(path string, e *endpoint) { rt.add(http.MethodGet, path, e) }

// all needs each scope, one group of alternatives a scope.
func all(scopes ...string) [][]string {
	groups := make([][]string, len(scopes))
	for i, s := range scopes {
		groups[i] = strings.Split(s, "|")
	}
	return groups
}

// checkOrg applies the rules of the orgId: header or query, digits, the token's own portal. What a missing one gives is
// not documented; a value that is no number gave an opaque 500 on a live portal.
func (c *call) checkOrg() *apiError {
	org := c.r.Header.Get("orgId")
	if org == "" {
		org = c.r.URL.Query().Get("orgId")
	}
	if org == "" {
		return errMissingQuery("orgId")
	}
	n, err := strconv.ParseUint(org, 10, 64)
	switch {
	case err != nil:
		return errInternal
	case n != c.p.cfg.OrgID:
		return errOrgMismatch
	}
	return nil
}

// listReply writes {"data":[…]} with what rows appends, or 204 without a body when it appends nothing.
func (c *call) listReply(rows func(add func(func([]byte) []byte))) {
	n := c.openList()
	rows(func(row func([]byte) []byte) {
		if n > 0 {
			c.body = append(c.body, ',')
		}
		n++
		c.body = row(c.body)
	})
	c.closeList(n)
}

func (c *call) openList() int {
	c.body = append(c.body, `{"data":[`...)
	return 0
}

func (c *call) closeList(n int) {
	if n == 0 {
		c.body, c.status = c.body[:0], http.StatusNoContent
		return
	}
	c.body = append(c.body, "]}"...)
}
