package clickhouse

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"
)

// TLS says how the server proves who it is, and how this client does. The
// files are read whenever the driver opens a connection, so they may be renewed
// at any time. Over HTTPS a connection of the driver's is a pool that dials
// again by itself: for that only the client's certificate is read again, and the
// authorities stay as they were until the driver opens another connection, after
// a call that failed or an hour (its default lifetime).
type TLS struct {
	CA         string // file of authorities in PEM, "" for the system's
	Cert, Key  string // files of the client's certificate and key, "" for none
	ServerName string // the name in the server's certificate, "" for the host's
}

// secured is the TLS configuration of one of the driver's connections to addr:
// what the URL says, and what the files hold now. It is nil for plain text.
func (c Config) secured(base *tls.Config, addr string) (*tls.Config, error) {
	if base == nil {
		return nil, nil
	}
	cfg := base.Clone()
	if c.TLS != nil {
		if err := c.TLS.fill(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return cfg, nil
}

func (t TLS) fill(cfg *tls.Config) error {
	if t.ServerName != "" {
		cfg.ServerName = t.ServerName
	}
	if t.CA != "" {
		data, err := os.ReadFile(t.CA)
		if err != nil {
			return tlsFailure("read %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(data) {
			return tlsFailure("%s holds no certificate", t.CA)
		}
	}
	if t.Cert == "" {
		return nil
	}
	if _, err := t.certificate(); err != nil {
		return err
	}
	// Read again where a connection over HTTP dials again by itself.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.certificate() }
	return nil
}

// certificate reads the client's certificate. One that is over is refused
// here: what servers say about it is less plain.
func (t TLS) certificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, tlsFailure("%s and %s are no certificate and its key", t.Cert, t.Key)
	}
	switch now := time.Now(); {
	case now.After(pair.Leaf.NotAfter):
		return nil, tlsFailure("the client certificate in %s expired on %s", t.Cert, day(pair.Leaf.NotAfter))
	case now.Before(pair.Leaf.NotBefore):
		return nil, tlsFailure("the client certificate in %s is not valid before %s", t.Cert, day(pair.Leaf.NotBefore))
	}
	return &pair, nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// tlsError is a failure to agree on TLS, in words that name the cause.
type tlsError struct{ err error }

func tlsFailure(format string, a ...any) error { return &tlsError{fmt.Errorf(format, a...)} }

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }
