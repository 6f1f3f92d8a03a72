// Package clickhouse is the warehouse: it owns the tables, views and
// dictionaries of a pipeline's database, turns records into typed columns, and
// answers what the warehouse already holds. Any ClickHouse from 24.8 on, over
// the native protocol or HTTP(S), with the same code.
//
// It leaves to others what a row should become (source.Merge), in which order
// and how often things are written or retried (pipeline), and where the server
// comes from (sink/embedded).
//
// Names in a database, all by fixed rules:
//
//	tickets_all      every row, deleted ones too: ReplacingMergeTree(_version), read with FINAL
//	tickets          view: current rows, the one analysts use
//	tickets_listed   columns that only lists and search carry, one row a record
//	tickets_detail   columns that only a GET carries
//	tickets_full     view: tickets joined with the two
//	department_names, product_names   dictionaries behind the name columns of views
//	changes_all, changes              history of applied changes, and its view
//	sync_runs, sync_status, sync_state   drift reports, freshness, positions (each *_all plus a view where analysts read it)
//	run_<id>         keys seen by a comparison that is under way
//	rebuild_<table>_<id>   a table that is being made anew beside the old one
//
// How JSON values become columns (types.go has the switch):
//
//	id             UInt64; references Nullable(UInt64)
//	integer        Nullable(Int64)
//	string, text   Nullable(String), text compressed with ZSTD
//	enum           LowCardinality(Nullable(String))
//	boolean        Nullable(Bool)
//	time           Nullable(DateTime64(3, 'UTC')), 1900 to 2262-04-11
//	date           Nullable(Date32), 1900 to 2299
//	decimal        Nullable(Decimal(38, 9))
//	arrays         Array(UInt64), Array(String); null and [] are the same
//	open JSON      Nullable(String) holding the JSON text
//
// With Config.Layout document a main table has a column doc of type JSON instead
// of most of these; see document.go, and fits_document.go for what it can hold.
//
// Columns that the selection leaves out do not exist; of a hashed one there is
// <column>_hash. Rows of departments that are not selected have _left_out = 1,
// no content, and no place in any view.
//
// null and the empty string stay distinct. What does not fit its column, and
// every key the catalog does not know, is kept as sent in _extra, a JSON
// object as text ("" when there is nothing), and counted (Unplaced).
//
// No error of this package carries row values: ClickHouse's messages quote
// them, so only code, name and the operation are kept.
package clickhouse
