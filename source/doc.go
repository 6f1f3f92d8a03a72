// Package source is the change model every other package shares: which tables
// and fields exist, how a JSON record of Zoho Desk is held without being
// copied into maps, what an observation of a record proves and since when, and
// how observations are merged.
//
// It owns the rules that make the warehouse right (ARCHITECTURE.md, "The change
// model") as pure functions over values: no I/O, no clock, no goroutine. It
// leaves HTTP to source/zohodesk and source/webhook, SQL to sink/clickhouse and
// the order of work to pipeline.
//
// All times are UTC. Instants inside the model are milliseconds since the Unix
// epoch on Zoho's clock; the local clock never enters.
package source
