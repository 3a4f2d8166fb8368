// Package databasetest is the suite that every database of projections passes: that it keeps the contract of package
// projections, alone, under a Runner, and between processes. It also gives tests of the Runner a small projection and a log
// that every process can make.
package databasetest
