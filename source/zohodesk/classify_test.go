package zohodesk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// action is what the client does about a reply, as it shows from outside.
type action string

const (
	actRetry   action = "repeats it with back-off, eight tries"
	actFewer   action = "repeats it with back-off, four tries"
	actRefresh action = "gets another token, tries that for a minute and a half, then the connection stops"
	actRenew   action = "gets another token, then repeats it with back-off"
	actWait    action = "holds every call back and sends it again"
	actSkip    action = "says at once that this is not to be had"
	actStop    action = "says at once that the connection must be authorised again"
	actGone    action = "says at once that the id is unknown"
	actRefuse  action = "says at once that the request is refused as it stands"
	actUnread  action = "says at once that the reply makes no sense"
)

// errorReplies is every error reply that Zoho documents (OAS Common.json,
// APIDOC, captures), those whose status is not stated under several, and what
// else may come: what it is, what the client does, and what people are told.
var errorReplies = []struct {
	status int
	body   string
	header []string
	fault  source.Fault
	action action
	says   string
}{
	{400, code("BAD_REQUEST"), nil, source.FaultInvalid, actRefuse, "BAD_REQUEST: words (this portal does not take the request as deskhouse makes it: please report it)"},
	{401, code("UNAUTHORIZED"), nil, source.FaultUnauthorized, actStop, "authorise again: `deskhouse auth exchange --connection main`"},
	{401, code("INVALID_OAUTH"), nil, source.FaultUnauthorized, actRefresh, "authorise again: `deskhouse auth exchange --connection main`"},
	{400, code("INVALID_OAUTH"), nil, source.FaultUnauthorized, actRefresh, "authorise again: `deskhouse auth exchange --connection main`"},
	{401, code("NEW_KIND"), nil, source.FaultUnauthorized, actRefresh, "HTTP 401 NEW_KIND: words (authorise again"},
	{401, `{}`, nil, source.FaultUnauthorized, actRefresh, "HTTP 401 (authorise again"},
	{401, ``, nil, source.FaultRetry, actRenew, "HTTP 401: reply is no JSON (empty, 0 bytes) (not Zoho Desk but a proxy"},
	{401, `<html>sign in</html>`, nil, source.FaultRetry, actRetry, "HTTP 401: reply is no JSON (HTML, 20 bytes) (not Zoho Desk but a proxy"},
	{403, code("SCOPE_MISMATCH"), nil, source.FaultForbidden, actSkip, "the authorisation lacks a scope for this: authorise again (`deskhouse auth exchange --connection main`) with the scopes that `deskhouse check` lists"},
	{401, code("SCOPE_MISMATCH"), nil, source.FaultForbidden, actSkip, "lacks a scope"},
	{403, code("OAUTH_ORG_MISMATCH"), nil, source.FaultUnauthorized, actStop, "the token belongs to another portal: check org_id"},
	{403, code("FORBIDDEN"), nil, source.FaultForbidden, actSkip, "the authorising agent's profile does not allow this"},
	{403, `{"errorCode":"LICENSE_ACCESS_LIMITED","message":"x","feature":"TEAM","editionType":"FREE","isTrial":false,"maxAllowedEntity":"10"}`, nil, source.FaultForbidden, actSkip, "the portal's edition does not have this feature"},
	{422, code("LICENSE_ACCESS_LIMITED"), nil, source.FaultForbidden, actSkip, "the portal's edition does not have this feature"},
	{403, code("ONLY_LIVECHAT_USER"), nil, source.FaultForbidden, actSkip, "the authorising user is a live-chat user only: authorise as a support agent"},
	{403, code("NEW_KIND"), nil, source.FaultForbidden, actSkip, "HTTP 403 NEW_KIND: words (the authorising agent's profile"},
	{403, `<html>blocked</html>`, nil, source.FaultRetry, actRetry, "not Zoho Desk but a proxy, a maintenance page or another host answered"},
	{403, ``, nil, source.FaultRetry, actRetry, "reply is no JSON (empty, 0 bytes)"},
	{404, code("URL_NOT_FOUND"), nil, source.FaultNotFound, actGone, "HTTP 404 URL_NOT_FOUND: words"},
	{404, code("NEW_KIND"), nil, source.FaultInvalid, actRefuse, "HTTP 404 NEW_KIND: words"},
	{404, `{}`, nil, source.FaultInvalid, actRefuse, "HTTP 404"},
	{404, `<html>not found</html>`, nil, source.FaultRetry, actRetry, "check data_center, desk_url and the proxy"},
	{404, ``, nil, source.FaultRetry, actRetry, "reply is no JSON (empty, 0 bytes)"},
	{422, code("URL_NOT_FOUND"), nil, source.FaultInvalid, actRefuse, "HTTP 422 URL_NOT_FOUND"}, // only a 404 says that an id is gone
	{405, code("METHOD_NOT_ALLOWED"), nil, source.FaultInvalid, actRefuse, "please report it"},
	{408, code("X"), nil, source.FaultRetry, actRetry, "HTTP 408 X"},
	{413, code("RESOURCE_SIZE_EXCEEDED"), nil, source.FaultInvalid, actRefuse, "HTTP 413 RESOURCE_SIZE_EXCEEDED"},
	{415, code("UNSUPPORTED_MEDIA_TYPE"), nil, source.FaultInvalid, actRefuse, "HTTP 415 UNSUPPORTED_MEDIA_TYPE"},
	{422, code("INVALID_DATA"), nil, source.FaultInvalid, actRefuse, "HTTP 422 INVALID_DATA: words"},
	{422, `{"errorCode":"INVALID_DATA","message":"x","errors":[{"fieldName":"/limit","errorType":"invalid","errorMessage":""}]}`, nil, source.FaultInvalid, actRefuse, "refused limit"},
	{422, code("UNPROCESSABLE_ENTITY"), nil, source.FaultInvalid, actRefuse, "HTTP 422 UNPROCESSABLE_ENTITY: words"},
	{422, code("EMPTY_PAYLOAD"), nil, source.FaultInvalid, actRefuse, "HTTP 422 EMPTY_PAYLOAD"},
	{400, code("DUPLICATE_CONTRACT"), nil, source.FaultInvalid, actRefuse, "DUPLICATE_CONTRACT"},
	{409, code("DUPLICATE_CONTRACT"), nil, source.FaultInvalid, actRefuse, "DUPLICATE_CONTRACT"},
	{500, code("DUPLICATE_CONTRACT"), nil, source.FaultInvalid, actRefuse, "DUPLICATE_CONTRACT"},
	{403, code("INTEGRATION_ADMIN_ERROR"), nil, source.FaultInvalid, actRefuse, "change the profile or authorise as another agent"},
	{500, code("INTEGRATION_ADMIN_ERROR"), nil, source.FaultInvalid, actRefuse, "change the profile or authorise as another agent"},
	{429, code("THRESHOLD_EXCEEDED"), []string{"Retry-After", "7200"}, source.FaultRetry, actWait, "API credits of the day are spent"},
	{429, code("THRESHOLD_EXCEEDED"), []string{"Retry-After", "Sat, 01 Jan 2000 02:00:00 GMT"}, source.FaultRetry, actWait, "API credits of the day are spent"},
	{429, code("THRESHOLD_EXCEEDED"), nil, source.FaultRetry, actWait, "API credits of the day are spent"},
	{403, code("THRESHOLD_EXCEEDED"), []string{"Retry-After", "7200"}, source.FaultRetry, actWait, "API credits of the day are spent"},
	{429, code("TOO_MANY_REQUESTS"), nil, source.FaultRetry, actRetry, "HTTP 429 TOO_MANY_REQUESTS: words"},
	{429, code("TOO_MANY_REQUESTS"), []string{"Retry-After", "7200"}, source.FaultRetry, actWait, "too many calls and asks for a pause"},
	{429, code("TOO_MANY_REQUESTS"), []string{"Retry-After", "Sat, 01 Jan 2000 02:00:00 GMT"}, source.FaultRetry, actWait, "too many calls and asks for a pause"},
	{503, code("TOO_MANY_REQUESTS"), nil, source.FaultRetry, actRetry, "HTTP 503 TOO_MANY_REQUESTS: words"},
	{429, code("NEW_KIND"), nil, source.FaultRetry, actRetry, "HTTP 429 NEW_KIND: words"},
	{429, ``, nil, source.FaultRetry, actRetry, "HTTP 429: reply is no JSON"},
	{429, `<html>slow down</html>`, nil, source.FaultRetry, actRetry, "HTTP 429: reply is no JSON (HTML"},
	{429, `<html>slow down</html>`, []string{"Retry-After", "7200"}, source.FaultRetry, actWait, "asks for a pause"},
	{418, code("NEW_KIND"), nil, source.FaultInvalid, actRefuse, "HTTP 418 NEW_KIND: words"},
	{500, code("INTERNAL_SERVER_ERROR"), nil, source.FaultRetry, actFewer, "a wrong org_id or field name is answered like this too"},
	{500, code("NEW_KIND"), nil, source.FaultRetry, actRetry, "HTTP 500 NEW_KIND: words"},
	{500, ``, nil, source.FaultRetry, actRetry, "HTTP 500: reply is no JSON (empty"},
	{502, `<html>bad gateway</html>`, nil, source.FaultRetry, actRetry, "HTTP 502: reply is no JSON (HTML"},
	{503, code("X"), nil, source.FaultRetry, actRetry, "HTTP 503 X"},
	{302, ``, nil, source.FaultInvalid, actRefuse, "the host answers with a redirect: check data_center or desk_url"},
	{200, `<html>maintenance</html>`, nil, source.FaultRetry, actRetry, "HTTP 200"},
	{200, `{"id":"1","subject":"cut he`, nil, source.FaultRetry, actRetry, "(cut JSON, 27 bytes)"},
	{200, ``, nil, source.FaultRetry, actRetry, "reply has no body (empty, 0 bytes)"},
	{200, `{"subject":"no id"}`, nil, source.FaultBadReply, actUnread, "HTTP 200"},
	{200, `[]`, nil, source.FaultBadReply, actUnread, "HTTP 200"},
	{204, ``, nil, source.FaultBadReply, actUnread, "HTTP 204: not the answer to this call"},
	{206, `{"id":"1"}`, nil, source.FaultBadReply, actUnread, "HTTP 206: not the answer to this call"},
}

func code(c string) string { return `{"errorCode":"` + c + `","message":"words"}` }

func TestEveryErrorReplyIsClassifiedActedOnAndExplained(t *testing.T) {
	for _, c := range errorReplies {
		name := http.StatusText(c.status) + " " + c.body + strings.Join(c.header, " ")
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := &scripted{api: always(c.status, c.body, c.header...)}
				client := newClient(t, z)
				if c.action == actWait {
					holdsBack(t, z, client, c.says)
					return
				}
				rec, at, err := client.Get(t.Context(), source.ForReread, source.Tickets, 7)
				var call *source.CallError
				if rec != nil || !errors.As(err, &call) {
					t.Fatalf("got %v, %v", rec, err)
				}
				if call.Fault != c.fault || call.Status != c.status || at.Date.IsZero() {
					t.Errorf("got %+v at %v, want fault %d", call, at, c.fault)
				}
				if did := seen(z, call.Fault); did != c.action {
					t.Errorf("%d requests and %d tokens: it %q, want %q", len(z.sent()), z.granted(), did, c.action)
				}
				if !strings.HasPrefix(err.Error(), "GET tickets/7: HTTP ") || !strings.Contains(err.Error(), c.says) {
					t.Errorf("people are told %q, want %q in it", err, c.says)
				}
				for _, quoted := range []string{"cut he", "maintenance</", "blocked", "sign in"} {
					if strings.Contains(err.Error(), quoted) {
						t.Errorf("the error quotes %q: %v", quoted, err)
					}
				}
			})
		})
	}
}

// seen tells from what was sent, and from the fault alone where nothing was
// repeated, which action it was.
func seen(z *scripted, fault source.Fault) action {
	once := map[source.Fault]action{source.FaultForbidden: actSkip, source.FaultUnauthorized: actStop, source.FaultNotFound: actGone,
		source.FaultInvalid: actRefuse, source.FaultBadReply: actUnread}
	switch [2]int{len(z.sent()), z.granted()} {
	case [2]int{1, 1}:
		return once[fault]
	case [2]int{2 + len(doubtPauses), 2}:
		return actRefresh
	case [2]int{4, 1}:
		return actFewer
	case [2]int{maxTries, 1}:
		return actRetry
	case [2]int{maxTries + 1, 2}:
		return actRenew
	}
	return ""
}

// holdsBack checks that one refusal stops every call, and that people are told.
func holdsBack(t *testing.T, z *scripted, client *Client, says string) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for p := source.ForReread; p <= source.ForHydration; p++ {
		wg.Go(func() {
			if _, _, err := client.Get(ctx, p, source.Tickets, 7); !errors.Is(err, context.Canceled) {
				t.Errorf("priority %d: %v", p, err)
			}
		})
		synctest.Wait()
	}
	until, why := client.WaitingUntil()
	if until.Before(start.Add(fallbackHold)) || until.After(start.Add(2*time.Hour)) || !strings.Contains(why, says) {
		t.Errorf("waiting until %v because %q, want %q", until, why, says)
	}
	time.Sleep(until.Sub(start) - time.Second)
	if n := len(z.sent()); n != 1 {
		t.Errorf("%d requests while every call is to wait", n)
	}
	time.Sleep(2 * time.Second)
	if n := len(z.sent()); n < 2 {
		t.Error("nothing was sent once the time was up")
	}
	cancel()
	wg.Wait()
}

func TestTransientFailuresAreRepeatedUntilTheyPass(t *testing.T) {
	cut := func(*http.Request) *http.Response {
		res := answer(200, onePage[:60])
		res.ContentLength = int64(len(onePage))
		return res
	}
	broken := func(*http.Request) *http.Response {
		res := answer(200, "")
		res.ContentLength = -1
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(onePage[:20]), brokenBody{}))
		return res
	}
	for name, fault := range map[string]func(*http.Request) *http.Response{
		"cut body": cut, "connection lost in the body": broken, "HTML": always(200, "<html>"), "bad gateway": always(502, "<html>"),
		"timeout": func(*http.Request) *http.Response { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := &scripted{api: inTurn(fault, fault, always(200, onePage))}
				page, err := newClient(t, z).Search(t.Context(), source.ForPoll, source.Tickets, source.Query{})
				if err != nil || page.Rows != 1 || page.Count != 1 || len(z.sent()) != 3 {
					t.Errorf("%d rows after %d requests, %v", page.Rows, len(z.sent()), err)
				}
				if page.At.Took >= attemptTimeout {
					t.Errorf("took %v: the timing is of the last attempt alone", page.At.Took)
				}
			})
		})
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: inTurn(always(503, `{"errorCode":"X"}`, "Retry-After", "90"), always(200, onePage))}
		start := time.Now()
		if err := searchTickets(newClient(t, z)); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 90*time.Second {
			t.Errorf("waited %v, want 90 s", waited)
		}

		z.api = always(503, `{"errorCode":"X"}`, "Retry-After", "3600")
		start = time.Now()
		var call *source.CallError
		if err := searchTickets(newClient(t, z)); !errors.As(err, &call) || call.Wait != time.Hour || time.Since(start) != 0 {
			t.Errorf("a long Retry-After is the caller's to wait for: %v after %v", err, time.Since(start))
		}
	})
}

func TestCancelledCallReturnsAtOnce(t *testing.T) {
	for name, api := range map[string]func(*http.Request) *http.Response{
		"while sending": func(*http.Request) *http.Response { return nil },
		"while waiting": always(503, `{"errorCode":"X"}`, "Retry-After", "100"),
		"while held":    always(429, `{"errorCode":"THRESHOLD_EXCEEDED","message":"x"}`, "Retry-After", "7200"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				c := newClient(t, &scripted{api: api})
				_, err := c.Count(ctx, source.ForPoll, 0)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if calls, _ := c.InFlight(); calls != 0 {
					t.Errorf("%d calls still counted as in flight", calls)
				}
			})
		})
	}
}

func TestRefusedParametersAreNamed(t *testing.T) {
	for body, want := range map[string]string{
		`{"errorCode":"INVALID_DATA","message":"x","errors":[{"fieldName":"/limit","errorType":"invalid","errorMessage":""}]}`: "limit",
		`{"errorCode":"UNPROCESSABLE_ENTITY","message":"The value passed for the 'from' query parameter is invalid."}`:         "from",
		`{"errorCode":"UNPROCESSABLE_ENTITY","message":"Extra query parameter 'modifiedTimeRange' is present in the input."}`:  "modifiedTimeRange",
	} {
		err, _ := classify("GET tickets", reply{status: 422, header: http.Header{}, body: []byte(body)})
		if !refusedParameters(err)[want] {
			t.Errorf("%s: refused %v, want %s", body, refusedParameters(err), want)
		}
	}
}

func TestTooLargeReplyIsBad(t *testing.T) {
	z := &scripted{api: func(*http.Request) *http.Response {
		res := answer(200, "")
		res.ContentLength = -1
		res.Body = io.NopCloser(io.LimitReader(zeros{}, maxBody+10))
		return res
	}}
	if err := searchTickets(newClient(t, z)); !source.IsFault(err, source.FaultBadReply) || len(z.sent()) != 1 {
		t.Errorf("got %v after %d requests", err, len(z.sent()))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
