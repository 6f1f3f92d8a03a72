package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
	"deskhouse/source/datacenter"
	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// TestCheckNamesWhatIsBroken breaks one thing at a time: that line, and no
// other, turns from ok, and says what to do. What cannot be tried because of it
// is skipped.
func TestCheckNamesWhatIsBroken(t *testing.T) {
	server := checkServer(t)
	t.Run("each", func(t *testing.T) {
		for i, b := range breakages() {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				portal := desksim.Config{Seed: int64(i), Tickets: 20, Products: 3, Contracts: 3}
				if b.portal != nil {
					b.portal(&portal)
				}
				c := newChecked(t, server, portal)
				if b.before != nil {
					b.before(c)
				}
				if !b.alone && !b.fresh {
					c.register()
				}
				if b.broken != nil {
					b.broken(c)
				}
				before := c.portal.Stats().CreditsTotal
				wantOnly(t, c.check(), b)
				if spent := c.portal.Stats().CreditsTotal - before; spent > 90 { // the help says: some seventy
					t.Errorf("%d credits were spent", spent)
				} else {
					t.Logf("%d credits", spent)
				}
			})
		}
	})
}

// wantOnly holds findings against the one that is wanted.
func wantOnly(t *testing.T, findings []finding, b breakage) {
	t.Helper()
	seen := map[string]bool{}
	ok, skips := 0, 0
	for _, f := range findings {
		if seen[f.Item] {
			t.Errorf("%s has two lines", f.Item)
		}
		seen[f.Item] = true
		switch {
		case f.Item == b.item && f.Result == b.result:
			for _, word := range b.says {
				if line := f.Detail + " / " + f.Remedy; !strings.Contains(line, word) {
					t.Errorf("%s does not say %q: %s", f.Item, word, line)
				}
			}
			for _, word := range b.never {
				if strings.Contains(f.Detail+" / "+f.Remedy, word) {
					t.Errorf("%s says %q: %s / %s", f.Item, word, f.Detail, f.Remedy)
				}
			}
			if f.Remedy == "" {
				t.Errorf("%s names no remedy: %s", f.Item, f.Detail)
			}
		case f.Result == resultSkipped && b.item != "":
			if skips++; strings.HasSuffix(b.item, " credits") && !strings.Contains(f.Detail, b.item) {
				t.Errorf("%s is not skipped because of the credits: %s", f.Item, f.Detail)
			}
		case f.Result != resultOK:
			t.Errorf("%s %s: %s / %s", f.Result, f.Item, f.Detail, f.Remedy)
		default:
			ok++
		}
	}
	if b.item != "" && !seen[b.item] {
		t.Errorf("no line for %s", b.item)
	}
	if ok < 3 {
		t.Errorf("only %d lines are ok, %d are skipped: %+v", ok, skips, findings)
	}
	t.Logf("%d lines, %d ok, %d skipped", len(findings), ok, skips)
}

// Modules that nobody answers for are named, and are worth a warning only when
// tickets are among them.
func TestCheckFieldsOfHiddenModules(t *testing.T) {
	c := newChecked(t, enginetest.Server{HTTP: freePort(t)}, desksim.Config{})
	core, err := openCore(t.Context(), c.config(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	cc := core.newConnCheck("main")
	for _, row := range []struct{ silent, result string }{
		{"products, tasks", resultOK}, {"tickets, tasks", resultWarning}, {strings.Join(zohodesk.FieldModules(), ", "), resultFailure}} {
		errs := make([]error, len(zohodesk.FieldModules()))
		for i, m := range zohodesk.FieldModules() {
			if slices.Contains(strings.Split(row.silent, ", "), m) {
				errs[i] = &source.CallError{Fault: source.FaultForbidden}
			}
		}
		f := cc.fieldsFinding("fields", zohodesk.FieldModules(), errs)
		if f.Result != row.result || f.Result != resultFailure && !strings.Contains(f.Detail, "nobody answers for "+row.silent) {
			t.Errorf("nobody answers for %s: %+v", row.silent, f)
		}
	}
}

// TestConnectingDocs: docs/connecting.md knows every item of a check, and the
// scopes are those that init prints.
func TestConnectingDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "connecting.md"))
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	if scopes := strings.Join(zohodesk.Scopes(), ","); strings.Count(docs, scopes) != 1 {
		t.Errorf("the scopes %s are not in it", scopes)
	}
	if redirect := fmt.Sprintf("http://127.0.0.1:%d%s", loginPort, loginPath); !strings.Contains(docs, redirect) {
		t.Errorf("the redirect URI %s is not in it", redirect)
	}
	named := regexp.MustCompile(`^(connection|pipeline) \S+ `)
	for _, b := range append(breakages(), breakage{item: itemState}, breakage{item: itemKey}, breakage{item: itemDisk}, breakage{item: "NATS replicas"}, breakage{item: "state server"}) {
		item := named.ReplaceAllString(b.item, "$1 … ")
		for _, kind := range []string{"scope ", "table ", "selection of "} {
			if before, _, found := strings.Cut(item, kind); found {
				item = before + kind + "…"
			}
		}
		if !strings.Contains(docs, "| "+item) && !strings.Contains(docs, ", "+item+" |") {
			t.Errorf("no row for %q", item)
		}
	}
	for _, center := range datacenter.Names() {
		c, _ := datacenter.Lookup(center)
		_, ending, _ := strings.Cut(strings.TrimPrefix(c.Desk, "https://desk."), ".")
		if !strings.Contains(docs, "."+ending) {
			t.Errorf("data centre %s is not in it", center)
		}
	}
}

// The fewest scopes that explain every refusal are named.
func TestSuspects(t *testing.T) {
	for _, c := range []struct{ refused, proven, want string }{
		{"", "a b", ""},
		{"a", "", "a"},
		{"a,b", "b", "a"},
		{"a,b a,c", "", "a"},
		{"a,b", "", "a b"},
		{"a,b c,b", "a", "b"},
		{"a b", "", "a b"},
		{"a,b a,c b,c", "", "a b c"},
	} {
		var refused [][]string
		for _, needs := range strings.Fields(c.refused) {
			refused = append(refused, strings.Split(needs, ","))
		}
		proven := map[string]bool{}
		for _, s := range strings.Fields(c.proven) {
			proven[s] = true
		}
		if got := strings.Join(suspects(refused, proven), " "); got != c.want {
			t.Errorf("refused %q, proven %q: %q, want %q", c.refused, c.proven, got, c.want)
		}
	}
}
