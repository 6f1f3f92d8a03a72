package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"deskhouse/config"
	"deskhouse/source"
	"deskhouse/source/datacenter"
	"deskhouse/source/zohodesk"
)

// connCheck is what a check learns of one connection. run fills it in, step by
// step; the pipelines that use the connection read it afterwards.
type connCheck struct {
	core   *core
	conn   *connection
	cfg    config.Connection
	item   string // "connection main", what all its items begin with
	tables []source.Table

	findings []finding
	stopped  string // the item that everything else waits for, "" = none
	unpaid   bool   // credits ran out: the item says so, and what needs a call is skipped

	portals []zohodesk.Organization // nil = may not be listed
	org     *zohodesk.Organization  // the configured one of them
	probes  []*probe                // with their outcome
	missing map[string]bool         // scopes that are refused
	hooks   []zohodesk.Webhook
	noHooks string // the item that says why there can be no webhook, "" = there can

	departments map[uint64]bool // that the agent sees, nil = not known
}

func (c *core) newConnCheck(name string) *connCheck {
	cc := &connCheck{core: c, conn: c.conns[name], cfg: c.cfg.Connections[name], item: "connection " + name}
	for _, p := range c.pipes {
		if p.conn.name != name {
			continue
		}
		for _, t := range tablesOf(p.cfg) {
			if !slices.Contains(cc.tables, t) {
				cc.tables = append(cc.tables, t)
			}
		}
	}
	return cc
}

// add keeps one finding an item: a later one knows better.
func (cc *connCheck) add(f finding) {
	cc.findings = append(slices.DeleteFunc(cc.findings, func(old finding) bool { return old.Item == f.Item }), f)
}

// stop notes the failure that makes everything that comes after it pointless.
func (cc *connCheck) stop(f finding) {
	cc.add(f)
	cc.stopped = f.Item
}

// run asks Zoho: one call that shows most of what can be wrong first, then
// everything else side by side.
func (cc *connCheck) run(ctx context.Context) []finding {
	cc.authorise(ctx)
	cc.clock()
	for _, step := range []struct {
		item string
		do   func(context.Context)
	}{{"org id", cc.portal}, {"scopes", cc.scopes}, {"credits", cc.credits}, {"recycle bin", cc.bin}, {"fields", cc.fields}, {"agent's profile", cc.profile}, {"webhook quota", cc.quota}} {
		item := cc.item + " " + step.item
		switch {
		case cc.stopped == "":
			step.do(ctx)
		case cc.stopped != item:
			cc.add(skipped(item, cc.stopped))
		}
	}
	return cc.findings
}

// authorise makes the one call that needs no org id, and tells apart who
// answered how: the accounts server, then Desk.
func (cc *connCheck) authorise(ctx context.Context) {
	center, credentials := cc.item+" data centre", cc.item+" credentials"
	err := cc.try(ctx, func(ctx context.Context) error {
		all, err := cc.conn.client.Organizations(ctx)
		if err == nil {
			cc.portals = append([]zohodesk.Organization{}, all...)
		}
		return err
	})
	accepted := good(credentials, "the token is accepted")
	var call *source.CallError
	held := heldForToken(err)
	switch {
	case err == nil, isRefused(err):
		cc.add(good(center, "%s and %s answer", host(cc.accounts()), host(cc.desk())))
		cc.add(accepted)
	case held != nil:
		cc.add(good(center, "%s answers", host(cc.accounts())))
		cc.stop(cc.throttled(held))
	case heldForCredits(err) != nil:
		cc.add(good(center, "%s answers", host(cc.desk())))
		cc.add(accepted)
		cc.unaffordable(err)
		cc.stopped = cc.creditsItem()
	case errors.As(err, &call) && isTokenCall(call):
		cc.refusedToken(call, center, credentials)
	case errors.As(err, &call) && call.Fault == source.FaultUnauthorized:
		cc.add(good(center, "%s answers", host(cc.desk())))
		cc.stop(failed(credentials, exchangeCommand(cc.conn.name), "%v", err))
	default:
		cc.stop(failed(center, "check data_center (and desk_url, if it is set), the network and the proxy of this machine", "%s does not answer as Zoho Desk does: %v", host(cc.desk()), err))
		cc.add(skipped(credentials, center))
	}
}

// throttled is the line of token requests that are held back.
func (cc *connCheck) throttled(held *heldBack) finding {
	return failed(cc.item+" credentials", "wait until "+held.until.UTC().Format(time.RFC3339)+"; is the same refresh token in use elsewhere?", "%v", held)
}

func (cc *connCheck) creditsItem() string { return cc.item + " credits" }

// unaffordable reports whether err comes of spent credits, and notes it in the
// item of those: nothing else is to blame for what was not answered.
func (cc *connCheck) unaffordable(err error) bool {
	why := heldForCredits(err)
	if why == nil {
		return false
	}
	if !cc.unpaid {
		cc.unpaid = true
		cc.add(failed(cc.creditsItem(), "wait, lower credits.reserve, or let other integrations of the portal spend less; webhooks are stored meanwhile", "%v", why))
	}
	return true
}

// refusedToken judges an error of the token endpoint.
func (cc *connCheck) refusedToken(call *source.CallError, center, credentials string) {
	detail := *call
	detail.Hint = ""
	switch {
	case call.Status == 0 && call.Code == "" && call.Detail == "" && call.Err != nil: // one that is held back has a detail
		cc.stop(failed(center, "check data_center (and accounts_url, if it is set), the network and the proxy of this machine", "%s does not answer: %v", host(cc.accounts()), call.Err))
		cc.add(skipped(credentials, center))
	case call.Code == "invalid_client":
		cc.stop(failed(center, "set data_center to where the client was made (the ending of the API console's address), or correct client_id",
			"%s does not know this client id (invalid_client): a client of another data centre is unknown there", host(cc.accounts())))
		cc.add(skipped(credentials, center))
	default:
		remedy := call.Hint
		if remedy == "" {
			remedy = exchangeCommand(cc.conn.name)
		}
		if call.Fault == source.FaultRetry && call.Wait > 0 { // no waiting mends another one, and a new token is tried at once
			remedy = fmt.Sprintf("wait %s; %s", call.Wait.Round(time.Second), remedy)
		}
		cc.add(good(center, "%s answers", host(cc.accounts())))
		cc.stop(failed(credentials, remedy, "%v", &detail))
	}
}

// isTokenCall tells the accounts server's answers from Desk's.
func isTokenCall(call *source.CallError) bool { return strings.Contains(call.Op, "oauth/v2/token") }

// isRefused reports a call that only this agent, scope or edition may not make:
// the token itself is good.
func isRefused(err error) bool { return source.IsFault(err, source.FaultForbidden) }

// portal holds the configured portal against those that the token sees.
func (cc *connCheck) portal(context.Context) {
	item := cc.item + " org id"
	if cc.portals == nil {
		cc.add(warned(item, exchangeCommand(cc.conn.name), "%d; the token may not list its portals, so it cannot be held against them", cc.cfg.OrgID))
		return
	}
	at := slices.IndexFunc(cc.portals, func(o zohodesk.Organization) bool { return o.ID == cc.cfg.OrgID })
	if at < 0 {
		cc.stop(failed(item, "set org_id to one of these, or authorise again as an agent of that portal", "%d is not among the portals that this token sees: %s", cc.cfg.OrgID, zohodesk.PortalNames(cc.portals)))
		return
	}
	cc.org = &cc.portals[at]
	cc.add(good(item, "%d (%s), edition %s", cc.org.ID, cc.org.CompanyName, cc.org.Edition))
}

// The clock of this machine may be off by so much before something suffers: the
// intake refuses tokens that are minutes off, and ages in status look odd.
const (
	clockWarning = 30 * time.Second
	clockFailure = 5 * time.Minute
)

// clock holds this machine's clock against Zoho's Date header.
func (cc *connCheck) clock() {
	item, now, zoho := cc.item+" clock", cc.core.clock.Now(), cc.conn.client.ZohoNow()
	if zoho.IsZero() {
		return // nobody answered, which is said already
	}
	const remedy = "set this machine's clock by NTP"
	off := now.Sub(zoho)
	size, side := off.Abs().Round(time.Second), "ahead of"
	if off < 0 {
		side = "behind"
	}
	switch {
	case size > clockFailure:
		cc.add(failed(item, remedy, "this machine's clock is %s %s Zoho's: signed webhooks would be refused", size, side))
	case size > clockWarning:
		cc.add(warned(item, remedy, "this machine's clock is %s %s Zoho's", size, side))
	default:
		cc.add(good(item, "within %s of Zoho's", max(size, 2*time.Second)))
	}
}

// credits says what is left today.
func (cc *connCheck) credits(context.Context) {
	item, c := cc.creditsItem(), cc.conn.client.Credits()
	switch {
	case cc.unpaid: // which is said already
	case c.Remaining < 0:
		cc.add(good(item, "Zoho does not tell what is left today"))
	case c.Remaining <= c.Reserve:
		cc.add(warned(item, "wait, lower credits.reserve, or let other integrations spend less",
			"%d left today, no more than the reserve of %d: loads and polls wait until %s, webhooks go on", c.Remaining, c.Reserve, c.ResetAt.UTC().Format(time.RFC3339)))
	default:
		cc.add(good(item, "%d left today, %d of them reserved for other integrations", c.Remaining, c.Reserve))
	}
}

func (cc *connCheck) accounts() string {
	if cc.cfg.AccountsURL != "" {
		return cc.cfg.AccountsURL
	}
	center, _ := datacenter.Lookup(cc.cfg.DataCenter) // the configuration was checked
	return center.Accounts
}

func (cc *connCheck) desk() string {
	if cc.cfg.DeskURL != "" {
		return cc.cfg.DeskURL
	}
	center, _ := datacenter.Lookup(cc.cfg.DataCenter)
	return center.Desk
}

func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Host
}
