package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// A database that several hosts serve is the same one if the table that names
// its owner has the same UUID everywhere, and its rows are the same: the hosts
// are one server, or the engine replicates or shares rows. The UUID alone would
// not do: a Replicated database gives all its servers the same tables, and each
// its own rows if their engine is a plain one.

const noUUID = "00000000-0000-0000-0000-000000000000"

const identitySQL = "SELECT version(), ifNull((SELECT max(concat(toString(uuid), if(match(engine, '^(Replicated|Shared)'), '', concat(' on ', toString(serverUUID()))))) " +
	"FROM system.tables WHERE database = {db:String} AND name = {name:String}), '')"

// identityOf asks one host, over a connection of its own, which database it
// holds: "" for none that a pipeline owns.
func (h *hosts) identityOf(ctx context.Context, n int) (version, identity string, err error) {
	opts, err := h.cfg.options()
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, h.each)
	defer cancel()
	lone := newHosts(h.cfg, opts)
	lone.addrs = h.addrs[n : n+1]
	opts.Addr, opts.MaxOpenConns = lone.addrs, 1
	lone.attach(opts)
	conn, err := driver.Open(opts)
	if err != nil {
		return "", "", fmt.Errorf("%w: driver refuses the warehouse URL", ErrConfig)
	}
	err = conn.QueryRow(ctx, identitySQL, driver.Named("db", h.cfg.Database), driver.Named("name", positionsName)).Scan(&version, &identity)
	err = errors.Join(err, conn.Close())
	if err == nil && strings.HasPrefix(identity, noUUID) {
		err = fmt.Errorf("%w: tables of database %s have no UUID, so hosts cannot be compared (its engine is not Atomic, Replicated or Shared)", ErrConfig, h.cfg.Database)
	}
	return version, identity, err
}

// compare refuses a host that holds another database than the one prepared.
func (h *hosts) compare(ctx context.Context, n int) error {
	want := h.known()
	if want == "" {
		return nil
	}
	_, got, err := h.identityOf(ctx, n)
	if err == nil && got != want {
		// It may pass: the host in use may come back.
		err = &Error{Op: "compare hosts", Err: fmt.Errorf("%w: %w", ErrUnreachable, errStranger), Retry: true}
	}
	return err
}

func (h *hosts) known() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.identity
}

func (h *hosts) recognise(identity string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.identity = identity
}

// agree makes sure, before tables are made, that all hosts that answer hold the
// same database, or all none. Where there is none every host has to answer:
// one that is down now could hold it.
func (h *hosts) agree(ctx context.Context) error {
	if !h.several() {
		return nil
	}
	here := h.inUse()
	_, mine, err := h.identityOf(ctx, here)
	if err != nil {
		return classify("ask "+h.addrs[here]+" for its database", err)
	}
	for n, addr := range h.addrs {
		if n == here {
			continue
		}
		op := "ask " + addr + " for its database"
		_, other, err := h.identityOf(ctx, n)
		switch {
		case err != nil && mine == "":
			return classify(op+" (every host has to answer before the database is made)", err)
		case err != nil:
			h.cfg.Logger.Warn().Err(classify(op, err)).Msg("a host of the warehouse cannot be used now")
		case other != mine:
			return &Error{Op: op, Err: fmt.Errorf("%w: %s %s", ErrOtherServer, addr, differs(h.addrs[here], mine, other))}
		}
	}
	h.recognise(mine)
	return nil
}

func differs(here, mine, other string) string {
	switch {
	case other == "":
		return "does not show the tables that " + here + " holds; name only hosts that share their tables"
	case mine == "":
		return "holds the tables, and " + here + " does not; name only hosts that share their tables"
	}
	return "and " + here + " hold tables of their own; name only hosts that share their tables"
}

// Host is what one host of the warehouse answered.
type Host struct {
	Addr    string
	Version string
	Holds   bool  // the database is there, with an owner
	Err     error // nil when it can be used
}

// Hosts asks each host of the URL, in its order; one that holds another
// database than the first that answers has ErrOtherServer. Nothing is changed.
func Hosts(ctx context.Context, cfg Config) ([]Host, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	h := newHosts(cfg, opts)
	answers := make([]Host, len(h.addrs))
	first, mine := -1, ""
	for n, addr := range h.addrs {
		version, identity, err := h.identityOf(ctx, n)
		answers[n] = Host{Addr: addr, Version: version, Holds: identity != "", Err: classify("ask "+addr, err)}
		switch {
		case err != nil:
		case first < 0:
			first, mine = n, identity
		case identity != mine:
			answers[n].Err = &Error{Op: "ask " + addr, Err: fmt.Errorf("%w: %s %s", ErrOtherServer, addr, differs(h.addrs[first], mine, identity))}
		}
	}
	return answers, nil
}
