package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Warehouse is one pipeline's database. It is safe for concurrent use, except
// that a table has one writer at a time (Write, WriteSide): heads are read
// before they are replaced.
type Warehouse struct {
	cfg     Config
	cred    credentials
	conn    chdriver.Conn // statements; every name is qualified
	into    chdriver.Conn // block inserts, which the driver only parses with plain table names
	hosts   *hosts        // dials for both
	version string
	// unverified: TLS without a look at the server's certificate
	unverified bool

	schemaMu sync.Mutex // one schema change at a time; guards names; taken before layoutMu
	names    nameTables
	custom   map[source.Table][]source.CustomField // what the portal named, of tables without columns for them; under schemaMu
	layoutMu sync.RWMutex                          // guards layouts
	layouts  map[source.Table]*layout

	stale    staleNames
	shadows  shadows  // rebuilds under way
	written  sync.Map // tables that this process wrote rows of
	blocks   blockPool
	unplaced unplaced
	queries  atomic.Uint64 // numbers query ids
	instance string        // makes them unique
	fence    atomic.Uint64 // the epoch in query ids

	unmerged   sync.Map  // names of tables that a merge left as they were, as was said
	noSettling sync.Once // a grant for merging is missing, and it was said
}

// Open connects and asks the server for its version, one round trip. Errors
// are ErrConfig, ErrUnreachable (with ErrTLS where that is why), ErrAuth or
// ErrTooOld, inside an *Error where a server was asked. Close the Warehouse
// when done.
func Open(ctx context.Context, cfg Config) (*Warehouse, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	w := &Warehouse{cfg: cfg, cred: credentials{opts.Auth.Username, opts.Auth.Password}, hosts: newHosts(cfg, opts),
		layouts: map[source.Table]*layout{}, names: nameTables{}, custom: map[source.Table][]source.CustomField{}, instance: newInstance()}
	if w.conn, err = w.pool(""); err != nil {
		return nil, err
	}
	// The sessions of this pool stand in the database itself. It is dialled by
	// the first insert, when the database exists.
	if w.into, err = w.pool(cfg.Database); err != nil {
		_ = w.conn.Close()
		return nil, err
	}
	if err := w.askVersion(ctx); err != nil {
		err = cfg.blameSettings(ctx, err)
		_ = w.Close()
		return nil, err
	}
	if w.unverified = opts.TLS != nil && opts.TLS.InsecureSkipVerify; w.unverified {
		cfg.Logger.Warn().Msg("the warehouse's certificate is not looked at (skip_verify): anybody in between can read and change everything")
	}
	return w, nil
}

// pool makes connections whose sessions stand in a database.
func (w *Warehouse) pool(database string) (chdriver.Conn, error) {
	opts, err := w.cfg.options()
	if err != nil {
		return nil, err
	}
	opts.Auth.Database = database
	w.hosts.attach(opts)
	conn, err := driver.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("%w: driver refuses the warehouse URL", ErrConfig)
	}
	return conn, nil
}

func (c Config) validate() error {
	switch {
	case c.Database == "":
		return fmt.Errorf("%w: no database named", ErrConfig)
	case strings.ContainsAny(c.Database, ".\x00"):
		return fmt.Errorf("%w: database name %q holds a dot", ErrConfig, c.Database)
	case c.Pipeline == "":
		return fmt.Errorf("%w: no pipeline named", ErrConfig)
	}
	return nil
}

func (w *Warehouse) askVersion(ctx context.Context) error {
	err := w.scan(ctx, "ask for the version", "SELECT version()", nil, func(row scanner) error { return row.Scan(&w.version) })
	if err != nil {
		return err
	}
	if err := checkVersion(w.version); err != nil {
		return err
	}
	return w.cfg.Layout.check(w.version)
}

func checkVersion(version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("%w: version %q cannot be read", ErrTooOld, version)
	}
	if major < 24 || major == 24 && minor < 8 {
		return fmt.Errorf("%w: the server is %s", ErrTooOld, version)
	}
	return nil
}

// Version is the server's version as it reports it.
func (w *Warehouse) Version() string { return w.version }

// Verifies reports whether the server has to prove who it is where TLS is
// used: false with skip_verify in the URL.
func (w *Warehouse) Verifies() bool { return !w.unverified }

// Database is the name of the database.
func (w *Warehouse) Database() string { return w.cfg.Database }

// Conn is the driver's connection, for statements this package has no method
// for. Names must be qualified with the database.
func (w *Warehouse) Conn() chdriver.Conn { return w.conn }

// Close ends all connections. Calls under way fail.
func (w *Warehouse) Close() error {
	return errors.Join(classify("close", w.conn.Close()), classify("close", w.into.Close()))
}
