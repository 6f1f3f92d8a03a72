package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
)

// webhooksOf is how many webhooks an edition may have enabled (WEBHOOKDOC;
// Express and trials are not in its table), -1 = not known.
func webhooksOf(edition string) int {
	e := strings.ToUpper(edition)
	for _, row := range []struct {
		name string
		n    int
	}{{"FREE", 0}, {"STANDARD", 0}, {"PROFESSIONAL", 5}, {"ENTERPRISE", 10}, {"ULTIMATE", 20}} {
		if strings.Contains(e, row.name) {
			return row.n
		}
	}
	return -1
}

// quota says whether the portal has room for our webhooks.
func (cc *connCheck) quota(context.Context) {
	item := cc.item + " webhook quota"
	at := slices.IndexFunc(cc.probes, func(p *probe) bool { return p.use == useHooks })
	if at < 0 {
		return // no intake
	}
	const polls = "nothing, if polls are enough (tickets every 5 minutes without an intake); otherwise "
	switch p := cc.probes[at]; {
	case isScope(p.err):
		cc.noHooks = cc.blockedBy(p)
		cc.add(skipped(item, cc.noHooks))
		return
	case cc.unaffordable(p.err):
		cc.noHooks = cc.creditsItem()
		cc.add(skipped(item, cc.noHooks))
		return
	case p.err != nil:
		cc.noHooks = item
		cc.add(warned(item, polls+"an edition with webhooks, and an agent whose profile has the Webhook permission", "webhooks cannot be listed: %v", p.err))
		return
	}
	enabled, ours := 0, false
	for _, h := range cc.hooks {
		if h.Enabled {
			enabled++
			ours = ours || cc.isOurs(h)
		}
	}
	edition, most := "", -1
	if cc.org != nil {
		edition, most = cc.org.Edition, webhooksOf(cc.org.Edition)
	}
	switch {
	case most < 0:
		cc.add(good(item, "%d enabled; how many edition %q may have is not documented", enabled, edition))
	case enabled >= most && !ours:
		cc.noHooks = item
		cc.add(warned(item, polls+"delete or disable a webhook of the portal, or use a larger edition", "%d of the %d that edition %s may have enabled are, and none is ours", enabled, most, edition))
	default:
		cc.add(good(item, "%d of %d enabled (edition %s)", enabled, most, edition))
	}
}

func (cc *connCheck) isOurs(h zohodesk.Webhook) bool {
	return slices.ContainsFunc(cc.core.pipes, func(p *pipe) bool { return p.conn == cc.conn && cc.core.pointsTo(p, h) })
}

// pointsTo reports whether a webhook delivers to a URL that the intake takes for
// this pipeline: while a secret is rotated, there are two.
func (c *core) pointsTo(p *pipe, h zohodesk.Webhook) bool {
	return slices.ContainsFunc(p.hooks.Secrets(), func(secret string) bool { return c.cfg.Intake.HookURL(p.name, secret) == h.URL })
}

// checkHook judges the webhook of a pipeline: there, enabled, pointing here,
// with every event.
func (c *core) checkHook(p *pipe, cc *connCheck) finding {
	item := "pipeline " + p.name + " webhook"
	switch {
	case c.cfg.Intake == nil:
		return good(item, "no intake: changes are found by polls, tickets every %s", p.cfg.Tables["tickets"].Poll)
	case cc.stopped != "":
		return skipped(item, cc.stopped)
	case cc.noHooks != "":
		return skipped(item, cc.noHooks)
	}
	if at := slices.IndexFunc(cc.hooks, func(h zohodesk.Webhook) bool { return c.pointsTo(p, h) }); at >= 0 {
		return judgeHook(item, p.name, cc.hooks[at])
	}
	return c.noHook(item, p, cc.hooks)
}

// noHook tells what became of a webhook that is not among those of the portal.
func (c *core) noHook(item string, p *pipe, all []zohodesk.Webhook) finding {
	register := "while deskhouse runs: deskhouse webhook register --pipeline " + p.name
	for _, h := range all {
		if note := c.nearlyOurs(p, h.URL); note != "" {
			return warned(item, register+"; not on a copy of another deskhouse, for it may take that one's webhook", "webhook %d has %s", h.ID, note)
		}
	}
	var gone []string
	for _, id := range p.hooks.list() {
		at := slices.IndexFunc(all, func(h zohodesk.Webhook) bool { return strconv.FormatUint(h.ID, 10) == id })
		if at >= 0 {
			return warned(item, register, "webhook %s delivers to another URL, at %s", id, host(all[at].URL))
		}
		gone = append(gone, id)
	}
	if len(gone) > 0 {
		return warned(item, register+" (a running deskhouse does it by itself within the hour)", "webhook %s was registered, and is gone at Zoho", strings.Join(gone, ", "))
	}
	if fault := p.hooks.fault(); fault != "" {
		return warned(item, register, "not registered: changes are found by polls (%s)", fault)
	}
	return warned(item, register, "not registered: changes are found by polls")
}

func judgeHook(item, pipeline string, h zohodesk.Webhook) finding {
	repair := "while deskhouse runs: deskhouse webhook register --pipeline " + pipeline
	var lacks []string
	for _, e := range zohodesk.WebhookEvents() {
		if !slices.Contains(h.Events, e) {
			lacks = append(lacks, e)
		}
	}
	switch {
	case !h.Enabled:
		return warned(item, repair, "webhook %d is switched off at Zoho", h.ID)
	case len(lacks) > 0:
		return warned(item, repair, "webhook %d does not tell of %s", h.ID, strings.Join(lacks, ", "))
	case !h.Automation:
		return warned(item, repair, "webhook %d leaves out what Zoho's automation changes", h.ID)
	}
	return good(item, "%d is registered, enabled, points here, and tells of every event", h.ID)
}

// checkPublicURL goes the way that Zoho's deliveries go, from here: GET of a
// hook must be answered by our intake, which is told from any other server by a
// hook that does not exist.
func (c *core) checkPublicURL(ctx context.Context) finding {
	base := c.cfg.Intake.PublicURL
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return failed(itemPublic, "", "%s is no URL", base)
	case c.noIntake:
		return skipped(itemPublic, itemIntake)
	case len(c.pipes) == 0:
		return skipped(itemPublic, "a pipeline")
	}
	hook, err := c.hookURL(c.pipes[0])
	if err != nil {
		return failed(itemPublic, "", "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	right, err := c.look(ctx, hook)
	if err != nil {
		return warned(itemPublic, "try from outside: curl -i "+base+"/hooks/x/y must answer 404 with an empty body, as the intake does; Zoho needs to get through", "%s cannot be tried from here: %v", base, err)
	}
	wrong, err := c.look(ctx, base+webhook.Path(c.pipes[0].name, strings.Repeat("0", 26)))
	switch {
	case right != http.StatusOK:
		return failed(itemPublic, "let the proxy in front pass /hooks/ to intake.listen ("+c.cfg.Intake.Listen+") with its path unchanged", "%s answers %d where the intake answers 200", base, right)
	case err != nil || wrong != http.StatusNotFound:
		return failed(itemPublic, "let the proxy in front pass /hooks/ to intake.listen ("+c.cfg.Intake.Listen+")", "%s is answered by something else than this intake", base)
	case !slices.Contains([]string{"", "80", "443"}, u.Port()):
		return warned(itemPublic, "put a proxy in front that listens on 443", "%s reaches the intake, but whether Zoho delivers to other ports than 80 and 443 is not documented", base)
	case u.Scheme != "https":
		return warned(itemPublic, "put a proxy with TLS in front", "%s reaches the intake without TLS: tickets travel in the clear", base)
	}
	return good(itemPublic, "%s reaches the intake", base)
}

// look makes one GET and returns its status. Its errors do not name the URL, the
// last part of which is a secret.
func (c *core) look(ctx context.Context, target string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, errors.New("not a URL")
	}
	transport := c.public
	if transport == nil {
		fresh := http.DefaultTransport.(*http.Transport).Clone()
		defer fresh.CloseIdleConnections()
		transport = fresh
	}
	reply, err := transport.RoundTrip(req)
	if err != nil {
		return 0, bareError(err)
	}
	_ = reply.Body.Close()
	return reply.StatusCode, nil
}

// bareError keeps the part of a network error that names address and cause.
func bareError(err error) error {
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &op):
		return op
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s", tryFor)
	}
	return err
}
