package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"deskhouse/sink/embedded/launch"
)

const (
	// startWait bounds a start whose ctx has no deadline of its own. Loading thousands of parts from a cold disk takes seconds.
	startWait = 2 * time.Minute
	// portAttempts is how often free ports are chosen anew when someone else took them before the engine could.
	portAttempts = 5
)

// Start starts the engine on cfg.Dir and returns once it answers over the native protocol. ctx bounds the start only; the
// engine then runs until Close, until it dies (see Engine.Done) or until this process ends, however that ends. Errors wrap
// one of this package's Err values where a person can do something about it; no child is left behind then.
func Start(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded engine: no data folder given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded engine: data folder %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if cfg.Library, err = findLibrary(cfg.Library); err != nil {
		return nil, err
	}
	if cfg.Engine, err = findEngine(cfg.Engine); err != nil {
		return nil, err
	}
	config, err := writeConfig(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	return startOnSomePorts(ctx, cfg, config)
}

// startOnSomePorts retries with other ports only if it was free to choose them.
func startOnSomePorts(ctx context.Context, cfg Config, config string) (*Engine, error) {
	for attempt := 1; ; attempt++ {
		e, err := startOnce(ctx, cfg, config)
		if err == nil {
			return e, nil
		}
		chosen := cfg.TCPPort == 0 || cfg.HTTPPort == 0
		if !errors.Is(err, ErrPort) || !chosen || attempt == portAttempts {
			return nil, err
		}
	}
}

func startOnce(ctx context.Context, cfg Config, config string) (*Engine, error) {
	began := time.Now()
	e := &Engine{cfg: cfg}
	var err error
	if e.tcpPort, e.httpPort, err = choosePorts(cfg.TCPPort, cfg.HTTPPort); err != nil {
		return nil, err
	}
	args := launch.Args{Library: cfg.Library, Dir: cfg.Dir, Host: host, TCPPort: e.tcpPort, HTTPPort: e.httpPort, ConfigFile: config}
	if e.child, err = spawn(cfg, args); err != nil {
		return nil, err
	}
	if err := e.becomeReady(ctx); err != nil {
		e.child.kill()
		return nil, startError(err, cfg, cfg.Library)
	}
	cfg.Logger.Info().Int("pid", e.PID()).Str("addr", e.Addr()).Str("http_addr", e.HTTPAddr()).Str("version", e.version).
		Dur("took", time.Since(began)).Msg("embedded engine started")
	return e, nil
}

// becomeReady waits for the child's word that it listens, then asks it over the native protocol.
func (e *Engine) becomeReady(ctx context.Context) error {
	select {
	case <-e.child.ready:
	case <-e.child.done:
		return e.child.err()
	case <-ctx.Done():
		return fmt.Errorf("embedded engine on %s not ready: %w", e.cfg.Dir, ctx.Err())
	}
	var path string
	err := e.ask(ctx, "SELECT version(), (SELECT value FROM system.server_settings WHERE name = 'path')", &e.version, &path)
	if err != nil {
		return fmt.Errorf("embedded engine on %s does not answer: %w", e.cfg.Dir, err)
	}
	if filepath.Clean(path) != e.cfg.Dir {
		return fmt.Errorf("embedded engine: another server answers on %s", e.Addr())
	}
	return nil
}

// ask runs a query of one row over a connection of its own.
func (e *Engine) ask(ctx context.Context, query string, dest ...any) error {
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{e.Addr()}, MaxOpenConns: 1})
	if err != nil {
		return err
	}
	err = conn.QueryRow(ctx, query).Scan(dest...)
	return errors.Join(err, conn.Close())
}

// choosePorts replaces zeros by ports that are free now. Both are held open while choosing, so that they differ.
func choosePorts(tcp, http int) (int, int, error) {
	ports := [2]int{tcp, http}
	for i, port := range ports {
		if port != 0 {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return 0, 0, fmt.Errorf("embedded engine: find a free port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// holder reads the pid of the process that holds dir, 0 if there is none to read.
func holder(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, launch.LockFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
