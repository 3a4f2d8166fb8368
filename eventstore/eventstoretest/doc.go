// Package eventstoretest is the conformance suite of logs: [Run] for one handle on a store, [RunShared] for several
// handles and processes on one. Every log passes it; what a log does not promise, its Features say, and the suite
// checks that it says so. [Faulty] is a log that fails on cue, for tests of what uses a log.
package eventstoretest
