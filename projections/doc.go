// Package projections is the contract of tables that are made from the log: [Projection], [Table], [Rows], and the
// [Database] that holds them.
//
// A Projection is pure (I6, I9): it turns a page of events into row operations and reads nothing but the page. Package run
// reads pages from the log and hands the operations to a Database, which writes the rows and the checkpoint in one
// transaction (I5), under a lease whose fencing token the checkpoint update checks (I8). A page never splits a batch, so
// that no reader of the tables sees a part of a scan (I1). Package builds has the rules of leases and builds, and package
// inspect says how projections are and verifies their tables.
package projections
