package zohodesk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
)

const hookReply = `{"id":"900100000000099001","name":"deskhouse","url":"https://cdc.example.org/hooks/support/ABC","isEnabled":true,
	"subscriptions":{"Ticket_Update":{"includePrevState":true},"Ticket_Add":null},"includeEventsFrom":["AUTOMATION"],
	"createdBy":"1","createdTime":1789000000123,"modifiedTime":"2026-09-10T00:26:40.000Z","type":["CUSTOMER_WEBHOOK"]}`

func bodies(z *scripted) []string {
	var all []string
	for _, r := range z.sent() {
		if r.Body == nil {
			all = append(all, "")
			continue
		}
		b, _ := io.ReadAll(r.Body)
		all = append(all, string(b))
	}
	return all
}

func TestWebhookBodies(t *testing.T) {
	z := &scripted{api: always(200, hookReply)}
	c := newClient(t, z)
	spec := WebhookSpec{Name: strings.Repeat("ü", 60), URL: "https://cdc.example.org/hooks/support/ABC", PrevState: true}
	if _, err := c.CreateWebhook(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	w, err := c.UpdateWebhook(t.Context(), 7, WebhookSpec{URL: spec.URL, Events: []string{"Ticket_Delete", "Ticket_Update"}})
	if err != nil {
		t.Fatal(err)
	}
	got := bodies(z)
	create := `{"name":"` + strings.Repeat("ü", 50) + `","url":"https://cdc.example.org/hooks/support/ABC","includeEventsFrom":["AUTOMATION"],` +
		`"subscriptions":{"Department_Add":null,"Department_Update":{"includePrevState":true},"Ticket_Add":null,"Ticket_Delete":null,"Ticket_Update":{"includePrevState":true}}}`
	update := `{"url":"https://cdc.example.org/hooks/support/ABC","includeEventsFrom":["AUTOMATION"],"subscriptions":{"Ticket_Delete":null,"Ticket_Update":null},"isEnabled":true}`
	if got[0] != create {
		t.Errorf("create\n got %s\nwant %s", got[0], create)
	}
	if got[1] != update {
		t.Errorf("update\n got %s\nwant %s", got[1], update)
	}
	sent := z.sent()
	if sent[0].Method != "POST" || sent[0].URL.Path != "/api/v1/webhooks" || sent[0].Header.Get("Content-Type") != "application/json" ||
		sent[1].Method != "PATCH" || sent[1].URL.Path != "/api/v1/webhooks/7" {
		t.Errorf("sent %s %s, %s %s", sent[0].Method, sent[0].URL, sent[1].Method, sent[1].URL)
	}
	if w.ID != 900100000000099001 || !w.Enabled || !w.Automation || w.CreatedAt != 1789000000123 || w.ModifiedAt != 1789000000000 || strings.Join(w.Events, " ") != "Ticket_Add Ticket_Update" {
		t.Errorf("read %+v", w)
	}
}

func TestExtensionWebhooksAreLeftAlone(t *testing.T) {
	z := &scripted{api: always(200, `{"data":[`+hookReply+`,{"id":"2","name":"x","url":"https://x","extension":{"id":"1"},"subscriptions":{}},
		{"id":3,"url":"https://y","type":"EXTENSION_WEBHOOK"},{"id":4,"url":"https://z","extension":null,"isEnabled":"false","subscriptions":null}]}`)}
	got, err := newClient(t, z).Webhooks(t.Context())
	if err != nil || len(got) != 2 || got[0].Name != "deskhouse" || got[1].ID != 4 || got[1].Enabled {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCreationOfUnknownOutcomeIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(502, "<html>")}
		c := newClient(t, z)
		_, err := c.CreateWebhook(t.Context(), WebhookSpec{URL: "https://x"})
		if !source.IsFault(err, source.FaultRetry) || len(z.sent()) != 1 {
			t.Errorf("%v after %d requests", err, len(z.sent()))
		}
		z.api = inTurn(always(429, `{"errorCode":"TOO_MANY_REQUESTS","message":"x"}`), always(200, hookReply))
		if _, err := c.CreateWebhook(t.Context(), WebhookSpec{URL: "https://x"}); err != nil {
			t.Errorf("a refused creation is tried again: %v", err)
		}
		z.api = inTurn(always(502, "<html>"), always(200, hookReply))
		if _, err := c.UpdateWebhook(t.Context(), 7, WebhookSpec{URL: "https://x"}); err != nil {
			t.Errorf("an update can be repeated: %v", err)
		}
	})
}

func TestWebhookOptionsAreReadLeniently(t *testing.T) {
	z := &scripted{api: always(200, `{"data":[{"id":"1","url":"https://x","subscriptions":{"Ticket_Add":{"departmentIds":[]},"Ticket_Update":{"departmentIds":["7"],"includePrevState":"true","fields":null},
		"Department_Update":{"includePrevState":true},"Contact_Update":{"includePrevState":false},"Ticket_Thread_Add":{"direction":"in"},"Ticket_Delete":"null","Department_Add":null}}]}`)}
	got, err := newClient(t, z).Webhooks(t.Context())
	if err != nil || len(got) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if prev, narrow := strings.Join(got[0].PrevState, " "), strings.Join(got[0].Narrowed, " "); prev != "Department_Update Ticket_Update" || narrow != "Ticket_Thread_Add Ticket_Update" {
		t.Errorf("previous state with %q, narrowed %q", prev, narrow)
	}
}

func TestRefusedRegistrationSaysWhy(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, hint string
	}{
		{422, `{"errorCode":"INVALID_DATA","message":"x","errors":[{"fieldName":"/url","errorType":"invalid"}]}`, hintUnreachable},
		{422, `{"errorCode":"UNPROCESSABLE_ENTITY","message":"No more webhooks can be configured."}`, hintQuota},
		{403, `{"errorCode":"LICENSE_ACCESS_LIMITED","message":"x","feature":"AGENTS","maxAllowedEntity":"5"}`, hintQuota},
		{403, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`, hintScope},
	} {
		z := &scripted{api: always(c.status, c.body)}
		client := newClient(t, z)
		_, err := client.CreateWebhook(t.Context(), WebhookSpec{URL: "https://x"})
		var call *source.CallError
		if !errors.As(err, &call) || call.Hint != client.tokens.creds.named(c.hint) {
			t.Errorf("%s: %v", c.body, err)
		}
	}
}

func TestDeletingAWebhookTwiceIsNoError(t *testing.T) {
	z := &scripted{api: inTurn(always(200, ""), always(404, `{"errorCode":"URL_NOT_FOUND","message":"x"}`), always(403, `{"errorCode":"FORBIDDEN","message":"x"}`))}
	c := newClient(t, z)
	for range 2 {
		if err := c.DeleteWebhook(t.Context(), 7); err != nil {
			t.Error(err)
		}
	}
	if err := c.DeleteWebhook(t.Context(), 7); !source.IsFault(err, source.FaultForbidden) {
		t.Errorf("got %v", err)
	}
	if r := z.sent()[0]; r.Method != http.MethodDelete || r.URL.Path != "/api/v1/webhooks/7" {
		t.Errorf("%s %s", r.Method, r.URL)
	}
}

func TestWebhookURLIsBounded(t *testing.T) {
	z := &scripted{api: always(200, hookReply)}
	_, err := newClient(t, z).CreateWebhook(t.Context(), WebhookSpec{URL: "https://cdc.example.org/hooks/support/" + strings.Repeat("S", 70)})
	if !source.IsFault(err, source.FaultInvalid) || len(z.sent()) != 0 || strings.Contains(err.Error(), "SSSS") {
		t.Errorf("got %v", err)
	}
}

// TestWebhookSecretIsNeverQuoted: whatever of the URL Zoho repeats in a refusal, wherever and in whatever case, also where
// the refusal is cut.
func TestWebhookSecretIsNeverQuoted(t *testing.T) {
	const secret = "abcdefghijklmnopqrstuvwxyz"
	const url = "https://cdc.example.org/hooks/support/" + secret
	for _, body := range []string{
		`{"errorCode":"INVALID_DATA","message":"` + url + ` did not answer","errors":[{"fieldName":"/url","errorType":"invalid"}]}`,
		`{"errorCode":"INVALID_DATA","message":"` + strings.Repeat("x", 240) + url + `"}`,
		`{"errorCode":"INVALID_DATA","message":"HTTPS://CDC.EXAMPLE.ORG/hooks/support/` + strings.ToUpper(secret) + ` did not answer"}`,
		`{"errorCode":"INVALID_DATA","message":"cdc.example.org\/hooks\/support\/` + secret + `?x"}`,
		`{"errorCode":"` + secret + `","message":"x"}`,
		`{"errorCode":"INVALID_DATA","message":"x","errors":[{"fieldName":"` + secret + `"}]}`,
		`<html>` + url,
	} {
		for _, status := range []int{422, 403, 200} {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				c := newClient(t, &scripted{api: always(status, body)}, func(cfg *Config) { cfg.Logger = zerolog.New(&log) })
				_, created := c.CreateWebhook(t.Context(), WebhookSpec{Name: "n", URL: url})
				_, updated := c.UpdateWebhook(t.Context(), 7, WebhookSpec{Name: "n", URL: url})
				if created == nil || updated == nil {
					t.Errorf("%d %s is no refusal", status, body)
				}
				if all := strings.ToLower(fmt.Sprint(created, updated, log.String())); strings.Contains(all, "abcdefghijklm") {
					t.Errorf("%d: %s", status, all)
				}
			})
		}
	}
}

// TestWebhookCallsDoNotWaitForCredits: the caller is told until when they are spent, and Zoho is not asked before that.
func TestWebhookCallsDoNotWaitForCredits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(429, `{"errorCode":"THRESHOLD_EXCEEDED","message":"x"}`, "Retry-After", "36000")}
		c := newClient(t, z)
		midnight := time.Now().Add(10 * time.Hour).UTC().Format(time.RFC3339)
		for name, call := range map[string]func() error{
			"list":   func() error { _, err := c.Webhooks(t.Context()); return err },
			"create": func() error { _, err := c.CreateWebhook(t.Context(), WebhookSpec{URL: "https://x"}); return err },
			"update": func() error { _, err := c.UpdateWebhook(t.Context(), 7, WebhookSpec{URL: "https://x"}); return err },
			"delete": func() error { return c.DeleteWebhook(t.Context(), 7) },
		} {
			began := time.Now()
			err := call()
			if !source.IsFault(err, source.FaultRetry) || !strings.Contains(err.Error(), midnight) || !strings.Contains(err.Error(), "credits") || time.Since(began) > 10*time.Second {
				t.Errorf("%s: after %s: %v", name, time.Since(began), err)
			}
		}
		if n := len(z.sent()); n != 1 {
			t.Errorf("%d requests", n)
		}
		time.Sleep(10 * time.Hour)
		z.api = always(200, `{"data":[]}`)
		if _, err := c.Webhooks(t.Context()); err != nil {
			t.Errorf("after the hold: %v", err)
		}
	})
}
