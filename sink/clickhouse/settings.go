package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// blameSettings looks for the settings, of those that every statement is sent
// with, that made the server refuse even a first one. It tries each by itself.
// Where none is to blame the error stays what it is.
func (c Config) blameSettings(ctx context.Context, err error) error {
	var refused *Error
	opts, optErr := c.options()
	if !errors.As(err, &refused) || refused.Code == 0 || errors.Is(err, ErrAuth) || optErr != nil || len(opts.Settings) == 0 {
		return err
	}
	all := opts.Settings
	opts.Settings = nil
	newHosts(c, opts).attach(opts)
	conn, openErr := driver.Open(opts)
	if openErr != nil {
		return err
	}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var one *Error
		tried := conn.Exec(driver.Context(ctx, driver.WithSettings(driver.Settings{name: all[name]})), "SELECT 1")
		if errors.As(classify("try a setting", tried), &one) && one.Code != 0 {
			wrong = append(wrong, fmt.Sprintf("%s: ClickHouse code %d (%s)", name, one.Code, one.Name))
		}
	}
	if closeErr := conn.Close(); closeErr != nil || len(wrong) == 0 {
		return err
	}
	return &Error{Op: refused.Op, Code: refused.Code, Name: refused.Name,
		Err: fmt.Errorf("%w: the server does not take these settings (%s)", ErrConfig, strings.Join(wrong, ", "))}
}
