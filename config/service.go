package config

import (
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Intake is the public HTTP server that receives webhooks.
type Intake struct {
	// Listen is host:port, ":8080" by default.
	Listen string `json:"listen" yaml:"listen"`
	// PublicURL is how Zoho reaches Listen, without a slash at the end.
	PublicURL string `json:"public_url" yaml:"public_url"`
	JWT       JWT    `json:"jwt" yaml:"jwt"`
}

// JWT is what the intake asks of a delivery's X-ZDesk-JWT header.
type JWT string

// The values of JWT: ignored; checked where it is sent (the default); demanded.
const (
	JWTOff       JWT = "off"
	JWTIfPresent JWT = "if-present"
	JWTRequired  JWT = "required"
)

// MaxHookURL is the longest URL that Zoho takes: 100 characters when a webhook is updated, though creating allows 500
// (OAS Webhook.json).
const MaxHookURL = 100

// hookSecretLen is the length of the secret in a hook URL: 130 bits in base32.
const hookSecretLen = 26

// HookURL is the URL that Zoho is given for a pipeline.
func (i Intake) HookURL(pipeline, secret string) string {
	return i.PublicURL + "/hooks/" + pipeline + "/" + secret
}

// Admin is the private HTTP server: health, metrics, control.
type Admin struct {
	// Listen is host:port, loopback unless told otherwise.
	Listen string `json:"listen" yaml:"listen"`
}

// State is where events, checkpoints and tokens are kept.
type State struct {
	// URL is Embedded, or one or more nats:// or tls:// addresses with commas between, without user and password.
	URL string `json:"url" yaml:"url"`
	// User and Password were in the URL. A Password without User is a NATS token (nats://TOKEN@host).
	User     string `json:"user,omitempty" yaml:"user,omitempty"`
	Password Secret `json:"password" yaml:"password"`
	// Dir is the absolute data folder, with the control socket and the embedded store.
	Dir string `json:"dir" yaml:"dir"`
	// Key is 32 bytes in base64 or hex, empty when none is configured; RequireKey decodes it.
	Key Secret `json:"key" yaml:"key"`
	Log Log    `json:"log" yaml:"log"`
}

// Log bounds the log of events that are not applied yet.
type Log struct {
	// MaxBytes is what one pipeline's log may take; beyond it webhooks are answered 503. Defaults to 8 GiB.
	MaxBytes int64 `json:"max_bytes" yaml:"max_bytes"`
	// Reserve is disk space that the log leaves free for checkpoints. Defaults to 256 MiB.
	Reserve int64 `json:"reserve" yaml:"reserve"`
}

// IsEmbedded reports whether the store runs inside this process.
func (s State) IsEmbedded() bool { return s.URL == Embedded }

// KeyBytes is the size of the state key.
const KeyBytes = 32

const keyFix = "make one with: openssl rand -base64 32"

// RequireKey returns the decoded key. Commands that keep or read tokens call it; the error, an *Error, says that no key
// is configured and how to make one.
func (s State) RequireKey() ([]byte, error) {
	key, ok := decodeKey(s.Key.Reveal())
	if !ok {
		return nil, &Error{Path: "state.key", Problem: "is missing", Fix: keyFix}
	}
	return key, nil
}

// decodeKey accepts base64 in its four dialects, and hex. 64 hex digits are 48 bytes in base64, so neither is mistaken.
func decodeKey(s string) ([]byte, bool) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.URLEncoding.DecodeString,
		base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(s); err == nil && len(key) == KeyBytes {
			return key, true
		}
	}
	return nil, false
}

func intake(v value) *Intake {
	if v.absent() {
		return nil
	}
	f := v.fields("listen", "public_url", "jwt")
	public := f["public_url"].required("https://host, as Zoho reaches it, or remove intake to poll only")
	return &Intake{
		Listen:    f["listen"].listen(":8080"),
		PublicURL: public.httpURL(),
		JWT:       choice(f["jwt"], JWTIfPresent, JWTOff, JWTRequired),
	}
}

func admin(v value) Admin {
	return Admin{Listen: v.fields("listen")["listen"].listen("127.0.0.1:8081")}
}

func state(v value) State {
	f := v.fields("url", "dir", "key", "log")
	s := State{URL: Embedded, Dir: v.d.folder(f["dir"], "data"), Key: f["key"].secret(), Log: logLimits(f["log"])}
	if given := f["url"].reference(); given != "" && given != Embedded {
		s.URL, s.User, s.Password = natsServers(f["url"], given)
	}
	if !s.Key.IsZero() {
		if _, ok := decodeKey(s.Key.Reveal()); !ok {
			f["key"].fail("is not 32 bytes in base64 or hex", keyFix)
		}
	}
	return s
}

func logLimits(v value) Log {
	f := v.fields("max_bytes", "reserve")
	return Log{MaxBytes: f["max_bytes"].bytes(8<<30, 64<<20), Reserve: f["reserve"].bytes(256<<20, 1<<20)}
}

// natsServers reads a list of addresses, which log in alike.
func natsServers(v value, list string) (urls, user string, password Secret) {
	var servers []string
	var first login
	for i, s := range strings.Split(list, ",") {
		u, l := v.parseServer(strings.TrimSpace(s), []string{"nats", "tls"})
		if u == nil {
			return "", "", Secret{}
		}
		if i == 0 {
			first = l
		}
		if l.user != first.user || !l.password.Equal(first.password) {
			v.fail("has servers with different logins", "give every server the same user and password")
		}
		servers = append(servers, u.String())
	}
	if first.user != "" && first.password.IsZero() {
		first = login{password: NewSecret(first.user)} // nats://TOKEN@host
	}
	return strings.Join(servers, ","), first.user, first.password
}

// samePort reports whether two listen addresses ask for the same port on overlapping hosts.
func samePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || strings.Trim(portA, "0") == "" {
		return false
	}
	everywhere := []string{"", "0.0.0.0", "::"}
	return hostA == hostB || slices.Contains(everywhere, hostA) || slices.Contains(everywhere, hostB)
}

// publicHost is the host of an address that was checked, in small letters.
func publicHost(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
