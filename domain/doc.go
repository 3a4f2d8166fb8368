// Package domain says what happened: the artifacts that a repository holds, the links between them, the policies
// they are judged by, and the closed set of events that records them.
//
// It is pure. [Decide] turns a scanned tree into events, [Evolve] folds events into a [State]; neither knows a clock,
// a context, a random number or a database. Everything that comes from outside arrives in a [Scan].
//
//	repository revision -> domain/rosie -> domain -> eventstore -> projections -> tables
//
// The JSON tags of the event types, and of everything inside them, are the stored form of an event (invariant I11):
// a name in them never changes its meaning; a new meaning gets a new event version and an upcaster.
package domain
