// Package query reads the tables that projections keep, as typed results: artifacts, links, findings, scans, histories, the
// audit trail, the traceability matrix, gaps, and what differs between two points in time. docs/tables.md describes the
// tables.
//
// A [Reader] reads one database through its stable views and changes nothing. Several calls see one state when they read
// within one transaction. A state of the past is read in the same way, from tables that were built up to its position: a
// [Finder] resolves what a person calls a point in time to a position of the log. A Reader loads; what follows from the
// rows is decided in package domain/trace.
//
// Filters are structs of which the zero value chooses all, and everything that is set must hold. When something that a
// caller names is not there, the error is an [UnknownError], which names what is near; when it is there more than once, an
// [AmbiguousError]. Any other error comes from the database, and the call may be repeated.
//
// The JSON tags of the results are the documented output of the command line (docs/cli.md): a name in them never changes
// its meaning. Optional values that are absent are left out; a list is always there. Text in the results comes from
// repositories and is hostile until it is neutralised at a sink (I13).
package query
