// Package run keeps tables up to date with the log: it follows the log, catches up, rebuilds, and replays a point in time.
//
// All of them are one walk: a [Runner] reads pages of whole batches, workers decode and apply them, and the rows are written
// with the checkpoint, under a lease.
package run
