// Package inspect says how projections are, and verifies that their tables are what the log says. It writes nothing.
package inspect
