package zohodesk

import (
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

func TestTokenAnswersAreJudgedByAccessToken(t *testing.T) {
	asked := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
	throttle := `{"error":"Access Denied","error_description":"You have made too many requests continuously. Please try again after some time.","status":"failure"}`
	cases := []struct {
		name   string
		status int
		body   string
		fault  source.Fault
		code   string
		wait   time.Duration
		hint   string
	}{
		{"dead refresh token", 200, `{"error":"invalid_code"}`, source.FaultUnauthorized, "invalid_code", 0, "re-authorise"},
		{"unknown client", 200, `{"error":"invalid_client"}`, source.FaultUnauthorized, "invalid_client", 0, "data_center"},
		{"wrong secret", 200, `{"error":"invalid_client_secret"}`, source.FaultUnauthorized, "invalid_client_secret", 0, "client_secret"},
		{"catch-all", 200, `{"error":"general_error"}`, source.FaultRetry, "general_error", time.Minute, ""},
		{"throttle as 400", 400, throttle, source.FaultRetry, "Access Denied", 10 * time.Minute, "elsewhere"},
		{"throttle as 200", 200, throttle, source.FaultRetry, "Access Denied", 10 * time.Minute, "elsewhere"},
		{"throttle, localised", 200, `{"error":"访问被拒绝","error_description":"请求过多"}`, source.FaultRetry, "访问被拒绝", 10 * time.Minute, "elsewhere"},
		{"unknown code", 200, `{"error":"server_busy"}`, source.FaultRetry, "server_busy", time.Minute, ""},
		{"no code at all", 200, `{}`, source.FaultRetry, "", time.Minute, ""},
		{"HTML with 200", 200, `<html>maintenance</html>`, source.FaultRetry, "", 0, ""},
		{"cut", 200, `{"access_tok`, source.FaultRetry, "", 0, ""},
		{"empty", 502, ``, source.FaultRetry, "", 0, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tok, err := tokenOf(c.status, []byte(c.body), asked)
			if err == nil {
				t.Fatalf("a token %v came of %s", tok, c.body)
			}
			if err.Fault != c.fault || err.Code != c.code || err.Wait != c.wait || !strings.Contains(err.Hint, c.hint) {
				t.Errorf("got fault %d code %q wait %v hint %q", err.Fault, err.Code, err.Wait, err.Hint)
			}
		})
	}

	tok, err := tokenOf(400, []byte(granted("abc", 3600)), asked)
	if err != nil || tok.Access != "abc" || !tok.Expires.Equal(asked.Add(time.Hour)) || !tok.Renew.Equal(asked.Add(55*time.Minute)) {
		t.Errorf("a reply with access_token is a token whatever its status: %+v, %v", tok, err)
	}
	if tok, _ := tokenOf(200, []byte(`{"access_token":"abc","expires_in":"60"}`), asked); !tok.Renew.Equal(asked.Add(30 * time.Second)) {
		t.Errorf("a short-lived token is renewed at half of its life, got %v", tok.Renew)
	}
}
