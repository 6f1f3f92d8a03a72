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
//	ckpt.<pipeline>.poll.<table>   watermark of the poll, ms on Zoho's clock
//	ckpt.<pipeline>.bin.<table>    deleted ids that are not in the recycle bin and were asked for
//	ckpt.<pipeline>.keys.<table>   what this portal's replies carry
//	range.<pipeline>.<table>       the snapshot: ranges, cursors, done
//	reread.<pipeline>.<n>          re-reads that one batch asked for
//
// A value moves only after the sink confirmed what it stands for, so a kill at
// any point repeats work and loses none.
package pipeline
