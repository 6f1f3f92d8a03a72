package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"syscall"

	"deskhouse/config"
)

// control speaks to the service of a configuration.
type control struct {
	http *http.Client
	// local is set when no service ran and this process opened the state.
	local *core
	end   func() error
}

// errNotRunning: no service answers on the control socket.
var errNotRunning = errors.New("deskhouse is not running")

// dial reaches the running service; errNotRunning when there is none.
func dial(cfg *config.Config) (*control, error) {
	path := socketPath(cfg.State.Dir)
	probe, err := net.Dial("unix", path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	_ = probe.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	return &control{http: &http.Client{Transport: transport}, end: func() error { transport.CloseIdleConnections(); return nil }}, nil
}

// dialOrOpen reaches the running service, or opens the state and answers by
// itself, for commands that need no pipeline to run.
func dialOrOpen(ctx context.Context, o *options, cfg *config.Config) (*control, error) {
	if c, err := dial(cfg); !errors.Is(err, errNotRunning) {
		return c, err
	}
	log, err := o.logger(os.Stderr)
	if err != nil {
		return nil, err
	}
	local, err := openCore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	return &control{http: &http.Client{Transport: inProcess{local.controlHandler()}}, local: local, end: local.Close}, nil
}

// call makes one request and decodes the reply into out.
func (c *control) call(ctx context.Context, method, path string, query url.Values, out any) error {
	return c.send(ctx, method, path, query, nil, out)
}

// send is call with a body, JSON, for what must not be in a URL.
func (c *control) send(ctx context.Context, method, path string, query url.Values, in, out any) error {
	u := url.URL{Scheme: "http", Host: "deskhouse", Path: path, RawQuery: query.Encode()}
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), &body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running deskhouse: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var refused errorReply
		if err := json.NewDecoder(resp.Body).Decode(&refused); err != nil {
			return fmt.Errorf("ask the running deskhouse: HTTP %d", resp.StatusCode)
		}
		return &exitError{refused.Code, errors.New(refused.Error)}
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// status is what the service says of itself.
func (c *control) status(ctx context.Context) (st statusReply, err error) {
	err = c.call(ctx, "GET", "/v1/status", nil, &st)
	return st, err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
