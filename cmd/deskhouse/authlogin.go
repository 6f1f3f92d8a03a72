package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"deskhouse/config"
	"deskhouse/source/webhook"
)

const (
	// loginPort is fixed because the redirect URI must be registered with the
	// client in Zoho's console, port included.
	loginPort = 8979
	loginPath = "/callback"
	// loginWait is time to log in and read the consent page; the code that comes
	// of it lives two minutes (OAUTH limits) and is used at once.
	loginWait = 10 * time.Minute
)

func loginSub(o *options, name *string) *cobra.Command {
	var port int
	var wait time.Duration
	c := &cobra.Command{
		Use:   "login",
		Short: "Authorise in a browser, for clients of the type \"server-based application\"",
		Long: fmt.Sprintf(`Prints an address to open in a browser and waits for Zoho to send the browser
back to this machine. The client in Zoho's API console must have
http://127.0.0.1:%d%s among its redirect URIs. If the browser runs on another
machine, forward the port first: ssh -L %[1]d:127.0.0.1:%[1]d HOST`, loginPort, loginPath),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := o.connection(*name)
			if err != nil {
				return err
			}
			request, err := login(cmd.Context(), o, cfg, conn, port, wait)
			if err != nil {
				return err
			}
			return sendCode(cmd.Context(), o, cfg, conn, request)
		},
	}
	c.Flags().IntVar(&port, "port", loginPort, "port of the redirect URI on this machine")
	c.Flags().DurationVar(&wait, "wait", loginWait, "how long to wait for the consent")
	return c
}

// login gets a grant code by way of a browser. The state is closed meanwhile, so
// that a service may start.
func login(ctx context.Context, o *options, cfg *config.Config, conn string, port int, wait time.Duration) (exchangeRequest, error) {
	if port < 1 || port > 65535 || wait <= 0 {
		return exchangeRequest{}, &exitError{exitUsage, fmt.Errorf("--port %d --wait %s: want a port from 1 to 65535 and a positive time", port, wait)}
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return exchangeRequest{}, &exitError{exitUsage, fmt.Errorf("wait for the redirect: %w; choose another with --port, and register that redirect URI", err)}
	}
	back := newCallback(fmt.Sprintf("http://127.0.0.1:%d%s", port, loginPath))
	q := url.Values{"connection": {conn}, "redirect": {back.redirect}, "state": {back.state}}
	var consent consentReply
	err = withControl(ctx, o, cfg, func(ctl *control) error { return ctl.call(ctx, "GET", "/v1/auth/consent", q, &consent) })
	if err != nil {
		return exchangeRequest{}, errors.Join(err, listener.Close())
	}
	back.dataCenter = consent.DataCenter
	fmt.Fprintf(os.Stderr, "Open this address in a browser and choose the portal with org_id %d:\n\n%s\n\n", cfg.Connections[conn].OrgID, consent.URL)
	fmt.Fprintf(os.Stderr, "Zoho sends the browser to %s, which the client in its API console must name as redirect URI.\nWaiting %s; Ctrl-C ends it.\n", back.redirect, wait)
	got := back.wait(ctx, listener, wait)
	return exchangeRequest{Code: got.code, Redirect: back.redirect, Server: got.server}, got.err
}

// newCallback expects a redirect with a state that nobody can guess.
func newCallback(redirect string) *callback {
	return &callback{redirect: redirect, state: rand.Text(), outcome: make(chan outcome, 1)}
}

// wait serves the redirect until one decides, at most for a time. The browser
// gets its page before it returns.
func (b *callback) wait(ctx context.Context, listener net.Listener, atMost time.Duration) (got outcome) {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return serveHTTP(serving, webhook.HTTPServer("", b), listener) })
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case got = <-b.outcome:
	case <-timer.C:
		got.err = &exitError{exitFailed, fmt.Errorf("no consent within %s: nothing was changed", atMost)}
	case <-ctx.Done():
		got.err = &exitError{exitFailed, errInterrupted}
	}
	stop()
	if err := g.Wait(); err != nil && got.err == nil && got.code == "" {
		got.err = err
	}
	return got
}
