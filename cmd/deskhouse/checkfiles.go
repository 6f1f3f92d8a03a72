package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"deskhouse/config"
	"deskhouse/state"
)

const (
	itemState = "state directory"
	itemKey   = "state key"
	itemDisk  = "disk space"
)

// files checks what is on this machine, without any network: configuration,
// shared connections, state folder, key and disk.
func (k checker) files(ctx context.Context) []finding {
	findings := []finding{good("configuration", "%s", k.o.config)}
	if shared := checkShared(k.cfg.Connections); shared != nil {
		findings = append(findings, *shared)
	}
	findings = append(findings, checkState(ctx, k.cfg)...)
	return append(findings, checkDisks(k.cfg)...)
}

// checkShared warns of connections that count against the same limits of Zoho.
func checkShared(all map[string]config.Connection) *finding {
	var pairs []string
	names := sortedKeys(all)
	for i, a := range names {
		for _, b := range names[i+1:] {
			var same []string
			if all[a].OrgID == all[b].OrgID {
				same = append(same, "portal (credits and calls in flight)")
			}
			if all[a].ClientID == all[b].ClientID {
				same = append(same, "client id (refresh tokens and grant codes)")
			}
			if len(same) > 0 {
				pairs = append(pairs, fmt.Sprintf("%s and %s have the same %s", a, b, strings.Join(same, " and ")))
			}
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	f := warned("shared limits", "let pipelines of one portal use one connection, and give each connection a client of its own", "connections %s: Zoho counts them together, and neither sees what the other has under way", strings.Join(pairs, "; "))
	return &f
}

// checkState looks at folder, lock and key. A service that runs holds all of
// them, and has checked them at its start.
func checkState(ctx context.Context, cfg *config.Config) []finding {
	dir := cfg.State.Dir
	if ctl, err := dial(cfg); err == nil {
		st, err := ctl.status(ctx)
		if err := errors.Join(err, ctl.end()); err != nil {
			return []finding{failed(itemState, "look at the log of the running deskhouse", "%v", err)}
		}
		return []finding{good(itemState, "%s, held by the running deskhouse (pid %d)", dir, st.PID), good(itemKey, "in use")}
	}
	key, err := cfg.State.RequireKey()
	if err != nil {
		return []finding{checkFolder(dir), failed(itemKey, "make one with: openssl rand -base64 32, or deskhouse init", "%v", err)}
	}
	folder := checkFolder(dir)
	if bad(folder) {
		return []finding{folder, skipped(itemKey, itemState)}
	}
	if !cfg.State.IsEmbedded() {
		return []finding{folder, good(itemKey, "%d bytes; whether it fits the state on the NATS server shows when that is asked", len(key))}
	}
	return tryState(ctx, cfg.State, key, folder)
}

// checkFolder makes sure that files can be made in a folder, or in the nearest
// one above it that exists.
func checkFolder(dir string) finding {
	place := existing(dir)
	f, err := os.CreateTemp(place, ".deskhouse-check-*")
	if err != nil {
		return failed(itemState, "give the user that deskhouse runs as a folder it may write to, in state.dir", "%s cannot be written to: %v", place, withoutPath(err))
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return failed(itemState, "", "%v", err)
	}
	if len(socketPath(dir)) > maxSocketPath {
		return failed(itemState, "choose a shorter folder", "%s is too long for the control socket", socketPath(dir))
	}
	if place != dir {
		return good(itemState, "%s, made at the first start", dir)
	}
	return good(itemState, "%s can be written to", dir)
}

// existing is the nearest folder at or above dir that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// withoutPath is the system's word on a file, without a name that means nothing
// to a person.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// tryState opens the embedded state, where there is one: that takes its lock and
// holds the key against it.
func tryState(ctx context.Context, s config.State, key []byte, folder finding) []finding {
	fresh := good(itemKey, "%d bytes, for a state that is still to be made", len(key))
	if _, err := os.Stat(filepath.Join(s.Dir, "jetstream")); err != nil {
		return []finding{folder, fresh}
	}
	store, err := state.Open(ctx, state.Config{URL: stateURL(s), Dir: s.Dir, Key: key, MaxLogBytes: s.Log.MaxBytes, ReserveBytes: s.Log.Reserve, Logger: zerolog.Nop()})
	var used *state.InUseError
	switch {
	case err == nil:
		err = store.Close()
	case errors.Is(err, state.ErrWrongKey):
		return []finding{folder, failed(itemKey, "give the key that it was made with; if that is lost, move "+s.Dir+" away and authorise again", "is not the one that the state in %s was made with", s.Dir)}
	case errors.As(err, &used):
		return []finding{failed(itemState, "stop that process, or give this configuration a state.dir of its own", "%v", used), skipped(itemKey, itemState)}
	}
	if err != nil {
		return []finding{failed(itemState, "", "%v", err), skipped(itemKey, itemState)}
	}
	return []finding{folder, good(itemKey, "opens the state in %s", s.Dir)}
}

// enoughDisk is what a file system should have left for days of webhooks and
// the merges of ClickHouse.
const enoughDisk = 2 << 30

// checkDisks measures the file systems of the state and of embedded engines,
// each once.
func checkDisks(cfg *config.Config) []finding {
	places := map[string]string{} // item by folder
	dirs := []string{}
	add := func(dir, item string) {
		if places[dir] == "" {
			places[dir], dirs = item, append(dirs, dir)
		}
	}
	if cfg.State.IsEmbedded() {
		add(cfg.State.Dir, itemDisk)
	}
	for _, name := range sortedKeys(cfg.Pipelines) {
		if w := cfg.Pipelines[name].Warehouse; w.IsEmbedded() {
			add(w.Dir, "pipeline "+name+" "+itemDisk)
		}
	}
	var findings []finding
	seen := map[uint64]bool{}
	for _, dir := range dirs {
		var st unix.Stat_t
		if err := unix.Stat(existing(dir), &st); err == nil && seen[st.Dev] {
			continue
		}
		seen[st.Dev] = true
		findings = append(findings, checkDisk(places[dir], dir, max(enoughDisk, cfg.State.Log.Reserve)))
	}
	return findings
}

func checkDisk(item, dir string, want int64) finding {
	var st unix.Statfs_t
	if err := unix.Statfs(existing(dir), &st); err != nil {
		return failed(item, "", "%s: %v", dir, err)
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	if free < want {
		return warned(item, "make room, or move the folder", "%s has %s free, less than %s; webhooks are refused (503) before it is full", dir, size(free), size(want))
	}
	return good(item, "%s has %s free", dir, size(free))
}
