// Package kurrent keeps the log on an EventStoreDB or KurrentDB server, through the official client of version 4.2.0. It
// also speaks to a server of package esdbserver that allows engine streams.
//
// Package esdbserver and this package may be in one binary. The other official Go client, KurrentDB-Client-Go, may not be:
// both register the same message names.
//
// # What is stored
//
// With Options.Prefix before each name:
//
//   - The stream of a batch has the batch's name, and the batch is one append, at an explicit revision, with the batch's
//     own event ids. The custom metadata of each event is [eventstore.Meta] as JSON. Beside a server that does not keep
//     the time itself, it has "recordedAt", the engine's clock.
//   - "content-" and a SHA-256 holds a content: one append of events of type "content.v1", whose data, in order, is the
//     content. Contents are written before the batch that names them. What a lost process leaves of them is whole and
//     does no harm.
//   - "gxpledger-log" has one event, whose id is the id of the log.
//
// Every other stream that begins with Options.Prefix, system streams aside, belongs to the log. One that others write to
// makes reads fail with [eventstore.ErrCorrupt]: on a server that others use too, give the log a prefix of its own.
//
// # Positions
//
// A position is the commit position of $all: it rises, with gaps. A revision is the number in the stream.
//
// # What differs from the SQL logs
//
// An EventStoreDB compares ids only where an append wants to stand. Ids that tell when they were made, as those of the
// engine do, are therefore looked for in the stream before each append, as far back as that time; one that stands in
// another stream is refused by esdbserver alone. Of handles that append one batch at the same moment each may be told that
// it wrote it, which is written once. RecordedAt never falls within a process nor within a stream; processes
// whose clocks differ may record times that fall between streams. Appends of one handle are written one at a time, but for
// those to esdbserver. Snapshots are kept in Options.CacheDir, or in memory. A content is at most one append large.
//
// # What the client leaves behind
//
// When the client loses its server it may forget the old connection without closing it: a handful of goroutines for each
// such loss. What was asked of it meanwhile ends at the latest when the server is there again; where the log is closed
// before that, the goroutines of those calls stay.
//
// # Tampering
//
// An event store lets an administrator cut and delete streams. Streams of the log whose metadata has $maxCount, $maxAge
// or $tb, streams that were deleted, and revisions that are missing are reported as [eventstore.ErrCorrupt], and never
// skipped. A stream's metadata is looked at when it is first touched; what is cut later shows as missing revisions.
package kurrent
