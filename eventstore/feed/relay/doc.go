// Package relay sends the events of a log to a broker or a webhook.
//
// A relay is a loop: it reads the log from its cursor, encodes each event as a CloudEvent, sends it to a [Target] under a deadline,
// and saves its cursor. [State] holds the rules, without I/O: what to send next, which repositories are parked, what an
// administrator asked for. [Run] is the loop around it.
//
// What a target may rely on:
//   - Every event that passes the filter is sent at least once. One that is sent again has the same id and the same bytes.
//   - The events of one stream, which is a repository or the engine, are sent in order. The first time that each is sent, those
//     before it were accepted, or an administrator skipped them.
//   - An event that the target refuses for good is parked, together with what follows it in the same stream. Other streams continue.
//   - Rebuilding projections sends nothing: a relay has a cursor of its own (I9).
//
// Admin actions go through the log: the stream "engine" holds them, and the relay reads them there, applies them and
// saves that it did in one write with its position.
package relay
