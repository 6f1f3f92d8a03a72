package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"
)

var update = flag.Bool("update", false, "rewrite the expected messages of the bad configs")

const samples = "../testdata/config"

var environment = map[string]string{
	"CLIENT_ID": "1000.CLIENT", "CLIENT_SECRET": "client-secret-in-env", "EMPTY": "", "WAREHOUSE_PASSWORD": "warehouse-password-in-env", "SHORT": "fifteen-bytes-x",
	"DESKHOUSE_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
}

func getenv(name string) string { return environment[name] }

func load(t *testing.T, name string) *Config {
	t.Helper()
	c, err := Load(filepath.Join(samples, name+".good.yaml"), getenv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBadConfigs holds each mistake against its messages: one line each, in a file named like the config.
func TestBadConfigs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples, "*.bad.yaml"))
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d bad configs, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bad.yaml"), func(t *testing.T) {
			c, err := Load(file, getenv)
			if err == nil || c != nil {
				t.Fatalf("Load = %v, %v; want an error and no config", c, err)
			}
			got := ""
			for _, e := range Errors(err) {
				e.File = filepath.Base(e.File)
				got += e.Error() + "\n"
			}
			if got != err.Error()+"\n" {
				t.Errorf("Errors and the error itself differ:\n%s\n%v", got, err)
			}
			if strings.Contains(got, "top-secret-value") || strings.Contains(got, "pa55") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			expect(t, strings.TrimSuffix(file, ".yaml")+".txt", got)
		})
	}
}

func expect(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("messages differ\n got:\n%s\nwant:\n%s", got, want)
	}
}

func TestMinimalGetsDefaults(t *testing.T) {
	c := load(t, "minimal")
	base, _ := filepath.Abs(samples)
	if c.Intake != nil {
		t.Error("intake without being configured")
	}
	conn := c.Connections["main"]
	if conn.OrgID != 60000000001 || conn.DataCenter != "eu" || conn.Concurrency != 0 || conn.Credits != (Credits{ReservePercent: 20}) {
		t.Errorf("connection %+v", conn)
	}
	if conn.ClientSecret.Reveal() != "client-secret-in-env" || !conn.RefreshToken.IsZero() {
		t.Error("secrets are not those of the environment")
	}
	p := c.Pipelines["support"]
	if want := (Warehouse{URL: Embedded, Database: "desk", Dir: filepath.Join(base, "data", "warehouse"), Layout: LayoutColumns}); !reflect.DeepEqual(p.Warehouse, want) {
		t.Errorf("warehouse %+v, want %+v", p.Warehouse, want)
	}
	if p.Payload != PayloadTrust || p.Resync != nil || p.Bin.Poll != time.Hour {
		t.Errorf("pipeline %+v", p)
	}
	wantPolls(t, p, map[string]time.Duration{"tickets": 5 * time.Minute, "departments": 6 * time.Hour, "products": 2 * time.Hour,
		"organization_fields": 12 * time.Hour, "contracts": 2 * time.Hour})
	if c.Admin.Listen != "127.0.0.1:8081" {
		t.Errorf("admin listens on %s", c.Admin.Listen)
	}
	if want := (State{URL: Embedded, Dir: filepath.Join(base, "data"), Log: Log{MaxBytes: 8 << 30, Reserve: 256 << 20}}); c.State != want {
		t.Errorf("state %+v, want %+v", c.State, want)
	}
	if _, err := c.State.RequireKey(); len(Errors(err)) != 1 || !strings.Contains(err.Error(), "openssl rand -base64 32") {
		t.Errorf("RequireKey without a key: %v", err)
	}
}

func wantPolls(t *testing.T, p Pipeline, want map[string]time.Duration) {
	t.Helper()
	if len(p.Tables) != len(TableNames) {
		t.Errorf("%d tables", len(p.Tables))
	}
	for name, poll := range want {
		if got := p.Tables[name]; got != (Table{Enabled: true, Hydrate: HydrateChanged, History: HistoryMetadata, Poll: poll}) {
			t.Errorf("%s: %+v, want poll %s", name, got, poll)
		}
	}
}

func TestDesignSample(t *testing.T) {
	c := load(t, "design")
	wantPolls(t, c.Pipelines["support"], map[string]time.Duration{"tickets": 20 * time.Minute})
	if *c.Intake != (Intake{Listen: ":8080", PublicURL: "https://cdc.example.org", JWT: JWTIfPresent}) {
		t.Errorf("intake %+v", *c.Intake)
	}
	if got := c.Intake.HookURL("support", "abc"); got != "https://cdc.example.org/hooks/support/abc" {
		t.Errorf("hook URL %s", got)
	}
	if got := c.Connections["main"].RefreshToken.Reveal(); got != "1000.refresh-token-in-a-file" {
		t.Errorf("refresh token %q", got)
	}
	key, err := c.State.RequireKey()
	if err != nil || len(key) != KeyBytes || key[31] != 0x1f {
		t.Errorf("key %x, %v", key, err)
	}
	next := c.Pipelines["support"].Resync.Next(time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC))
	if want := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC); !next.Equal(want) {
		t.Errorf("next resync %s, want %s", next, want)
	}
}

func TestEverythingSample(t *testing.T) {
	c := load(t, "everything")
	conn := c.Connections["main"]
	if conn.DataCenter != "au" || conn.ClientID != "1000.CLIENT" || conn.Concurrency != 8 || conn.AccountsURL != "http://127.0.0.1:9001" ||
		conn.Credits != (Credits{ReserveCredits: 5000, PerDay: 100000}) {
		t.Errorf("connection %+v", conn)
	}
	if conn.OAuth != (OAuth{AuthorizeURL: "http://127.0.0.1:9003/auth", TokenURL: "http://127.0.0.1:9003/token",
		RefreshURL: "http://127.0.0.1:9003/refresh", RevokeURL: "http://127.0.0.1:9003/revoke"}) || c.Connections["other"].OAuth != (OAuth{}) {
		t.Errorf("oauth %+v, and where none is given %+v", conn.OAuth, c.Connections["other"].OAuth)
	}
	if got := c.Connections["other"].DataCenter; got != "eu" {
		t.Errorf("data_center .eu is %q", got)
	}
	p := c.Pipelines["support"]
	if p.Warehouse.URL != "clickhouse://ch.example.org:9440?secure=true" || p.Warehouse.Database != "desk_support" ||
		p.Warehouse.User != "loader" || p.Warehouse.Password.Reveal() != "url-password" || p.Warehouse.Dir != "" || p.Warehouse.Layout != LayoutDocument {
		t.Errorf("warehouse %+v", p.Warehouse)
	}
	want := map[string]Table{
		"tickets":             {true, HydrateAll, HistoryFull, 90 * time.Second, &Columns{Exclude: []string{"description", "contact_*"}, Hash: []string{"email"}}, &Departments{Only: []uint64{11, 12}}},
		"departments":         {true, HydrateChanged, HistoryMetadata, 6 * time.Hour, nil, nil},
		"products":            {false, HydrateChanged, HistoryMetadata, 2 * time.Hour, nil, nil},
		"organization_fields": {false, HydrateChanged, HistoryMetadata, 12 * time.Hour, nil, nil},
		"contracts":           {true, HydrateOff, HistoryOff, 24 * time.Hour, nil, &Departments{Except: []uint64{13}}},
	}
	if !reflect.DeepEqual(p.Tables, want) || p.Payload != PayloadReread || p.Bin.Poll != 30*time.Minute || p.HashKey.Reveal() != "a-hash-key-of-some-length" {
		t.Errorf("pipeline %+v", p)
	}
	// 02:30 in Berlin is skipped when summer time begins: robfig/cron goes on to the next Sunday.
	if got := p.Resync.Next(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)); !got.Equal(time.Date(2026, 7, 5, 0, 30, 0, 0, time.UTC)) {
		t.Errorf("next resync %s", got)
	}
	if p.Resync.Missed != MissedSkip {
		t.Errorf("missed %s", p.Resync.Missed)
	}
	if s := c.State; s.URL != "nats://n1:4222,nats://n2:4222" || s.User != "u" || s.Password.Reveal() != "nats-password" ||
		s.Log != (Log{MaxBytes: 1 << 30, Reserve: 100e6}) || s.Dir != "/var/lib/deskhouse" {
		t.Errorf("state %+v", s)
	}
}

// TestSecretsNeverPrinted prints a whole config in every way there is, and greps.
func TestSecretsNeverPrinted(t *testing.T) {
	var secrets []string
	for _, v := range []string{"client-secret-in-env", "literal-refresh-token", "url-password", "warehouse-password-in-env", "nats-password", "000102030405", "a-hash-key-of-some-length"} {
		secrets = append(secrets, v, fmt.Sprintf("%x", v), fmt.Sprintf("%X", v))
	}
	c := load(t, "everything")
	type wrapper struct{ hidden Secret }
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3v", "%t"} {
		printed = append(printed, fmt.Sprintf(verb, c), fmt.Sprintf(verb, *c), fmt.Sprintf(verb, c.State.Key),
			fmt.Sprintf(verb, &c.State.Key), fmt.Sprintf(verb, wrapper{c.State.Key}), fmt.Sprintf(verb, []any{c.State.Key}))
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	ym, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	logger := zerolog.New(&log)
	logger.Info().Interface("config", c).Stringer("key", c.State.Key).Any("any", c.State).Msgf("%v", c)
	printed = append(printed, string(js), string(ym), log.String())
	for _, text := range printed {
		if i := slices.IndexFunc(secrets, func(s string) bool { return strings.Contains(text, s) }); i >= 0 {
			t.Errorf("secret %d is shown in %s", i, text)
		}
	}
	for _, text := range []string{string(js), string(ym), log.String()} {
		if !strings.Contains(text, redacted) {
			t.Errorf("nothing is redacted in %s", text)
		}
	}
}

func TestLoadNamesUnreadableFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), getenv)
	if len(Errors(err)) != 1 || !strings.Contains(err.Error(), "none.yaml: no such file") {
		t.Errorf("got %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large, getenv); err == nil || !strings.Contains(err.Error(), "is larger than 256 KiB") {
		t.Errorf("got %v", err)
	}
}

func TestReserve(t *testing.T) {
	for _, c := range []struct {
		credits Credits
		perDay  int64
		want    int64
	}{
		{Credits{ReservePercent: 20}, 50000, 10000},
		{Credits{ReserveCredits: 700}, 50000, 700},
		{Credits{ReserveCredits: 700}, 500, 500},
		{Credits{}, 50000, 0},
	} {
		if got := c.credits.Reserve(c.perDay); got != c.want {
			t.Errorf("%+v of %d: %d, want %d", c.credits, c.perDay, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*.good.yaml", "*.bad.yaml"} {
		files, err := filepath.Glob(filepath.Join(samples, pattern))
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "file") {
			return // a file named by the fuzzer could be one that blocks, such as /dev/tty
		}
		c, err := Parse(data, dir, getenv)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v, error %v", c, err)
		}
		for _, e := range Errors(err) {
			if strings.ContainsAny(e.Error(), "\n\r") || e.Problem == "" {
				t.Fatalf("not one clear line: %q", e.Error())
			}
		}
		if err != nil {
			return
		}
		for name, p := range c.Pipelines {
			if _, ok := c.Connections[p.Connection]; !ok || len(p.Tables) != len(TableNames) {
				t.Fatalf("pipeline %s passed: %+v", name, p)
			}
			if p.Resync != nil {
				p.Resync.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			}
		}
	})
}
