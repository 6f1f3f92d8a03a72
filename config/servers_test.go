package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestServersSample(t *testing.T) {
	w := load(t, "servers").Pipelines["support"].Warehouse
	if w.URL != "clickhouse://one.example.org,two.example.org:9441,[2001:db8::1]:9440?dial_timeout=3s&max_execution_time=60" ||
		w.Database != "desk" || w.User != "loader" || w.Password.Reveal() != "url-password" || w.Compression != CompressionZSTD || w.TLS != nil {
		t.Errorf("warehouse %+v", w)
	}
	want := map[string]string{"max_threads": "4", "insert_quorum": "auto", "optimize_on_insert": "0",
		"parallel_replicas_min_number_of_rows_per_replica": "100", "max_memory_usage": "8000000000"}
	if !reflect.DeepEqual(w.Settings, want) {
		t.Errorf("settings %v", w.Settings)
	}
}

// identity writes a self-signed certificate and its key into the folder.
func identity(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem":       {Type: "CERTIFICATE", Bytes: der},
		name + ".key":       {Type: "PRIVATE KEY", Bytes: private},
		name + ".encrypted": {Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("sealed")},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	identity(t, dir, "one")
	identity(t, dir, "two")
	parse := func(url, tls string) (*Config, error) {
		return Parse(fmt.Appendf(nil, `{connections: {main: {data_center: eu, org_id: 1, client_id: a, client_secret: b}},
pipelines: {a: {connection: main, warehouse: {url: %q, tls: %s}}}}`, url, tls), dir, getenv)
	}
	c, err := parse("clickhouse://h", "{ca: one.pem, cert: two.pem, key: two.key, server_name: db.example.org}")
	if err != nil {
		t.Fatal(err)
	}
	want := &TLS{CA: filepath.Join(dir, "one.pem"), Cert: filepath.Join(dir, "two.pem"), Key: filepath.Join(dir, "two.key"), ServerName: "db.example.org"}
	if got := c.Pipelines["a"].Warehouse.TLS; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if c, err = parse("https://h", "{}"); err != nil || *c.Pipelines["a"].Warehouse.TLS != (TLS{}) {
		t.Errorf("empty tls: %v", err)
	}
	for tls, text := range map[string]string{
		"{cert: one.pem, key: two.key}":             "tls.key: does not belong to cert",
		"{cert: one.key, key: one.key}":             "tls.cert: file holds no certificate",
		"{cert: one.pem, key: one.pem}":             "tls.key: file holds no private key",
		"{cert: one.pem, key: one.encrypted}":       "tls.key: is encrypted",
		"{ca: one.key}":                             "tls.ca: file holds no certificate",
		"{ca: one.pem, cert: gone.pem, key: a.key}": "tls.cert: file \"gone.pem\": no such file",
	} {
		if _, err := parse("https://h", tls); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %q", tls, err, text)
		}
	}
}
