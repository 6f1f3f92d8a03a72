package desksim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serve answers one request: accounts, keys or Desk, by path.
func (p *Portal) serve(w http.ResponseWriter, r *http.Request) {
	p.stampDate(w.Header(), DateArrived)
	switch {
	case p.closing.Err() != nil:
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(r.URL.Path, "/oauth/"):
		p.stats.tokens.Add(1)
		p.serveOAuth(w, r)
	case r.URL.Path == "/.well-known/jwks.json":
		writeJSON(w, http.StatusOK, p.keySet())
	default:
		p.serveDesk(w, r)
	}
}

// serveDesk takes a call through concurrency, latency, faults, token, credits and endpoint, in that order.
func (p *Portal) serveDesk(w http.ResponseWriter, r *http.Request) {
	p.stats.requests.Add(1)
	if !p.credits.enter() {
		p.refuse(w, errTooMany)
		return
	}
	defer p.credits.leave()
	p.pause(r, p.faults.wait(r))
	fault := p.faults.draw(r.URL.Path)
	if p.broken(w, r, fault) {
		return
	}
	c := &call{p: p, r: r, now: p.Now(), status: http.StatusOK, stale: fault == FaultStale, staleList: fault == FaultStaleList}
	p.stampDate(w.Header(), DateRead)
	p.catchUp()
	err := c.answer(w.Header())
	p.holdBack(c)
	p.stampDate(w.Header(), DateSent)
	if err != nil {
		p.refuse(w, err)
		return
	}
	p.send(w, c, fault == FaultCutBody)
}

// pause waits on the portal's clock, or until the caller or the portal is gone.
func (p *Portal) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-p.cfg.Clock.After(d):
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-p.closing.Done():
		panic(http.ErrAbortHandler)
	}
}

// broken answers for the faults that keep a call from being served.
func (p *Portal) broken(w http.ResponseWriter, r *http.Request, f Fault) bool {
	switch f {
	case FaultThreshold:
		p.refuse(w, errThreshold(p.credits.retryAfter(p.Now())))
	case FaultTooMany:
		p.refuse(w, errTooMany)
	case FaultServerError:
		p.refuse(w, errInternal)
	case FaultBadGateway:
		writeHTML(w, http.StatusBadGateway)
	case FaultHTML:
		writeHTML(w, http.StatusOK)
	case FaultHTMLNotFound:
		writeHTML(w, http.StatusNotFound)
	case FaultTokenExpired:
		p.oauth.kill(bearer(r))
		p.refuse(w, errBadToken)
	case FaultTimeout:
		select {
		case <-r.Context().Done():
		case <-p.closing.Done():
		}
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

// answer runs the endpoint; the reply is in c.
func (c *call) answer(h http.Header) *apiError {
	token := bearer(c.r)
	if token == "" {
		return errNoToken
	}
	scopes := c.p.oauth.authorize(token, c.now)
	if scopes == nil {
		return errBadToken
	}
	e, id, err := c.p.routes.find(c.r.Method, c.r.URL.Path)
	if err != nil {
		return err
	}
	c.id, c.class = id, e.class
	q, badQuery := e.params.parse(c.r.URL.RawQuery)
	if err := c.pay(e, q, h); err != nil {
		return err
	}
	if !e.noOrg {
		if err := c.checkOrg(); err != nil {
			return err
		}
	}
	if !c.p.allows(e, scopes) {
		return errScope
	}
	if c.p.faults.licenseRefused(e.class) {
		return errLicense(c.p.cfg.Edition, "AGENTS", 0)
	}
	if badQuery != nil {
		return badQuery
	}
	c.q = q
	return e.serve(c)
}

// pay spends the call's credits and sets the rate-limit headers. A refused query costs like one from the start.
func (c *call) pay(e *endpoint, q query, h http.Header) *apiError {
	cost := e.cost(q)
	left, wait := c.p.credits.spend(c.now, e.class, cost)
	h.Set("X-Rate-Limit-Remaining-v3", strconv.Itoa(left))
	h.Set("X-Rate-Limit-Request-Weight-v3", strconv.Itoa(cost))
	if wait > 0 {
		return errThreshold(wait)
	}
	return nil
}

// bearer returns the access token; both documented schemes are accepted (APIDOC).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Zoho-oauthtoken") || strings.EqualFold(scheme, "Bearer") {
		return token
	}
	return ""
}

func (p *Portal) allows(e *endpoint, have []string) bool {
	groups := 0
	for _, group := range e.scopes {
		if slices.ContainsFunc(group, func(s string) bool { return !p.faults.scopeRefused(s) && holds(have, s) }) {
			groups++
		}
	}
	if p.cfg.ScopesAnyOf {
		return groups > 0
	}
	return groups == len(e.scopes)
}

// holds compares without regard to case: OAS Common.json writes the catalogue in lower case, endpoints in upper case.
func holds(have []string, scope string) bool {
	whole := scope[:strings.LastIndexByte(scope, '.')] + ".ALL"
	return slices.ContainsFunc(have, func(s string) bool { return strings.EqualFold(s, scope) || strings.EqualFold(s, whole) })
}

func (p *Portal) refuse(w http.ResponseWriter, e *apiError) {
	if e.status == http.StatusTooManyRequests {
		p.stats.tooMany.Add(1)
	}
	if e.header[0] != "" {
		w.Header().Set(e.header[0], e.header[1])
	}
	writeJSON(w, e.status, e.body())
}

// send writes the reply; cut ends it in the middle of the body.
func (p *Portal) send(w http.ResponseWriter, c *call, cut bool) {
	body := c.body
	if keys := p.faults.hiddenKeys(); keys != nil {
		body = dropKeys(body, keys)
	}
	h := w.Header()
	if len(body) == 0 {
		w.WriteHeader(c.status)
		return
	}
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(c.status)
	if cut {
		_, _ = w.Write(body[:len(body)/2]) // the rest is missing on purpose
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // the client is gone: nobody to tell
}
