package clickhouse

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// ErrTLS: client and server do not agree on TLS. It may heal when somebody
// renews a certificate, so it is an ErrUnreachable too.
var ErrTLS = errors.New("TLS failed")

// handshakeFailure says in plain words why a TLS handshake failed, nil when err
// is about something else.
func handshakeFailure(err error) error {
	var (
		ours      *tlsError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		other     *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &authority):
		return errors.New("the server's certificate is signed by an authority that is unknown here; name its file as warehouse.tls.ca")
	case errors.As(err, &name):
		return wrongName(name)
	case errors.As(err, &invalid):
		return invalidCertificate(invalid)
	case errors.As(err, &other):
		return other
	case errors.As(err, &record):
		return errors.New("the server does not speak TLS on this port (usual are 9440 native and 8443 HTTPS)")
	case errors.As(err, &op) && op.Op == "remote error":
		return refusedByServer(op.Err)
	case strings.Contains(err.Error(), "unexpected packet [21] from server"), // a TLS alert
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errors.New("one side speaks TLS and the other does not; give warehouse.tls, or another port (usual are 9440 native and 8443 HTTPS)")
	}
	return nil
}

func wrongName(e x509.HostnameError) error {
	names := e.Certificate.DNSNames
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Errorf("the server's certificate names no host, so not %s", e.Host)
	}
	return fmt.Errorf("the server's certificate is for %s, not for %s; write that host in url, or its name as warehouse.tls.server_name",
		strings.Join(names[:min(5, len(names))], ", "), e.Host)
}

func invalidCertificate(e x509.CertificateInvalidError) error {
	if e.Reason == x509.Expired && e.Cert != nil {
		return fmt.Errorf("the server's certificate is valid from %s to %s only; it has to be renewed there (or this machine's clock is wrong)",
			day(e.Cert.NotBefore), day(e.Cert.NotAfter))
	}
	return fmt.Errorf("the server's certificate is not valid: %w", e)
}

// refusedByServer explains an alert of the server (RFC 8446, 6.2), which the
// library gives as text only.
func refusedByServer(alert error) error {
	text := strings.TrimPrefix(alert.Error(), "tls: ")
	switch {
	case strings.Contains(text, "certificate required"):
		return errors.New("the server asks for a client certificate; give warehouse.tls.cert and warehouse.tls.key")
	case strings.Contains(text, "certificate"):
		return fmt.Errorf("the server does not accept the client certificate, or misses one (it says: %s); look at warehouse.tls.cert and warehouse.tls.key", text)
	}
	return fmt.Errorf("the server ends the handshake (it says: %s)", text)
}
