// Package eventstore is the log: the contract that every log keeps, and the stored form of events.
//
// A log is append-only (I10). A batch is atomic (I1): no reader ever sees a part of it. Positions are in commit order,
// so a reader that has seen N never later finds a new event at or below N (I3). An append names the revision that it
// expects and carries ids derived from the scan, so that repeating it writes nothing twice (I4).
//
// The adapters are in subpackages; package eventstoretest holds the suite that each of them passes. Package recorder
// decides and appends, package transfer copies a log, and package verify checks one.
package eventstore
