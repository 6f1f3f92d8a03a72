package zohodesk

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source/desksim"
)

// On a day whose credits are spent the time is to be had all the same, and
// costs nothing.
func TestTimeIsAskedForWithoutCredits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 100}, nil)
		portal.SpendElsewhere(100)
		time.Sleep(3 * time.Hour)
		if now := c.ZohoNow(); !now.IsZero() {
			t.Fatalf("Zoho's time is %v before it was told", now)
		}
		for range 2 {
			now, err := c.AskTime(t.Context())
			if err != nil || !now.Equal(portal.Now()) || !c.ZohoNow().Equal(now) {
				t.Errorf("asked for the time: %v, %v; want %v", now, err, portal.Now())
			}
			time.Sleep(time.Minute)
		}
		if s := portal.Stats(); s.Requests != 0 || s.TokenCalls != 0 {
			t.Errorf("%d API calls and %d token calls were made", s.Requests, s.TokenCalls)
		}
	})
}

func TestTimeOfAnyReplyOfTheDeskHost(t *testing.T) {
	date := "Thu, 10 Sep 2026 12:00:00 GMT"
	want := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		name  string
		reply func(*http.Request) (*http.Response, error)
		want  time.Time // zero: an error
	}{
		{"keys", replying(200, `{"keys":[]}`, "Date", date), want},
		{"no such page", replying(404, `<html>`, "Date", date), want},
		{"from a cache", replying(200, `{"keys":[]}`, "Date", date, "Age", "300"), want.Add(5 * time.Minute)},
		{"no date", replying(200, `{"keys":[]}`, "Date", ""), time.Time{}},
		{"no reply", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, time.Time{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, roundTrip(c.reply))
			got, err := client.AskTime(t.Context())
			if c.want.IsZero() != (err != nil) || got.Sub(c.want) < 0 || got.Sub(c.want) > time.Minute {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func replying(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "desk.zoho.eu" || r.Header.Get("Authorization") != "" || r.Header.Get("orgId") != "" {
			return nil, errors.New("asked the wrong host, or told it too much: " + r.URL.Host)
		}
		return answer(status, body, headers...), nil
	}
}
