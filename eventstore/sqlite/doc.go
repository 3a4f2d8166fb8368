// Package sqlite is the embedded log: one SQLite file in WAL mode, which several processes may share.
//
// # What a crash loses
//
// An acknowledged batch is on disk: the commit waited for the disk (synchronous=FULL), so kill -9 and power loss lose
// nothing of it. A batch whose append had not answered is there whole or not at all, and appending it again finds out
// which. The snapshots are a cache and written without waiting: the last ones may be lost, or be missing altogether.
//
// # Who writes
//
// In a process one append at a time, guarded by a mutex; between processes SQLite's write lock, taken at the beginning
// of the transaction (BEGIN IMMEDIATE), so that positions are given in commit order (I3). Readers never wait for a
// writer and never hold a read transaction while their loop body runs: they read a few chunks, end the read transaction, and continue from
// the position they reached. The write-ahead log is moved into the file by a connection of its own in the background,
// off the path of appends.
//
// # What is checked
//
// Every chunk that is read is checked against its checksum and its place, every content against its hash. What does
// not fit is ErrCorrupt and names the positions or the hash.
package sqlite
