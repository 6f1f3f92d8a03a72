package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

func TestErrorsAreClassifiedByCode(t *testing.T) {
	exception := func(code int32) error {
		return fmt.Errorf("wrapped: %w", &driver.Exception{Code: code, Message: "value 'secret'"})
	}
	for _, c := range []struct {
		name  string
		err   error
		want  error
		retry bool
		text  string
	}{
		{"too many parts", exception(252), nil, true, "code 252 (TOO_MANY_PARTS)"},
		{"memory limit", exception(241), nil, true, "code 241"},
		{"repeated by the driver", exception(216), nil, true, "code 216"},
		{"no such table", exception(60), ErrMissing, false, "code 60 (UNKNOWN_TABLE)"},
		{"no such column to insert into", exception(16), ErrColumn, false, "code 16 (NO_SUCH_COLUMN_IN_TABLE)"},
		{"no such column to read", exception(47), ErrColumn, false, "code 47 (UNKNOWN_IDENTIFIER)"},
		{"fence", exception(469), ErrFenced, false, ""},
		{"wrong password", exception(516), ErrAuth, false, ""},
		{"no grant", exception(497), ErrDenied, false, ""},
		{"no database", exception(81), ErrNoDatabase, false, ""},
		{"nor its tables", exception(81), ErrMissing, false, ""},
		{"exception over HTTP", &driver.HTTPError{StatusCode: 500, Err: exception(252)}, nil, true, "code 252"},
		{"a proxy's 502", &driver.HTTPError{StatusCode: http.StatusBadGateway, Err: errors.New("secret")}, nil, true, "HTTP status 502"},
		{"a proxy's 404", &driver.HTTPError{StatusCode: http.StatusNotFound, Err: errors.New("secret")}, nil, false, "HTTP status 404"},
		{"a proxy's 401", &driver.HTTPError{StatusCode: http.StatusUnauthorized, Err: errors.New("secret")}, ErrAuth, false, ""},
		{"refused connection", &url.Error{Op: "Post", URL: "http://u:secret@h", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, ErrUnreachable, true, "dial: refused"},
		{"time-out of a URL", &url.Error{Op: "Post", URL: "http://u:secret@h", Err: context.DeadlineExceeded}, context.DeadlineExceeded, true, ""},
		{"cut connection", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), ErrUnreachable, true, "connection lost"},
		{"cancelled", fmt.Errorf("x: %w", context.Canceled), context.Canceled, false, ""},
		{"the HTTP port for the native one", errors.New("[handshake] unexpected packet [72] from server"), ErrConfig, false, "speaks HTTP: write http://"},
		{"the native port for the HTTP one", &driver.HTTPError{StatusCode: 400, Err: errors.New("Port 9000 is for clickhouse-client program, secret")}, ErrConfig, false, "write clickhouse://"},
		{"anything else", errors.New("cannot convert secret"), nil, false, "*errors.errorString"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := classify("do it", c.err)
			var e *Error
			if !errors.As(err, &e) || e.Retry != c.retry || Retryable(err) != c.retry || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %#v", err)
			}
			if want := c.want == ErrFenced || c.want == ErrMissing || c.want == ErrColumn || c.want == ErrNoDatabase; e.Permanent() != want {
				t.Errorf("permanent: %v", e.Permanent())
			}
			if s := err.Error(); strings.Contains(s, "secret") || !strings.Contains(s, c.text) || !strings.HasPrefix(s, "do it: ") {
				t.Errorf("text %q", s)
			}
			if again := classify("outer", err); again != err {
				t.Errorf("classified twice: %v", again)
			}
		})
	}
	if classify("x", nil) != nil {
		t.Error("nil is an error")
	}
}

func TestURLsBecomeOptions(t *testing.T) {
	for url, want := range map[string]string{
		"clickhouse://h":                     "native h:9000 plain lz4",
		"clickhouse://h?secure=true":         "native h:9440 TLS lz4",
		"clickhouse://a:1,b":                 "native a:1 b:9000 plain lz4",
		"clickhouse://127.0.0.1:9":           "native 127.0.0.1:9 plain none",
		"clickhouse://[::1]":                 "native [::1]:9000 plain none",
		"http://h":                           "http h:8123 plain lz4",
		"https://h":                          "http h:8443 TLS lz4",
		"https://h:443/?compress=zstd":       "http h:443 TLS zstd",
		"https://h?skip_verify=true":         "http h:8443 TLS lz4",
		"http://user:p%40ss@localhost/other": "http localhost:8123 plain none",
	} {
		opts, err := Config{URL: url}.options()
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		tls, compression := "plain", "none"
		if opts.TLS != nil {
			tls = "TLS"
		}
		if opts.Compression != nil {
			compression = opts.Compression.Method.String()
		}
		if got := fmt.Sprintf("%s %s %s %s", opts.Protocol, strings.Join(opts.Addr, " "), tls, compression); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
