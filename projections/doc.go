// Package projections folds the log into relational tables, idempotently.
//
// A [Projection] is pure (I6, I9): it turns a page of events into row operations and reads nothing but the page. The
// Runner reads pages from the log and hands the operations to a database, which writes the rows and the checkpoint in one
// transaction (I5), under a lease whose fencing token the checkpoint update checks (I8). A page never splits a batch, so
// that no reader of the tables sees a part of a scan (I1). Live projecting, rebuilding, as-of and verifying run the same
// code.
package projections
