// Package sqlite keeps the tables of projections in one SQLite file, which several processes may share.
//
// The file is in WAL mode: readers never wait for a writer and see the last committed page whole. synchronous is NORMAL.
// A power cut may then take back the last pages, but each with its checkpoint (I5), and the projections write them again
// from the log; the log is the only thing here that must never lose an acknowledged write.
//
// Rows of a projection are in tables named after the build (requirements__b3); a view (requirements) shows the active
// one. A build that is being filled has no indexes, triggers and checks of foreign keys yet, which makes it several times
// faster. That is safe: nobody reads it before [DB.FinishBuild] has added and checked them, and after a crash it is dropped.
package sqlite
