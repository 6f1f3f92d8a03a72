package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// quickly is far below the hours that credits may be waited for.
const quickly = 30 * time.Second

// TestRevokeStopsHalfWay: of two pipelines one keeps its webhook, because the
// day's credits are spent on the way. What was done is said; --force goes on at
// once.
func TestRevokeStopsHalfWay(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 48, Tickets: 5}, settings{})
	h.rewrite("pipelines:\n", "pipelines:\n  tail: {connection: main, warehouse: {url: embedded, database: tail}}\n")
	p := h.start()
	h.until("both run", 60*time.Second, func() bool {
		st, err := h.status()
		return err == nil && len(st.Pipelines) == 2 && st.Pipelines[0].loaded() && st.Pipelines[1].loaded()
	})
	h.must("webhook", "register", "--pipeline", "support")
	h.must("webhook", "register", "--pipeline", "tail")
	last := h.portal.Webhooks()[1]
	h.portal.Faults().NextOn(desksim.FaultThreshold, 1, fmt.Sprintf("/api/v1/webhooks/%v", last))
	began := time.Now()
	r := h.deskhouse("auth", "revoke", "--yes")
	for _, says := range []string{"nothing is revoked", "webhooks of pipeline tail cannot be deleted", "calls wait until", "credits of the day are spent", "1 webhooks of pipeline support are deleted", "--force"} {
		if r.code != exitFailed || !strings.Contains(r.stderr.String(), says) {
			t.Errorf("exit code %d, want %q in it\n%s", r.code, says, r.stderr.String())
		}
	}
	reply := asJSON[revokeReply](h, exitDone, "auth", "revoke", "--yes", "--force")
	if len(reply.Webhooks) != 2 || reply.Webhooks[1].Error == "" || len(reply.Paused) != 2 || h.portal.AccessToken() != "" || len(h.portal.Webhooks()) != 1 {
		t.Errorf("forced: %+v, webhooks at the portal %v", reply, h.portal.Webhooks())
	}
	if took := time.Since(began); took > quickly {
		t.Errorf("both took %s", took)
	}
	p.stop()
}

func TestHalfDone(t *testing.T) {
	all := []*pipe{{name: "a"}, {name: "b"}, {name: "c"}, {name: "d"}}
	err := halfDone([]hooksReply{{Pipeline: "a", Deleted: 2}, {Pipeline: "b"}, {Pipeline: "c", Deleted: 1}}, all, errors.New("WHY"))
	want := "nothing is revoked, because the webhooks of pipeline c cannot be deleted: WHY; 2 webhooks of pipeline a are deleted; 1 webhooks of pipeline c are deleted; those of pipeline d are as they were; with --force they are left at Zoho, to be deleted in its setup pages"
	if err.Error() != want {
		t.Errorf("%v", err)
	}
}

// TestRevokeEndsAWish: a webhook that was wanted and never came to be does not
// register itself once the connection is authorised again.
func TestRevokeEndsAWish(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 49, Tickets: 5}, settings{keys: polledFast})
	p := h.start()
	h.untilLoaded()
	h.portal.Faults().RefuseLicense("webhooks", true)
	if r := h.deskhouse("webhook", "register"); r.code != exitFailed {
		t.Fatalf("registered: exit code %d", r.code)
	}
	h.must("auth", "revoke", "--yes")
	h.portal.Faults().RefuseLicense("webhooks", false)
	h.must("auth", "exchange", "--code", h.code())
	calls := h.portal.Stats().Requests
	h.until("it reads again", 30*time.Second, func() bool { return h.portal.Stats().Requests > calls+10 })
	if hooks := h.portal.Webhooks(); len(hooks) != 0 {
		t.Errorf("registered by itself: %v", hooks)
	}
	p.stop()
}

// TestWrongPortalReplacesNothingThatWorks: the new token is not taken, and the
// person is told which portals it sees.
func TestWrongPortalReplacesNothingThatWorks(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 50, Tickets: 5}, settings{})
	h.shows([]string{"connected", "Zylker"}, "auth", "status")
	h.rewrite(fmt.Sprint(h.portal.OrgID()), fmt.Sprint(h.portal.OrgID()+1))
	r := h.deskhouse("auth", "exchange", "--code", h.code())
	for _, says := range []string{"another portal", fmt.Sprintf("sees %d (Zylker)", h.portal.OrgID()), "stays authorised as it was, and the new token was revoked"} {
		if r.code != exitFailed || !strings.Contains(r.stderr.String(), says) {
			t.Errorf("exit code %d, want %q in it\n%s", r.code, says, r.stderr.String())
		}
	}
	if got := asJSON[connectionReply](h, exitDone, "connections", "show", "main"); got.State != zohodesk.StateConnected || got.Source != zohodesk.FromConfiguration {
		t.Errorf("%+v", got)
	}
}
