package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Compression is how data travels to and from a warehouse.
type Compression string

// The values of Compression. The zero value means lz4, or none when the server is on this machine.
const (
	CompressionLZ4  Compression = "lz4"
	CompressionZSTD Compression = "zstd"
	CompressionGZIP Compression = "gzip" // over HTTP only
	CompressionNone Compression = "none"
)

// fixedSettings are settings of ClickHouse that deskhouse's own statements depend on, and why.
var fixedSettings = map[string]string{
	"async_insert":                          "deskhouse counts a row as written once the server has stored it",
	"wait_for_async_insert":                 "deskhouse counts a row as written once the server has stored it",
	"insert_deduplication_token":            "deskhouse names each block of rows itself",
	"readonly":                              "deskhouse writes",
	"final":                                 "deskhouse says itself which tables it reads merged",
	"limit":                                 "it would cut what deskhouse reads",
	"offset":                                "it would cut what deskhouse reads",
	"extremes":                              "it would add rows to what deskhouse reads",
	"session_id":                            "deskhouse's statements run side by side, and a session runs one",
	"session_timezone":                      "deskhouse's times are UTC",
	"dialect":                               "deskhouse speaks ClickHouse's own",
	"join_use_nulls":                        "it changes what deskhouse's statements mean",
	"group_by_use_nulls":                    "it changes what deskhouse's statements mean",
	"transform_null_in":                     "it changes what deskhouse's statements mean",
	"data_type_default_nullable":            "it changes what deskhouse's statements mean",
	"prefer_column_name_to_alias":           "it changes what deskhouse's statements mean",
	"union_default_mode":                    "it changes what deskhouse's statements mean",
	"default_table_engine":                  "deskhouse names the engine of each table",
	"query_id":                              "deskhouse numbers its statements",
	"query":                                 "deskhouse writes its statements itself",
	"default_format":                        "deskhouse reads the format it asks for",
	"database":                              "it has a key of its own: warehouse.database",
	"compress":                              "it has a key of its own: warehouse.compression",
	"decompress":                            "it has a key of its own: warehouse.compression",
	"enable_http_compression":               "it has a key of its own: warehouse.compression",
	"network_compression_method":            "it has a key of its own: warehouse.compression",
	"http_write_exception_in_output_format": "deskhouse reads errors as the server sends them",
}

// whyFixed says why a setting may not be given, "" if it may.
func whyFixed(name string) string {
	switch {
	case strings.HasSuffix(name, "_overflow_mode"):
		return "a statement that meets a limit must fail, and not answer with a part"
	case strings.HasPrefix(name, "param_"):
		return "deskhouse binds its own parameters"
	}
	return fixedSettings[name]
}

var settingName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// settings reads warehouse.settings: what is sent to ClickHouse with every statement, by name.
func settings(v value, query url.Values) map[string]string {
	all, ok := v.entries()
	if !ok {
		v.fail("must be an object", "write {max_execution_time: 600}, with the names that system.settings lists")
	}
	given := make(map[string]string, len(all))
	for _, e := range all {
		at := e.value()
		s, ok := at.text()
		switch why := whyFixed(e.key); {
		case !settingName.MatchString(e.key):
			at.fail("is not the name of a setting", "write one that system.settings lists")
		case why != "":
			at.fail("is not to be set: "+why, "remove it")
		case query.Has(e.key):
			at.fail("is also in url", "keep one of the two")
		case ok:
			given[e.key] = settingValue(s)
		}
	}
	if len(given) == 0 {
		return nil
	}
	return given
}

// settingValue writes a boolean the way all settings take it.
func settingValue(s string) string {
	switch s {
	case "true":
		return "1"
	case "false":
		return "0"
	}
	return s
}

// addressFixes are parameters of the address that must not be there, and what to write instead. All others that the
// driver does not know itself are settings.
var addressFixes = map[string]string{
	"hosts":                    "write all hosts before the path, with commas between",
	"alt_hosts":                "write all hosts before the path, with commas between",
	"connection_open_strategy": "remove it: hosts are tried in the order of url",
	"debug":                    "remove it: it would print statements with their values",
	"database":                 "write it as a key of its own",
}

// checkParameters looks at what an address carries after its question mark.
func checkParameters(v value, query url.Values) {
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fix, why := addressFixes[name], whyFixed(name)
		switch {
		case name == "compress":
			continue // the driver's own
		case fix != "":
			v.fail("carries "+quote(name)+" in its query", fix)
		case why != "":
			v.fail("carries "+quote(name)+" in its query: "+why, "remove it")
		case name == "http_proxy" && strings.Contains(query.Get(name), "@"):
			v.fail("carries a login for http_proxy", "use a proxy that asks for none")
		default:
			continue
		}
		return
	}
}

// compression reads warehouse.compression.
func compression(v value, u *url.URL) Compression {
	if v.absent() {
		return ""
	}
	if u.Query().Has("compress") {
		v.fail("is also in url, as compress", "keep one of the two")
	}
	c := choice(v, CompressionLZ4, CompressionZSTD, CompressionGZIP, CompressionNone)
	if c == CompressionGZIP && u.Scheme == "clickhouse" {
		v.fail("gzip is for http:// and https:// only", "write lz4 or zstd")
	}
	return c
}
