// Package query reads the tables: what docs/tables.md describes, as typed results.
//
// It reads through the stable views alone, of whatever database and of whatever point in time they show, and changes
// nothing. The JSON tags of the results are the documented output of the command line (docs/cli.md): a name in them
// never changes its meaning. What is absent is left out, but a list is always there.
//
// Text in the results comes from repositories and is hostile until neutralised at a sink (I13).
package query
