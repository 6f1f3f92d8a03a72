package clickhouse

import (
	"time"

	"deskhouse/source"
)

// What DateTime64 holds: ClickHouse documents 1900 to 2299, but the driver
// goes through nanoseconds in 64 bits, which end on 2262-04-11T23:47:16Z.
var (
	minTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxTime = time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC).UnixMilli()
)

// What Date32 holds, in days since 1970-01-01 (ClickHouse docs: Date32).
var (
	minDay = int32(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	maxDay = int32(time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC).Unix() / 86400)
)

// timeCells is Nullable(DateTime64(3, 'UTC')); the driver takes int64 as
// milliseconds.
type timeCells struct{ nullable[int64] }

func (c *timeCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	ms, ok := source.ParseTime(raw)
	if !ok || ms < minTime || ms > maxTime {
		return c.null(false)
	}
	return c.put(ms)
}

// dateCells is Nullable(Date32).
type dateCells struct{ nullable[time.Time] }

func (c *dateCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	day, ok := source.ParseDate(raw)
	if !ok || day < minDay || day > maxDay {
		return c.null(false)
	}
	return c.put(time.Unix(int64(day)*86400, 0).UTC())
}
