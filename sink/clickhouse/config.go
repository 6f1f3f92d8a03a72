package clickhouse

import (
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
	HistoryMetadata HistoryMode = "metadata" // what, when, from where
	HistoryFull     HistoryMode = "full"     // and the state before, where Zoho sends it
)

// Config says which server, which database and for whom.
type Config struct {
	// URL is clickhouse://host:9000, http://host:8123 or https://host:8443,
	// several hosts separated by commas. ?secure=true asks for TLS over the
	// native protocol; other parameters are clickhouse-go's.
	URL string
	// Database holds all tables; it is created when missing and allowed.
	Database       string
	User, Password string // override those of the URL when set
	// OrgID is the portal, the first column of every key.
	OrgID uint64
	// Pipeline names who owns the database; another name is refused.
	Pipeline string
	// History is the mode of each table; absent means HistoryMetadata.
	History map[source.Table]HistoryMode
	Logger  zerolog.Logger
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
	c.complete(opts)
	return opts, nil
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
	if opts.Compression == nil && !loopback(opts.Addr) {
		opts.Compression = &driver.Compression{Method: driver.CompressionLZ4}
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
