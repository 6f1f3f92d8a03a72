package state

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecondOpenInOneProcessIsRefused(t *testing.T) {
	cfg := embeddedConfig(t)
	s := openStore(t, cfg)
	_, err := Open(testContext(t), cfg)
	var inUse *InUseError
	if !errors.Is(err, ErrInUse) || !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Fatalf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, cfg)
}

func TestFolderFormat(t *testing.T) {
	for content, want := range map[string]error{"2\n": ErrNewerFormat, "99": ErrNewerFormat, "0": ErrCorrupt, "": ErrCorrupt, "one": ErrCorrupt} {
		cfg := embeddedConfig(t)
		if err := os.WriteFile(filepath.Join(cfg.Dir, "format"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(testContext(t), cfg); !errors.Is(err, want) {
			t.Errorf("format %q: %v", content, err)
		}
		if _, err := os.Stat(filepath.Join(cfg.Dir, "jetstream")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("format %q: the server was started on it (%v)", content, err)
		}
	}
}

// No kill shows whether the server syncs to disk: only a power cut would. So its own word for it is asked for.
func TestServerSyncsEveryWrite(t *testing.T) {
	s := openStore(t, embeddedConfig(t))
	srv := s.server.server
	if c := srv.JetStreamConfig(); c == nil || !c.SyncAlways {
		t.Errorf("storage settings: %+v", c)
	}
	if addr := srv.Addr(); addr != nil {
		t.Errorf("listens on %v", addr)
	}
}

// Everything below the folder is for its owner only.
func TestFilesArePrivate(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Dir = filepath.Join(cfg.Dir, "data", "state")
	s := openStore(t, cfg)
	l := openTestLog(t, s, "p")
	seqs := appendAll(t, l, "a", "b")
	expect(t, openReader(t, l, 0), "a", "b")
	if err := l.Purge(testContext(t), seqs[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", strings.TrimPrefix(path, cfg.Dir), info.Mode())
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := embeddedConfig(t)
	for name, change := range map[string]func(*Config){
		"no url":          func(c *Config) { c.URL = "" },
		"other scheme":    func(c *Config) { c.URL = "http://user:hunter2@host" },
		"no host":         func(c *Config) { c.URL = "nats://" },
		"not a url":       func(c *Config) { c.URL = "nats://user:hunter2@host:port:port" },
		"no dir":          func(c *Config) { c.Dir = "" },
		"short key":       func(c *Config) { c.Key = []byte("hunter2") },
		"negative limit":  func(c *Config) { c.MaxLogBytes = -1 },
		"seven replicas":  func(c *Config) { c.URL, c.Replicas = "nats://host", 7 },
		"dir is a file":   func(c *Config) { c.Dir = filepath.Join(writeFile(t), "x") },
		"nobody at url":   func(c *Config) { c.URL = "nats://user:hunter2@" + closedPort(t) },
		"negative spared": func(c *Config) { c.ReserveBytes = -1 },
	} {
		cfg := good
		change(&cfg)
		s, err := Open(testContext(t), cfg)
		if err == nil {
			t.Errorf("%s: opened", name)
			_ = s.Close()
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

func writeFile(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// closedPort is an address nobody listens on any more.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestServerVersions(t *testing.T) {
	for version, ok := range map[string]bool{"2.11.0": true, "2.12.0-RC.1": true, "3.0.0": true, "2.10.29": false, "1.4.1": false, "": false, "two": false} {
		if err := checkServer(version); (err == nil) != ok {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
