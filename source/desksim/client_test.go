package desksim

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// client calls a portal in process.
type client struct {
	t     *testing.T
	p     *Portal
	token string
	org   string
}

func newClient(t *testing.T, p *Portal) *client {
	return &client{t: t, p: p, token: p.AccessToken(), org: strconv.FormatUint(p.OrgID(), 10)}
}

func (c *client) request(method, path, body string) *http.Request {
	c.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, "https://desk.zoho.com/api/v1/"+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Zoho-oauthtoken "+c.token)
	if c.org != "" {
		r.Header.Set("orgId", c.org)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (c *client) send(r *http.Request) (int, http.Header, []byte) {
	c.t.Helper()
	reply, err := c.p.RoundTripper().RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply.StatusCode, reply.Header, body
}

func (c *client) get(path string) (int, []byte) {
	c.t.Helper()
	status, _, body := c.send(c.request(http.MethodGet, path, ""))
	return status, body
}
