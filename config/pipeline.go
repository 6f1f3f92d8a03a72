package config

import (
	"time"
)

// Pipeline is one portal into one database.
type Pipeline struct {
	// Connection is a key of Config.Connections.
	Connection string    `json:"connection" yaml:"connection"`
	Warehouse  Warehouse `json:"warehouse" yaml:"warehouse"`
	// Tables always holds all of TableNames, with defaults filled in; a table that is off has Enabled false.
	Tables  map[string]Table `json:"tables" yaml:"tables"`
	Payload Payload          `json:"payload" yaml:"payload"`
	// Resync is the pipeline's own schedule, nil when only a command or the system's cron starts resyncs.
	Resync *Resync `json:"resync,omitempty" yaml:"resync,omitempty"`
	Bin    Bin     `json:"bin" yaml:"bin"`
	// HashKey is the key of the keyed hashes, at least 16 bytes; empty only when no table has any.
	HashKey Secret `json:"hash_key,omitzero" yaml:"hash_key,omitempty"`
}

// TableNames are the tables of a pipeline, in the order in which they are shown.
var TableNames = []string{"tickets", "departments", "products", "organization_fields", "contracts"}

// Table is how one table is kept.
type Table struct {
	Enabled bool    `json:"enabled" yaml:"enabled"`
	Hydrate Hydrate `json:"hydrate" yaml:"hydrate"`
	History History `json:"history" yaml:"history"`
	// Poll is the time between two polls, at least a second.
	Poll time.Duration `json:"poll" yaml:"poll"`
	// Columns and Departments are what of the table is stored, nil for all of it.
	Columns     *Columns     `json:"columns,omitempty" yaml:"columns,omitempty"`
	Departments *Departments `json:"departments,omitempty" yaml:"departments,omitempty"`
}

// Bin is how the recycle bin is read.
type Bin struct {
	// Poll is the time between two polls, at least a second.
	Poll time.Duration `json:"poll" yaml:"poll"`
}

// Hydrate is which rows get the columns that only a GET by id carries.
type Hydrate string

// The values of Hydrate; HydrateChanged is the default.
const (
	HydrateOff     Hydrate = "off"
	HydrateChanged Hydrate = "changed"
	HydrateAll     Hydrate = "all"
)

// History is what the changes table keeps of a change.
type History string

// The values of History; HistoryMetadata is the default, because it holds no ticket text.
const (
	HistoryOff      History = "off"
	HistoryMetadata History = "metadata"
	HistoryFull     History = "full"
)

// Payload is whether a complete webhook payload is applied, or only taken as a hint to read the record again.
type Payload string

// The values of Payload; PayloadTrust is the default.
const (
	PayloadTrust  Payload = "trust"
	PayloadReread Payload = "reread"
)

const minPoll = time.Second

// polls are the defaults: about 20 credits an hour on a quiet portal.
type polls struct {
	tables map[string]time.Duration
	bin    time.Duration
}

// pollDefaults returns them for a portal that sends webhooks, or whose tickets are known through polls alone.
func pollDefaults(webhooks bool) polls {
	p := polls{bin: 60 * time.Minute, tables: map[string]time.Duration{
		"tickets": 20 * time.Minute, "products": 120 * time.Minute, "contracts": 120 * time.Minute,
		"departments": 360 * time.Minute, "organization_fields": 720 * time.Minute,
	}}
	if !webhooks {
		p.tables["tickets"] = 5 * time.Minute
	}
	return p
}

func pipelines(v value, defaults polls, stateDir string) map[string]Pipeline {
	all := make(map[string]Pipeline)
	for _, e := range v.named("pipeline", "pipelines: {support: {connection: main, warehouse: {url: embedded}}}") {
		all[e.key] = pipeline(e.value(), defaults, stateDir)
	}
	return all
}

func pipeline(v value, defaults polls, stateDir string) Pipeline {
	f := v.fields("connection", "warehouse", "tables", "payload", "resync", "bin", "hash_key")
	name, _ := f["connection"].required("the name of an entry under connections").text()
	all := tables(f["tables"], defaults.tables)
	return Pipeline{
		Connection: name,
		Warehouse:  warehouse(f["warehouse"], stateDir),
		Tables:     all,
		Payload:    choice(f["payload"], PayloadTrust, PayloadReread),
		Resync:     resync(f["resync"]),
		Bin:        Bin{Poll: f["bin"].fields("poll")["poll"].duration(defaults.bin, minPoll)},
		HashKey:    hashKey(f["hash_key"], all),
	}
}

func tables(v value, polls map[string]time.Duration) map[string]Table {
	f := v.fields(TableNames...)
	all := make(map[string]Table, len(TableNames))
	enabled := false
	for _, name := range TableNames {
		all[name] = table(f[name], name, polls[name])
		enabled = enabled || all[name].Enabled
	}
	if !enabled {
		v.fail("every table is off", "leave at least one on")
	}
	return all
}

// table reads false, true or an object; a table that is not named is on with its defaults.
func table(v value, name string, poll time.Duration) Table {
	t := Table{Enabled: true, Hydrate: HydrateChanged, History: HistoryMetadata, Poll: poll}
	if on, ok := v.asBool(); ok {
		t.Enabled = on
		return t
	}
	f := v.fields("enabled", "hydrate", "history", "poll", "columns", "departments")
	t.Enabled = f["enabled"].boolean(true)
	t.Hydrate = choice(f["hydrate"], HydrateChanged, HydrateOff, HydrateAll)
	t.History = choice(f["history"], HistoryMetadata, HistoryOff, HistoryFull)
	t.Poll = f["poll"].duration(poll, minPoll)
	t.Columns = columns(f["columns"])
	t.Departments = departments(f["departments"], name)
	return t
}
