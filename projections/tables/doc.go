// Package tables defines the tables that people read, one file for each projection: the tables that it alone writes.
//
//   - [Artifacts]: what is true now: the artifacts of every repository, their links, and its scans.
//   - [Audit]: who did what, when and why: one row for each event, for ever.
//   - [History]: every version of every artifact, with the scan that made it and the scan that ended it.
//
// The projections are pure (I6): what they write depends on the events alone, so that a rebuild gives the same rows to the
// byte. They keep nothing between events and read no table, so that pages of any size give the same rows.
//
// Names of tables and columns are a stable contract; [Catalogue] describes them, and docs/tables.md is its output.
//
// Three rules hold in every table. What is absent is NULL, never an empty text. A character NUL, which PostgreSQL cannot
// hold, is shown as U+FFFD; the content store has the original bytes. Text that comes from a repository is hostile until
// the reader neutralises it (I13), save audit_log.summary, which is neutral already.
package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// version is the version of a projection whose tables hold kinds and edges as closed sets: its own changes, and how many kinds
// and edges there are. Neither is ever taken away, so a new one makes a new version.
func version(own int) int { return own + len(domain.Kinds()) + len(domain.Edges()) }

// All returns every projection of this package, in the order in which they are documented. Each call returns new values.
func All() []projections.Projection {
	return []projections.Projection{Artifacts(), Audit(), History()}
}
