package zohodesk

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
)

const (
	testSecret  = "hush-client-secret"
	testRefresh = "1000.hush.refresh"
	testOrg     = 60000000001
)

// scripted is a Zoho that answers what the test says. A nil token answers with
// tok-1, tok-2, … of an hour's life.
type scripted struct {
	mu    sync.Mutex
	token func(n int) *http.Response
	api   func(r *http.Request) *http.Response
	grant int
	forms []url.Values
	calls []*http.Request
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.URL.Host == "accounts.zoho.eu" {
		return s.grantToken(r), nil
	}
	s.mu.Lock()
	s.calls = append(s.calls, r)
	s.mu.Unlock()
	res := s.api(r)
	if res == nil { // a peer that never answers
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return res, nil
}

func (s *scripted) grantToken(r *http.Request) *http.Response {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	s.grant++
	n := s.grant
	s.forms = append(s.forms, form)
	s.mu.Unlock()
	if s.token != nil {
		return s.token(n)
	}
	return answer(200, granted("tok-"+strconv.Itoa(n), 3600))
}

func (s *scripted) granted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant
}

func (s *scripted) sent() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.calls...)
}

func granted(access string, seconds int) string {
	return `{"access_token":"` + access + `","scope":"Desk.tickets.READ","api_domain":"https://www.zohoapis.eu","token_type":"Bearer","expires_in":` + strconv.Itoa(seconds) + `}`
}

// answer is a reply with a Date of now. headers are pairs.
func answer(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	kind := "application/json"
	if strings.HasPrefix(body, "<") {
		kind = "text/html"
	}
	h.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// always answers every call the same.
func always(status int, body string, headers ...string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response { return answer(status, body, headers...) }
}

// inTurn answers one after the other, the last for ever.
func inTurn(replies ...func(*http.Request) *http.Response) func(*http.Request) *http.Response {
	var mu sync.Mutex
	n := 0
	return func(r *http.Request) *http.Response {
		mu.Lock()
		next := replies[min(n, len(replies)-1)]
		n++
		mu.Unlock()
		return next(r)
	}
}

func testConfig(rt http.RoundTripper) Config {
	return Config{Name: "main", DataCenter: "eu", OrgID: testOrg, ClientID: "1000.CLIENT", ClientSecret: testSecret,
		RefreshToken: testRefresh, Transport: rt, Logger: zerolog.Nop()}
}

func newClient(t *testing.T, rt http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	cfg := testConfig(rt)
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// searchTickets makes one small search: the tests' plain call.
func searchTickets(c *Client) error {
	_, err := c.Search(context.Background(), source.ForSnapshot, source.Tickets, source.Query{By: source.ByCreated, From: 0, To: 1000})
	return err
}

const onePage = `{"data":[{"id":"900100000000012345","ticketNumber":"417","modifiedTime":"2026-09-10T00:26:40.000Z"}],"count":1}`
