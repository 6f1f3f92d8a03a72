package zohodesk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

func TestEveryErrorReplyHasOneFault(t *testing.T) {
	body := func(code string) string { return `{"errorCode":"` + code + `","message":"words"}` }
	cases := []struct {
		status int
		body   string
		fault  source.Fault
		calls  int // requests until the verdict
		hint   string
	}{
		{400, body("BAD_REQUEST"), source.FaultInvalid, 1, ""},
		{401, body("UNAUTHORIZED"), source.FaultUnauthorized, 1, "new refresh token"},
		{401, body("INVALID_OAUTH"), source.FaultUnauthorized, 2, "new refresh token"},
		{401, `{}`, source.FaultUnauthorized, 2, "new refresh token"},
		{403, body("SCOPE_MISMATCH"), source.FaultForbidden, 1, "scope"},
		{403, body("OAUTH_ORG_MISMATCH"), source.FaultUnauthorized, 1, "org_id"},
		{403, body("FORBIDDEN"), source.FaultForbidden, 1, "profile"},
		{403, `{"errorCode":"LICENSE_ACCESS_LIMITED","message":"x","feature":"TEAM","editionType":"FREE","isTrial":false,"maxAllowedEntity":"10"}`, source.FaultForbidden, 1, "edition"},
		{403, body("ONLY_LIVECHAT_USER"), source.FaultForbidden, 1, "live-chat"},
		{404, body("URL_NOT_FOUND"), source.FaultNotFound, 1, ""},
		{404, body("SOMETHING_ELSE"), source.FaultInvalid, 1, ""},
		{404, `<html>not found</html>`, source.FaultRetry, maxTries, ""},
		{404, ``, source.FaultRetry, maxTries, ""},
		{403, `<html>blocked</html>`, source.FaultRetry, maxTries, ""},
		{405, body("METHOD_NOT_ALLOWED"), source.FaultInvalid, 1, ""},
		{413, body("RESOURCE_SIZE_EXCEEDED"), source.FaultInvalid, 1, ""},
		{415, body("UNSUPPORTED_MEDIA_TYPE"), source.FaultInvalid, 1, ""},
		{422, body("INVALID_DATA"), source.FaultInvalid, 1, ""},
		{422, body("UNPROCESSABLE_ENTITY"), source.FaultInvalid, 1, ""},
		{422, body("EMPTY_PAYLOAD"), source.FaultInvalid, 1, ""},
		{409, body("DUPLICATE_CONTRACT"), source.FaultInvalid, 1, ""},
		{429, body("TOO_MANY_REQUESTS"), source.FaultRetry, maxTries, ""},
		{429, `<html>slow down</html>`, source.FaultRetry, maxTries, ""},
		{500, body("INTERNAL_SERVER_ERROR"), source.FaultRetry, 4, "org_id"},
		{502, `<html>bad gateway</html>`, source.FaultRetry, maxTries, ""},
		{503, body("X"), source.FaultRetry, maxTries, ""},
		{302, ``, source.FaultInvalid, 1, "desk_url"},
		{200, `<html>maintenance</html>`, source.FaultRetry, maxTries, ""},
		{200, `{"id":"1","subject":"cut he`, source.FaultRetry, maxTries, ""},
		{200, ``, source.FaultRetry, maxTries, ""},
		{200, `{"subject":"no id"}`, source.FaultBadReply, 1, ""},
		{200, `[]`, source.FaultBadReply, 1, ""},
		{204, ``, source.FaultBadReply, 1, ""},
		{206, `{"id":"1"}`, source.FaultBadReply, 1, ""},
	}
	for _, c := range cases {
		t.Run(http.StatusText(c.status)+" "+c.body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := &scripted{api: always(c.status, c.body)}
				rec, at, err := newClient(t, z).Get(t.Context(), source.ForReread, source.Tickets, 7)
				var call *source.CallError
				if rec != nil || !errors.As(err, &call) {
					t.Fatalf("got %v, %v", rec, err)
				}
				if call.Fault != c.fault || call.Status != c.status || !strings.Contains(call.Hint, c.hint) || call.Op != "GET tickets/7" {
					t.Errorf("got %+v", call)
				}
				if len(z.sent()) != c.calls {
					t.Errorf("%d requests, want %d", len(z.sent()), c.calls)
				}
				if at.Date.IsZero() {
					t.Error("the refusal has no time")
				}
				if strings.Contains(err.Error(), "cut he") || strings.Contains(err.Error(), "maintenance") {
					t.Errorf("the error quotes the reply: %v", err)
				}
			})
		})
	}
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
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(onePage[:20]), failing{}))
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

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

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
