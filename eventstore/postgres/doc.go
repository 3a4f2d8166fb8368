// Package postgres is the log on PostgreSQL, shared by any number of processes.
//
// # Order
//
// One row, head, holds the last position. An append locks it, writes its events with the next numbers, moves it and
// commits. The lock is held until then, so that positions are in commit order, without a gap, and given back by a
// rollback (I3): a reader that has seen N never finds a new event at or below N, whatever other transactions are open, in
// this database or another, and at any isolation level. A dump restored elsewhere keeps its order, since nothing of it
// depends on transaction ids.
//
// The lock makes appends follow each other, so one goroutine of each process, the appender, puts the batches that wait
// into one transaction. Each of them still succeeds, repeats, conflicts or is refused on its own.
//
// # An append, step by step
//
//  1. Append checks and encodes the batch in the caller's goroutine: hashes, metadata, compressed contents.
//  2. The appender takes what waits, at most one batch for each stream, and sends BEGIN, the lock of head, and the
//     question where the streams end, in one round trip.
//  3. A batch that expects the end of its stream is written. One that does not is compared with what the log holds: it
//     repeats, reuses an id, or conflicts.
//  4. Contents, streams, batches, events (arrays, never row by row) and the new head go out with COMMIT in one round trip.
//  5. Callers are answered. After that a NOTIFY, in a transaction of its own, hints to other processes.
//
// When the server refuses a group for a reason of its own, and not because it failed (an id that the log holds elsewhere), each
// batch is tried alone, with its ids looked up. When the answer to COMMIT is lost, the appender connects again and starts
// over at 2: the lock waits for the transaction whose end is unknown, and step 3 finds its events or writes them, once
// (I4).
//
// # Reading
//
// Reads go in pages by position up to a head that was fixed at the start, and hold no connection while the body of the
// loop runs. A record is checked before it is yielded: batches and events adjoin, and a SHA-256 over the whole record
// fits. A subscription looks at head when its process appends, when a NOTIFY comes, and once for each Options.PollEvery,
// so that a lost hint costs time only. It outlives lost connections.
//
// # Roles
//
// [Up] makes a schema whose tables belong to a role without login, and a role gxp_log_writer that may read, append and
// move the counter, which is all that [Open] and the log need. Triggers refuse UPDATE, DELETE and TRUNCATE to everybody
// (I10).
//
// The server must be PostgreSQL 14 or newer, and be reached directly or through a pooler in session mode.
package postgres
