// Package feed lets services follow a log: it is a Watermill message.Subscriber over any log, and keeps how far each consumer has
// come in a named, durable [Cursor].
//
// Cursors live in a store of their own, beside the log and the tables: rebuilding tables never moves a cursor (I9), and a cursor
// belongs to one log (I14). A cursor is created by an explicit call. A consumer whose cursor is missing stops, since to guess a
// position would lose events or send all of them again.
package feed
