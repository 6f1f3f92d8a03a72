package clickhouse

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"deskhouse/sink/embedded/enginetest"

	"github.com/rs/zerolog"
)

// secureURL is the address of a front that speaks TLS, under a name.
type secureURL func(host string, front *enginetest.Front) string

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// eachSecureProtocol runs a test over native and HTTP, with the port of that
// protocol of a server that knows the user loader.
func eachSecureProtocol(t *testing.T, f func(t *testing.T, url secureURL, target string)) {
	server := enginetest.StartWithUsers(t, enginetest.Config(t), []enginetest.User{{Name: "loader", Password: "pw"}})
	t.Run("native", func(t *testing.T) {
		f(t, func(host string, front *enginetest.Front) string {
			return "clickhouse://" + host + ":" + port(front.Addr)
		}, server.TCP)
	})
	t.Run("https", func(t *testing.T) {
		f(t, func(host string, front *enginetest.Front) string { return "https://" + host + ":" + port(front.Addr) }, server.HTTP)
	})
}

func tlsConfig(url string, tls *TLS) Config {
	return Config{URL: url, TLS: tls, User: "loader", Password: "pw", Database: "none", OrgID: testOrg, Pipeline: "support", Logger: zerolog.Nop()}
}

func TestTLS(t *testing.T) {
	ca, otherCA := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
	server := ca.Issue(t, time.Hour, "localhost", "127.0.0.1")
	client, expired, foreign := ca.Issue(t, time.Hour, "loader"), ca.Issue(t, -time.Minute, "loader"), otherCA.Issue(t, time.Hour, "loader")
	eachSecureProtocol(t, func(t *testing.T, url secureURL, target string) {
		open := enginetest.NewFront(t, target, server.Server(nil))
		closed := enginetest.NewFront(t, target, server.Server(ca))
		old := enginetest.NewFront(t, target, ca.Issue(t, -time.Minute, "localhost").Server(nil))
		other := enginetest.NewFront(t, target, ca.Issue(t, time.Hour, "db.example.org").Server(nil))
		plain := enginetest.NewFront(t, target, nil)
		for _, c := range []struct {
			name string
			url  string
			tls  *TLS
			want string // "" for success
		}{
			{"own authority", url("localhost", open), &TLS{CA: ca.File}, ""},
			{"own authority, by address", url("127.0.0.1", open), &TLS{CA: ca.File}, ""},
			{"authority unknown", url("localhost", open), &TLS{}, "signed by an authority that is unknown here; name its file as warehouse.tls.ca"},
			{"another authority", url("localhost", open), &TLS{CA: otherCA.File}, "unknown here"},
			{"skip_verify", url("localhost", open) + "?secure=true&skip_verify=true", nil, ""},
			{"asked by the URL alone", url("localhost", open) + "?secure=true", nil, "unknown here"},
			{"client certificate", url("localhost", closed), &TLS{CA: ca.File, Cert: client.Cert, Key: client.Key}, ""},
			{"no client certificate", url("localhost", closed), &TLS{CA: ca.File}, "asks for a client certificate; give warehouse.tls.cert"},
			{"expired client certificate", url("localhost", closed), &TLS{CA: ca.File, Cert: expired.Cert, Key: expired.Key}, "the client certificate in " + expired.Cert + " expired on "},
			{"client certificate of another authority", url("localhost", closed), &TLS{CA: ca.File, Cert: foreign.Cert, Key: foreign.Key}, "does not accept the client certificate"},
			{"client certificate that is gone", url("localhost", closed), &TLS{CA: ca.File, Cert: "/nowhere.pem", Key: client.Key}, "no certificate and its key"},
			{"expired server certificate", url("localhost", old), &TLS{CA: ca.File}, "the server's certificate is valid from "},
			{"another name", url("localhost", other), &TLS{CA: ca.File}, "is for db.example.org, not for localhost"},
			{"server_name", url("localhost", other), &TLS{CA: ca.File, ServerName: "db.example.org"}, ""},
			{"TLS to a plain port", url("localhost", plain), &TLS{CA: ca.File}, "TLS"},
		} {
			t.Run(c.name, func(t *testing.T) { checkTLS(t, tlsConfig(c.url, c.tls), c.want) })
		}
		t.Run("no password", func(t *testing.T) {
			cfg := tlsConfig(url("localhost", open), &TLS{CA: ca.File})
			cfg.User, cfg.Password = "", ""
			checkTLS(t, cfg, "")
		})
		if strings.HasPrefix(url("", open), "https") { // the library ends on a refused native handshake
			t.Run("wrong password", func(t *testing.T) {
				cfg := tlsConfig(url("localhost", open), &TLS{CA: ca.File})
				cfg.Password = "wrong"
				_, err := Open(t.Context(), cfg)
				wantErr(t, err, ErrAuth)
			})
		}
		t.Run("plain text to a TLS port", func(t *testing.T) {
			cfg := tlsConfig(strings.Replace(url("localhost", open), "https", "http", 1), nil)
			_, err := Open(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), "TLS") && !strings.Contains(err.Error(), "HTTP status 400") && !strings.Contains(err.Error(), "connection lost") {
				t.Errorf("got %v", err)
			}
		})
	})
}

func checkTLS(t *testing.T, cfg Config, want string) {
	w, err := Open(t.Context(), cfg)
	if want == "" {
		must(t, err)
		must(t, w.Close())
		return
	}
	wantErr(t, err, ErrTLS)
	wantErr(t, err, ErrUnreachable)
	if !strings.Contains(err.Error(), want) || !Retryable(err) {
		t.Errorf("got %v (retry %v), want %q", err, Retryable(err), want)
	}
}

// TestRenewedCertificates replaces authority and client certificate on disk
// while a warehouse is open.
func TestRenewedCertificates(t *testing.T) {
	eachSecureProtocol(t, func(t *testing.T, url secureURL, target string) {
		before, after := enginetest.NewAuthority(t), enginetest.NewAuthority(t)
		dir := t.TempDir()
		files := &TLS{CA: dir + "/ca", Cert: dir + "/cert", Key: dir + "/key"}
		install := func(ca *enginetest.Authority) {
			client := ca.Issue(t, time.Hour, "loader")
			for to, from := range map[string]string{files.CA: ca.File, files.Cert: client.Cert, files.Key: client.Key} {
				data, err := os.ReadFile(from)
				must(t, err)
				must(t, os.WriteFile(to, data, 0o600))
			}
		}
		install(before)
		front := enginetest.NewFront(t, target, before.Issue(t, time.Hour, "localhost").Server(before))
		w := open(t, tlsConfig(url("localhost", front), files))
		must(t, w.askVersion(t.Context()))

		front.Secure(after.Issue(t, time.Hour, "localhost").Server(after))
		front.Cut()
		wantErr(t, eventually(w), ErrTLS)
		install(after)
		must(t, eventually(w))
	})
}

// eventually asks as the pipeline does: a call that met a connection that was
// cut is repeated. What is left is not about those.
func eventually(w *Warehouse) (err error) {
	for range 20 {
		if err = w.askVersion(context.Background()); err == nil || errors.Is(err, ErrTLS) {
			return err
		}
		if !Retryable(err) {
			return err
		}
	}
	return err
}
