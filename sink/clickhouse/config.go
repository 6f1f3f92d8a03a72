package clickhouse

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/rs/zerolog"
)

// HistoryMode says what the changes table keeps of a change.
type HistoryMode string

// The modes. The zero value means HistoryMetadata.
const (
	HistoryOff      HistoryMode = "off"      // nothing
	HistoryMetadata HistoryMode = "metadata" // what, when, from where; tracked columns before and after
	HistoryFull     HistoryMode = "full"     // and so all content columns, and the state before where Zoho sends it
)

// Config says which server, which database and for whom.
type Config struct {
	// URL is clickhouse://host:9000, http://host:8123 or https://host:8443.
	// Several hosts, separated by commas, are ways to the same database: one is
	// used at a time, the next when it does not answer. ?secure=true asks for
	// TLS over the native protocol; other parameters are clickhouse-go's, and
	// settings of the server.
	URL string
	// Database holds all tables; it is created when missing and allowed.
	Database       string
	User, Password string // override those of the URL when set
	// TLS asks for TLS; nil leaves it to the URL.
	TLS *TLS
	// Settings are sent with every statement, besides those in the URL.
	Settings map[string]string
	// Compression is lz4, zstd, none, and over HTTP gzip; "" means what the URL
	// says, else lz4, or none when the server is on this machine.
	Compression string
	// OrgID is the portal, the first column of every key.
	OrgID uint64
	// Pipeline names who owns the database; another name is refused.
	Pipeline string
	// History is the mode of each table; absent means HistoryMetadata.
	History map[source.Table]HistoryMode
	// Layout is the layout of main tables that are made from now on, by Prepare
	// or by a rebuild.
	Layout Layout
	// Select is what of each table is stored; nil for all of it. Records come
	// masked already: here it shapes the columns.
	Select map[source.Table]*source.Mask
	Logger zerolog.Logger
}

// dialTimeout bounds one connection attempt; the pipeline retries with
// back-off, so waiting longer only delays the message.
const dialTimeout = 10 * time.Second

// options turns the config into the driver's options. No error names the URL:
// it may hold a password.
func (c Config) options() (*driver.Options, error) {
	scheme, rest, found := strings.Cut(c.URL, "://")
	if !found {
		return nil, fmt.Errorf("%w: warehouse URL has no scheme (clickhouse://, http:// or https://)", ErrConfig)
	}
	switch scheme {
	case "clickhouse", "tcp", "http":
	case "https":
		if !strings.Contains(rest, "secure=") {
			rest += separator(rest) + "secure=true"
		}
	default:
		return nil, fmt.Errorf("%w: warehouse URL scheme %q is none of clickhouse, http, https", ErrConfig, scheme)
	}
	opts, err := driver.ParseDSN(scheme + "://" + rest)
	if err != nil {
		return nil, fmt.Errorf("%w: warehouse URL cannot be read (special characters in user or password must be URL-encoded)", ErrConfig)
	}
	if c.TLS != nil {
		if scheme == "http" {
			return nil, fmt.Errorf("%w: TLS over http://, which is plain text", ErrConfig)
		}
		if opts.TLS == nil {
			opts.TLS = &tls.Config{}
		}
	}
	c.complete(opts)
	if opts.Compression, err = c.compression(opts); err != nil {
		return nil, err
	}
	return opts, nil
}

// methods are those that the protocols have in common, and HTTP's own.
var methods = map[string]driver.CompressionMethod{"lz4": driver.CompressionLZ4, "zstd": driver.CompressionZSTD,
	"gzip": driver.CompressionGZIP, "none": driver.CompressionNone}

func (c Config) compression(opts *driver.Options) (*driver.Compression, error) {
	method, known := methods[c.Compression]
	switch {
	case c.Compression == "" && opts.Compression != nil:
		return opts.Compression, nil
	case c.Compression == "" && loopback(opts.Addr):
		return nil, nil
	case c.Compression == "":
		method = driver.CompressionLZ4
	case !known || method == driver.CompressionGZIP && opts.Protocol == driver.Native:
		return nil, fmt.Errorf("%w: compression %q is none that the protocol knows", ErrConfig, c.Compression)
	}
	return &driver.Compression{Method: method, Level: 3}, nil // ClickHouse's own level of zstd and gzip
}

func (c Config) complete(opts *driver.Options) {
	if c.User != "" {
		opts.Auth.Username = c.User
	}
	if c.Password != "" {
		opts.Auth.Password = c.Password
	}
	opts.Auth.Database = ""
	for i, addr := range opts.Addr {
		opts.Addr[i] = withPort(addr, opts)
	}
	if opts.TLS != nil && opts.Auth.Password == "" && (c.TLS == nil || c.TLS.Cert == "") {
		// Over HTTPS the driver takes an empty password for a login by certificate.
		opts.HttpHeaders = map[string]string{"X-ClickHouse-SSL-Certificate-Auth": "off"}
	}
	for name, value := range c.Settings {
		opts.Settings[name] = value
	}
	if opts.DialTimeout == 0 {
		opts.DialTimeout = dialTimeout
	}
	opts.ClientInfo.Products = append(opts.ClientInfo.Products, struct{ Name, Version string }{"deskhouse", "1"})
}

// withPort adds the default port of the protocol.
func withPort(addr string, opts *driver.Options) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	port := map[bool]map[driver.Protocol]string{
		false: {driver.Native: "9000", driver.HTTP: "8123"},
		true:  {driver.Native: "9440", driver.HTTP: "8443"},
	}[opts.TLS != nil][opts.Protocol]
	return net.JoinHostPort(strings.Trim(addr, "[]"), port)
}

// loopback reports whether every address is on this machine, where compressing
// costs more than it saves.
func loopback(addrs []string) bool {
	for _, addr := range addrs {
		host, _, _ := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func separator(rest string) string {
	if u, err := url.Parse("x://" + rest); err == nil && u.RawQuery != "" || strings.Contains(rest, "?") {
		return "&"
	}
	return "?"
}

// history returns the mode of a table.
func (c Config) history(t source.Table) HistoryMode {
	if m := c.History[t]; m != "" {
		return m
	}
	return HistoryMetadata
}
