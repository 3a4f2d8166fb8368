// Package trace says how requirements lead to evidence: which artifacts are covered, which are not and why, and what
// differs between two points in time.
//
// Everything here is a pure function over plain values. [New] takes artifacts and their links and finds the state of each
// artifact; the [Graph] gives the traceability matrix and the gaps. [Diff] takes versions of artifacts and compares two
// points in time, and [Compare] two versions. Loading the values is the caller's part: package projections/query reads
// them from the tables.
//
// The JSON tags are the documented output of the command line (docs/cli.md): a name in them never changes its meaning.
// Text in the values comes from repositories and is hostile until it is neutralised at a sink (I13).
package trace
