package zohodesk

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/datacenter"
)

func testCredentials() credentials {
	center, _ := datacenter.Lookup("eu")
	cfg := testConfig(http.DefaultTransport)
	return credentials{connection: "main", clientID: cfg.ClientID, secret: cfg.ClientSecret, refresh: cfg.RefreshToken, endpoints: cfg.endpoints(center)}
}

const (
	throttleBody = `{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}`
	localised    = `{"error_description":"您连续提出的请求过多。请稍后再试。","error":"访问被拒绝","status":"failure"}`
)

// Every body that the accounts server was seen to answer, with both statuses:
// what it is taken for, what the connection does next and when, and what a
// person reads. soon and later are how many requests a try at once and a try
// after the wait bring.
func TestEveryTokenErrorBody(t *testing.T) {
	const never = 0
	cases := []struct {
		name     string
		body     string
		fault    source.Fault
		code     string
		wait     time.Duration // told to the caller
		silence  time.Duration // nothing is asked for so long
		exchange string        // part of the message where a code was traded
		message  string        // part of the message
	}{
		{"dead refresh token", `{"error":"invalid_code"}`, source.FaultUnauthorized, "invalid_code", never, 10 * time.Minute,
			"make a new one", "authorise again: `deskhouse auth exchange --connection main`, or put a new refresh_token into the configuration"},
		{"wrong data centre or client", `{"error":"invalid_client"}`, source.FaultUnauthorized, "invalid_client", never, 10 * time.Minute,
			"data centre eu (accounts.zoho.eu)", "the client id is unknown to data centre eu (accounts.zoho.eu): check client_id, and data_center: a client of another data centre is unknown here"},
		{"wrong secret", `{"error":"invalid_client_secret"}`, source.FaultUnauthorized, "invalid_client_secret", never, 10 * time.Minute,
			"check client_secret", "check client_secret"},
		{"catch-all", `{"error":"general_error"}`, source.FaultRetry, "general_error", time.Minute, time.Minute, "general_error", "general_error"},
		{"throttle", throttleBody, source.FaultRetry, "Access Denied", 10 * time.Minute, 10 * time.Minute, "elsewhere", "in use elsewhere?"},
		{"throttle, localised", localised, source.FaultRetry, "访问被拒绝", 10 * time.Minute, 10 * time.Minute, "elsewhere", "in use elsewhere?"},
		{"throttle, localised and without status", `{"error":"访问被拒绝"}`, source.FaultRetry, "访问被拒绝", 10 * time.Minute, 10 * time.Minute, "elsewhere", "in use elsewhere?"},
		{"refused grant", `{"error":"invalid_grant"}`, source.FaultUnauthorized, "invalid_grant", never, 10 * time.Minute, "make a new one", "deskhouse auth exchange"},
		{"client of another kind", `{"error":"unauthorized_client"}`, source.FaultUnauthorized, "unauthorized_client", never, 10 * time.Minute, "its type", "its type in the API console"},
		{"unknown code", `{"error":"server_busy"}`, source.FaultRetry, "server_busy", time.Minute, time.Minute, "server_busy", "server_busy"},
		{"no code at all", `{}`, source.FaultRetry, "", time.Minute, time.Minute, "oauth/v2/token", "oauth/v2/token"},
		{"HTML", `<html>maintenance</html>`, source.FaultRetry, "", never, time.Nanosecond, "HTML", "reply is no JSON (HTML, 24 bytes)"},
		{"cut", `{"access_tok`, source.FaultRetry, "", never, time.Nanosecond, "cut JSON", "cut JSON"},
		{"empty", ``, source.FaultRetry, "", never, time.Nanosecond, "empty", "reply is no JSON (empty, 0 bytes)"},
	}
	for _, c := range cases {
		for _, status := range []int{200, 400} {
			t.Run(c.name+" as "+strconv.Itoa(status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					z := &scripted{api: always(200, onePage)}
					z.token = func(int) *http.Response { return answer(status, c.body) }
					client := newClient(t, z)
					_, err := client.tokens.access(t.Context(), z)
					var call *source.CallError
					if !errors.As(err, &call) || call.Fault != c.fault || call.Code != c.code || call.Wait != c.wait || !strings.Contains(call.Error(), c.message) {
						t.Fatalf("got %v: %+v", err, call)
					}
					if c.silence > time.Nanosecond {
						time.Sleep(c.silence - time.Second)
						if _, err := client.tokens.access(t.Context(), z); err == nil || z.granted() != 1 {
							t.Errorf("%d requests within %v, then %v", z.granted(), c.silence, err)
						}
						time.Sleep(time.Second)
					}
					z.token = nil
					if access, err := client.tokens.access(t.Context(), z); err != nil || access == "" || z.granted() != 2 {
						t.Errorf("after %v: %d requests, %v", c.silence, z.granted(), err)
					}
					z.token = func(int) *http.Response { return answer(status, c.body) }
					if err := client.Exchange(t.Context(), "1000.code.hush", ""); err == nil || !strings.Contains(err.Error(), c.exchange) || strings.Contains(err.Error(), "hush") {
						t.Errorf("exchange: %v", err)
					}
				})
			})
		}
	}
}

func TestThrottleIsWaitedOutLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		z.token = func(int) *http.Response { return answer(400, throttleBody) }
		client := newClient(t, z)
		for _, want := range []time.Duration{10, 20, 30, 30} {
			_, err := client.tokens.access(t.Context(), z)
			var call *source.CallError
			if !errors.As(err, &call) || call.Wait != want*time.Minute {
				t.Fatalf("got %v, want a wait of %d minutes", err, want)
			}
			time.Sleep(call.Wait)
		}
		z.token = nil
		if _, err := client.tokens.access(t.Context(), z); err != nil {
			t.Error(err)
		}
	})
}

func TestTokenAnswersAreJudgedByAccessToken(t *testing.T) {
	asked := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
	creds := testCredentials()
	tok, err := creds.judge(forRefresh, 400, []byte(granted("abc", 3600)), asked)
	if err != nil || tok.access != "abc" || !tok.expires.Equal(asked.Add(time.Hour)) || !tok.renew.Equal(asked.Add(55*time.Minute)) {
		t.Errorf("a reply with access_token is a token whatever its status: %v until %v, %v", tok.renew, tok.expires, err)
	}
	if tok, _ := creds.judge(forRefresh, 200, []byte(`{"access_token":"abc","expires_in":"60"}`), asked); !tok.renew.Equal(asked.Add(30 * time.Second)) {
		t.Errorf("a short-lived token is renewed at half of its life, got %v", tok.renew)
	}
}
