// Package state keeps what deskhouse must not forget: a durable log of webhook events and a log of dead letters for
// each pipeline, and one set of small keys with compare-and-set (checkpoints, snapshot ranges, the re-read queue,
// tokens, leases, runs). All of it is NATS JetStream: embedded in this process ("embedded") or an existing server or
// cluster ("nats://..."), with the same code behind both.
//
// The package owns the folder, the server in it, the layout and its format number, the encryption of secrets, the
// lease, and the recovery of the embedded server after a full disk. It does not know what the bytes of a group, a
// checkpoint or a token mean; that is for the packages that write them.
//
// Durability. Embedded, every append and every key write is on disk (fsync) before the call returns. On a foreign
// NATS the promise is that server's: by default JetStream acknowledges before it syncs, so that durability comes from
// replication.
//
// Outcomes. A write that returns nil happened. A write that returns an error may still have happened: the answer can
// be lost after the message was stored. Whoever appends again makes a second copy, which readers must tolerate; a
// key write with a revision can be repeated safely, for its second try reports ErrConflict.
//
// Revisions of keys and sequences of logs grow strictly, start at the creation time of the stream in milliseconds
// since 1970 UTC rather than at 1, and so keep growing when the state is lost and made anew: a lease's epoch or an
// event position from before the loss is always the smaller one. State that is restored from a backup counts the same
// numbers a second time; its users have to tell (package pipeline for positions, the leader in cmd/deskhouse for epochs).
package state
