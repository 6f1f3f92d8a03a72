// Package pipeline is the life of one sync: it keeps the tables of one
// warehouse database equal to one portal. It owns every goroutine of that sync,
// the order of work (snapshot, follow, poll, resync), when progress moves, and
// the one writer through which all main rows pass.
//
// It leaves HTTP to source/zohodesk and source/webhook, SQL to
// sink/clickhouse, durability to state, and what an observation means to
// source. It reaches them only through the interfaces in ports.go.
//
// Progress is recorded in state under these keys, all of this pipeline's own:
//
//	ckpt.<pipeline>.log            last event-log sequence applied
//	ckpt.<pipeline>.beat           how often this sync has told state and warehouse that it runs
//	ckpt.<pipeline>.rows.<table>   rows of the table's registers, tombstones included
//	run.<pipeline>.scheduled       which scheduled resyncs were run or skipped
//	run.<pipeline>.decision.<table>  what a guard stopped and a person has to decide
//	run.<pipeline>.recovery.<table>  why the table must be read again
//	ckpt.<pipeline>.poll.<table>   watermark of the poll, ms on Zoho's clock
//	ckpt.<pipeline>.bin.<table>    deleted ids that are not in the recycle bin and were asked for
//	ckpt.<pipeline>.keys.<table>   what this portal's replies carry
//	ckpt.<pipeline>.resources      which resource answers for the fields of a module
//	range.<pipeline>.<table>       the snapshot: ranges, cursors, done
//	reread.<pipeline>.<n>          re-reads that one batch asked for
//
// A value moves only after the sink confirmed what it stands for, so a kill at
// any point repeats work and loses none.
package pipeline
