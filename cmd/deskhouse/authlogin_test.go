package main

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// visit is a login under way.
type visit struct {
	h       *house
	cmd     *exec.Cmd
	stdout  strings.Builder
	stderr  strings.Builder
	consent string // the address to open
	read    chan struct{}
}

// login starts `auth login` and waits for the address that it prints.
func (h *house) login(args ...string) *visit {
	h.t.Helper()
	_, port, _ := strings.Cut(freePort(h.t), ":")
	v := &visit{h: h, read: make(chan struct{}), cmd: exec.CommandContext(h.t.Context(), programs.deskhouse, append([]string{"auth", "login", "--port", port, "--config", h.file}, args...)...)}
	v.cmd.Dir, v.cmd.Stdout = h.dir, &v.stdout
	said, err := v.cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	lines := bufio.NewReader(said)
	for !strings.HasPrefix(v.consent, "http") {
		line, err := lines.ReadString('\n')
		if err != nil {
			h.t.Fatalf("no address printed: %v\n%s", err, v.stderr.String())
		}
		v.stderr.WriteString(line)
		v.consent = strings.TrimSpace(line)
	}
	go func() {
		defer close(v.read)
		_, _ = io.Copy(&v.stderr, lines) // it ends with the process
	}()
	return v
}

// end waits for the exit code.
func (v *visit) end() int {
	v.h.t.Helper()
	hung := time.AfterFunc(commandTime, func() { _ = v.cmd.Process.Kill() })
	defer hung.Stop()
	<-v.read
	_ = v.cmd.Wait() // the exit code tells
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	v.h.said = append(v.h.said, v.stdout.String(), v.stderr.String())
	return v.cmd.ProcessState.ExitCode()
}

// back is the address that Zoho would send the browser to, with other parameters.
func (v *visit) back(change func(url.Values)) string {
	v.h.t.Helper()
	consent, err := url.Parse(v.consent)
	if err != nil {
		v.h.t.Fatal(err)
	}
	q := url.Values{"state": {consent.Query().Get("state")}}
	change(q)
	return consent.Query().Get("redirect_uri") + "?" + q.Encode()
}

// open is a browser that follows redirects; it returns the last page's status.
func (v *visit) open(address string) int {
	v.h.t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		v.h.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		v.h.t.Fatal(err)
	}
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	v.h.said = append(v.h.said, string(page))
	return resp.StatusCode
}

// TestLogin is a consent in a browser, with and without a service.
func TestLogin(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 46, Tickets: 20}, settings{})
	h.unauthorised()
	v := h.login()
	consent, err := url.Parse(v.consent)
	if err != nil {
		t.Fatal(err)
	}
	q := consent.Query()
	if q.Get("access_type") != "offline" || q.Get("response_type") != "code" || q.Get("prompt") != "consent" || len(q.Get("state")) < 20 || q.Get("scope") != strings.Join(zohodesk.Scopes(), ",") {
		t.Errorf("the consent asks for %v", q)
	}
	if status := v.open(v.back(func(q url.Values) { q.Set("state", "guessed"); q.Set("code", "1000.attack") })); status != http.StatusBadRequest {
		t.Errorf("a wrong state: status %d", status)
	}
	if status := v.open(v.consent); status != http.StatusOK {
		t.Errorf("the browser ends with status %d", status)
	}
	if code := v.end(); code != exitDone || !strings.Contains(v.stdout.String(), "connection main: connected") || !strings.Contains(v.stderr.String(), "wrong state") {
		t.Errorf("exit code %d\n%s%s", code, v.stdout.String(), v.stderr.String())
	}

	p := h.start()
	h.untilLoaded()
	again := h.login("--json")
	again.open(again.consent)
	if code := again.end(); code != exitDone || !strings.Contains(again.stdout.String(), `"state": "connected"`) {
		t.Errorf("with a service: exit code %d\n%s%s", code, again.stdout.String(), again.stderr.String())
	}
	p.stop()
}

// TestLoginThatFails: nothing is changed, and one line says why.
func TestLoginThatFails(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 47, Tickets: 5}, settings{})
	h.unauthorised()
	for _, c := range []struct {
		name string
		args []string
		do   func(*visit)
		code int
		says string
	}{
		{"denied", nil, func(v *visit) { v.open(v.back(func(q url.Values) { q.Set("error", "access_denied") })) }, exitFailed, "refused at Zoho"},
		{"another data centre", nil, func(v *visit) {
			v.open(v.back(func(q url.Values) { q.Set("code", "c"); q.Set("location", "eu") }))
		}, exitUsage, "data_center: eu"},
		{"a code that does not do", nil, func(v *visit) { v.open(v.back(func(q url.Values) { q.Set("code", "1000.invented") })) }, exitFailed, "invalid_code"},
		{"nobody comes", []string{"--wait", "300ms"}, func(*visit) {}, exitFailed, "no consent within 300ms"},
		{"Ctrl-C", nil, func(v *visit) {
			if err := v.cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}, exitFailed, "interrupted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := h.login(c.args...)
			c.do(v)
			if code := v.end(); code != c.code || !strings.Contains(v.stderr.String(), c.says) || v.stdout.Len() > 0 {
				t.Errorf("exit code %d\n%s%s", code, v.stdout.String(), v.stderr.String())
			}
		})
	}
	if got := asJSON[connectionReply](h, exitDone, "connections", "show", "main"); got.State != zohodesk.StateNeeds {
		t.Errorf("%+v", got)
	}
	_, busy, _ := strings.Cut(strings.TrimPrefix(h.desk, "http://"), ":")
	if r := h.deskhouse("auth", "login", "--port", busy); r.code != exitUsage || !strings.Contains(r.stderr.String(), "--port") {
		t.Errorf("a port that is taken: exit code %d\n%s", r.code, r.stderr.String())
	}
}
