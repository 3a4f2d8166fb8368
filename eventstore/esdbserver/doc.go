// Package esdbserver serves any log over the EventStoreDB client protocol (gRPC), so that services in any language read
// and follow it with the official clients, and append to streams that the operator opened for them.
//
// Do not import this package and package eventstore/kurrent for one program's sake unless it needs both: an official
// client has its own messages, whose names the registry of a binary takes once. This package has names of its own and
// does not conflict with either official Go client; the two of those conflict with each other.
//
// # What is served
//
// Streams.Read: a stream or $all, both ways, with a count, or as a catch-up subscription, with filters by prefix or
// regular expression (of RE2: no lookaround, no backreferences) on stream name or event type, with checkpoints and
// CaughtUp. Streams.Append and Streams.BatchAppend. ServerFeatures and Gossip of one node, without credentials. Delete and
// Tombstone are refused with PERMISSION_DENIED: the log is append-only. Persistent subscriptions, projections, users and
// operations are UNIMPLEMENTED. There are no links, so that resolving them changes nothing, no system events in $all, and
// no metadata of streams: reading "$$name" finds no stream, appending to it is refused.
//
// # Positions, revisions, times
//
// Commit and prepare position are both the position in the log: 1, 2, 3 and so on in logs with dense positions. Position
// 0 is the start. A read of $all from a position includes it forwards and excludes it backwards, and a subscription
// excludes its start. A position beyond the head is refused as invalid: the checkpoint is of another log. (A read, but
// not a subscription, may name the one after the head.) A number at which no event is means the last event before it; where
// positions are not dense and the number was not given to a client lately, the server reads backwards from the head to find that
// event. "created" of an event is the log's RecordedAt, in ticks of 100 ns.
//
// # What an event of the log looks like
//
// Type, id, stream and revision are the log's. The data is the record's, as application/json. The custom metadata is the
// record's [eventstore.Meta] as JSON, with "index" and "size" of its batch, and with "$correlationId" and "$causationId"
// repeating "correlation" and "causation" where these are set.
//
// # Appending as a client
//
// A stream must begin with one of Options.Writable. Never open are "repository-...", "content-..." and "engine", which
// are the engine's, and names that begin with "$"; and no event may have a type that the engine records. Names of streams
// and types are UTF-8 text of at most 1 KiB without control characters ([eventstore.CheckName]). An id is a UUID, not zero,
// never used before in the whole log.
//
// Data and custom metadata may be any bytes, and clients read what they wrote, with one exception: an event without
// custom metadata is read with that of the log. In the log, JSON data without metadata is held as it is. All else is held
// wrapped, as JSON that begins with {"esdb-client-event":1, and holds the data ("data" if it is JSON, else base64 in
// "bytes"), the metadata ("metadata" or "metadataBytes") and the content type ("json"). Of the record's metadata, actor is
// "esdb:" and the user, or "esdb" where nobody had to say who they are.
//
// NoStream and an exact revision are the log's own expectations. Any and StreamExists are resolved by reading where the
// stream ends, again if others are faster, up to 16 times. Repeating an append is known by the ids: an exact one if it
// stands right after the revision that it names, a loose one if its first id is among the last 10,000 events of the
// stream. It is stronger than in EventStoreDB, and stricter: the batch must be the same as a whole, its types, data and
// metadata included. Otherwise an id that the log holds already is refused with ALREADY_EXISTS (trailer exception:
// event-id-reused), also where EventStoreDB would write it a second time or take it for a repetition.
//
// # Appending as an engine (Options.AllowEngineStreams)
//
// This is the form that an adapter speaks which keeps a log on an EventStoreDB. With the option every stream is open, save
// those that begin with "$". If the custom metadata of every event of an append is that of the log, in the form above,
// with "index" counting from 0, "size" the number of events of the append, and all else the same in each, then the batch
// gets this metadata and the data as it is, which must be application/json. Unknown members are refused. In the streams
// "repository-..." and "engine" nothing else is taken; elsewhere, other metadata makes it an append of a client.
//
// A conflict is the response wrong_expected_version. An id that was used otherwise is ALREADY_EXISTS. What breaks the
// contract is INVALID_ARGUMENT. ABORTED, DEADLINE_EXCEEDED, UNAVAILABLE and UNKNOWN leave the outcome open.
//
// # Contents
//
// The content with a SHA-256 is the stream "content-" and 64 lower-case hexadecimal digits: one append, expecting no
// stream, of one or more events of type "content.v1" whose data, in order, is the content, raw, as
// application/octet-stream, and whose metadata is that of the log, in the form above, or none. A content that is there is whole, since an append is atomic. It is appended once; whoever
// comes second with other event ids gets wrong_expected_version, and need do nothing. The server checks the hash, keeps
// the bytes in the log's [eventstore.ContentStore], and records an event for each that was appended.
//
// Reading such a stream gives these events with their bytes. Contents that an engine stored on the same log without a
// stream are read in the same way, in parts of 4 MiB, without positions and with a time of zero; they are not in $all.
package esdbserver
