package main

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"deskhouse/source/datacenter"
)

// callback is where Zoho sends the browser after the consent. It takes the first
// reply that carries its state.
type callback struct {
	redirect   string
	state      string
	dataCenter string // of the connection
	outcome    chan outcome
}

// outcome is a grant code with the accounts server it belongs to, or why there
// is none.
type outcome struct {
	code, server string
	err          error
}

func (b *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != loginPath {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state)) != 1 {
		page(w, http.StatusBadRequest, "This is not the reply that deskhouse waits for. Open the address that it printed.")
		fmt.Fprintln(os.Stderr, strangeRedirect(q.Get("error")))
		return
	}
	got := b.judge(q.Get("code"), q.Get("error"), q.Get("location"), q.Get("accounts-server"))
	if got.err != nil {
		page(w, http.StatusOK, "deskhouse was not authorised. The terminal says why.")
	} else {
		page(w, http.StatusOK, "deskhouse has received the consent. You may close this page; the terminal shows the result.")
	}
	select {
	case b.outcome <- got:
	default: // another one came first
	}
}

// strangeRedirect is said of a redirect without our state: anybody may send one,
// so it decides nothing. What a refusal of Zoho carries is not documented; it may
// be one.
func strangeRedirect(refused string) string {
	said := "a redirect with a wrong state was turned away"
	if refused != "" {
		said += "; it says " + plain(refused) + ": if you refused the consent, end this with Ctrl-C"
	}
	return said + "; still waiting"
}

// judge is what a genuine redirect means. A code belongs to the data centre of
// the user (OAUTH-DC): the exchange deals with the accounts server that is named;
// a mere location of another data centre leaves nowhere to send the code.
func (b *callback) judge(code, refused, location, server string) outcome {
	switch {
	case refused == "access_denied":
		return outcome{err: &exitError{exitFailed, errors.New("the consent was refused at Zoho: nothing was changed")}}
	case refused != "":
		return outcome{err: &exitError{exitFailed, errors.New("no consent was given at Zoho: " + plain(refused))}}
	}
	at, elsewhere := datacenter.Lookup(location)
	if server == "" && elsewhere && at.Name != b.dataCenter {
		return outcome{err: &exitError{exitUsage, fmt.Errorf("the consent was given at data centre %s, but the connection is configured for %s: set data_center: %[1]s, or log in as a user of %[2]s", at.Name, b.dataCenter)}}
	}
	code, err := cleanCode(code)
	if err != nil {
		return outcome{err: &exitError{exitFailed, errors.New("the browser came back from Zoho without a grant code")}}
	}
	return outcome{code: code, server: server}
}

// plain keeps a word from outside short and printable.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 60)]
}

// page answers the browser; the text is ours.
func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><title>deskhouse</title><p>%s</p>\n", text)
}
