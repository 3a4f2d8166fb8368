// Package contracts holds what subscribers may rely on, as documents that tools read: a JSON Schema of the data of every event, of
// every version, one of the envelope, and an AsyncAPI document of the channels by which events leave.
//
// The documents of what is written today are generated from the Go types and their comments by the tests of this package, which fail
// when they are stale: UPDATE_GOLDEN=1 go test ./eventstore/feed/contracts. The schema of an earlier version was made when that
// version was current, and never changes.
//
// A schema says which fields an event has at least, and lets others be: fields may be added within a version, and a reader passes
// over what it does not know.
package contracts
