// Package kurrent keeps the log on an EventStoreDB or KurrentDB server, by the protocol's messages of the official client
// of version 4.2.0 and connections of its own. It also speaks to a server of package esdbserver that allows engine streams.
//
// Package esdbserver and this package may be in one binary. The other official Go client, KurrentDB-Client-Go, may not be:
// both register the same message names.
//
// # What is stored
//
// With Options.Prefix before each name, DefaultPrefix by default:
//
//   - The stream of a batch has the batch's name, and the batch is one append, at an explicit revision, with the batch's
//     own event ids. The custom metadata of each event is [eventstore.Meta] as JSON. Beside a server that does not keep
//     the time itself, it has "recordedAt", the engine's clock.
//   - "content-" and a SHA-256 holds a content: one append of events of type "content.v1", whose data, in order, is the
//     content. Contents are written before the batch that names them. What a lost process leaves of them is whole and
//     does no harm.
//   - "gxpledger-log" has one event, whose id is the id of the log. A second one, of type "log.withdrawn.v1", says that the
//     log was given up when it was made.
//
// # Beside other applications
//
// Every other stream that begins with the prefix, system streams aside, belongs to the log or to another application, whose
// first event lacks the log's metadata. The latter is passed over, and reported by CheckIntegrity as [eventstore.WarningForeign].
// What others write to the engine's streams and to those named above is tampering: reads fail with
// [eventstore.ErrCorrupt].
//
// No log is inside another: Open makes none whose prefix begins with that of another log, or with which another's begins.
//
// What others write is passed over on the server: $all is never read for more than one event without a filter. How far that
// was done is kept in Options.CacheDir, and compared with the server before it is used.
//
// # Positions
//
// A position is the commit position of $all: it rises, with gaps. A revision is the number in the stream.
//
// # What differs from the SQL logs
//
// An EventStoreDB compares ids only where an append goes. Ids that tell when they were made, as those of the
// engine do, are therefore looked for in the stream before each append, as far back as that time; one that is in
// another stream is refused by esdbserver alone. Of handles that append one batch at the same moment each may be told that
// it wrote it, which is written once. RecordedAt never falls within a process nor within a stream; processes
// whose clocks differ may record times that fall between streams. Appends of one handle are written one at a time, but for
// those to esdbserver. Snapshots are kept in Options.CacheDir, or in memory. A content is at most one append large.
//
// # Elections
//
// Every call goes to the leader of a cluster, whom the nodes are asked for. What fails while there is none, or while the
// server restarts or is busy, is tried again within Options.Wait, which is one budget for all calls of a log. Settings
// that no retry can fix, of TLS or of rights, are reported at once.
//
// A server checks appends against all that it has and shows what most of the nodes have. After a conflict Append waits
// until the stream shows what it met. Reads end with a whole batch: the newest event that a server shows may be inside one
// that it is still indexing, and its end is waited for.
//
// # Tampering
//
// An event store lets an administrator cut and delete streams. Streams of the log whose metadata has $maxCount, $maxAge
// or $tb, streams that were deleted, and revisions that are missing are reported as [eventstore.ErrCorrupt], and never
// skipped. A stream's metadata is looked at when it is first touched; what is cut later shows as missing revisions.
package kurrent
