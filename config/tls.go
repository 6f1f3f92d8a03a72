package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// TLS says how the server of a warehouse proves who it is, and how deskhouse does. The files are read anew
// whenever the driver opens a connection, so certificates may be renewed while deskhouse runs; how soon each is used, see
// clickhouse.TLS. All paths are absolute.
type TLS struct {
	// CA holds the authorities the server's certificate may come from; empty means the system's.
	CA string `json:"ca,omitempty" yaml:"ca,omitempty"`
	// Cert and Key are deskhouse's own certificate and its key, both or neither.
	Cert string `json:"cert,omitempty" yaml:"cert,omitempty"`
	Key  string `json:"key,omitempty" yaml:"key,omitempty"`
	// ServerName is the name in the server's certificate, empty for the host's own.
	ServerName string `json:"server_name,omitempty" yaml:"server_name,omitempty"`
}

// warehouseTLS reads warehouse.tls, nil when it is not given; u is the warehouse's address.
func warehouseTLS(v value, u *url.URL) *TLS {
	if v.absent() {
		return nil
	}
	f := v.fields("ca", "cert", "key", "server_name")
	if u.Scheme == "http" {
		v.fail("is given, but url starts with http://, which is plain text", "write https:// in url, or remove tls")
		return nil
	}
	query := u.Query()
	if secure, given := query["secure"]; given && secure[0] != "" && !isTrue(secure[0]) {
		v.fail("is given, but url says secure="+quote(secure[0]), "remove secure from url")
	}
	if skip, given := query["skip_verify"]; given && (skip[0] == "" || isTrue(skip[0])) {
		v.fail("is given, but url says skip_verify, which accepts any server", "remove skip_verify from url")
	}
	t := &TLS{CA: f["ca"].authorities(), ServerName: f["server_name"].serverName()}
	if query.Has("tls_server_name") && t.ServerName != "" {
		f["server_name"].fail("is also in url", "keep one of the two")
	}
	t.Cert, t.Key = keyPair(f["cert"], f["key"])
	return t
}

func isTrue(s string) bool {
	b, err := strconv.ParseBool(s)
	return err == nil && b
}

func (v value) serverName() string {
	s, ok := v.text()
	if ok && strings.ContainsAny(s, ":/@ ") {
		v.fail(quote(s)+" is not a host name", "write the name that stands in the server's certificate, without a port")
	}
	return s
}

// authorities reads the path of a file with certificates.
func (v value) authorities() string {
	path, data := v.pemFile()
	if data != nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		v.fail("file holds no certificate in PEM", "name a file with -----BEGIN CERTIFICATE-----")
	}
	return path
}

// keyPair reads the paths of a certificate and of its key.
func keyPair(cert, key value) (string, string) {
	certPath, certPEM := cert.pemFile()
	keyPath, keyPEM := key.pemFile()
	switch {
	case cert.absent() && !key.absent():
		key.fail("is given without cert", "name the file with the certificate as cert")
	case key.absent() && !cert.absent():
		cert.fail("is given without key", "name the file with its private key as key")
	case certPEM != nil && keyPEM != nil:
		checkPair(cert, key, certPEM, keyPEM)
	}
	return certPath, keyPath
}

// checkPair says which of the two files is wrong. The library's own words are not shown: they could quote a file.
func checkPair(cert, key value, certPEM, keyPEM []byte) {
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err == nil {
		return
	}
	switch {
	case !x509.NewCertPool().AppendCertsFromPEM(certPEM):
		cert.fail("file holds no certificate in PEM", "name a file with -----BEGIN CERTIFICATE-----")
	case hasBlock(keyPEM, "ENCRYPTED"):
		key.fail("is encrypted", "store it without a passphrase, readable by deskhouse alone")
	case !hasBlock(keyPEM, "PRIVATE KEY"):
		key.fail("file holds no private key in PEM", "name a file with -----BEGIN PRIVATE KEY-----")
	default:
		key.fail("does not belong to cert", "name the key that the certificate was made with; the certificate comes first in cert, then those above it")
	}
}

// hasBlock reports whether a PEM file has a block of a type, or with a header, that holds word.
func hasBlock(data []byte, word string) bool {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, word) || strings.Contains(block.Headers["Proc-Type"], word) {
			return true
		}
	}
	return false
}

// maxPEMBytes bounds a file of certificates; the bundle of all public authorities has some 250 KB.
const maxPEMBytes = 4 << 20

// pemFile reads the file that v names. data is nil when there is none, or when a mistake was recorded.
func (v value) pemFile() (path string, data []byte) {
	name, ok := v.text()
	if !ok {
		return "", nil
	}
	path = name
	if !filepath.IsAbs(path) {
		path = filepath.Join(v.d.base, path)
	}
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		data, err = io.ReadAll(io.LimitReader(f, maxPEMBytes+1))
	}
	switch {
	case strings.Contains(name, "-----BEGIN"):
		v.fail("holds the certificate or key itself", "write the path of a file that holds it")
	case err != nil:
		v.fail("file "+quote(name)+": "+fileProblem(err), "relative paths start at the config's folder")
	case len(data) > maxPEMBytes:
		v.fail("file "+quote(name)+" is too large", "name a file of certificates in PEM")
	case len(data) == 0:
		v.fail("file "+quote(name)+" is empty", "name a file in PEM")
	default:
		return filepath.Clean(path), data
	}
	return "", nil
}
