// Package esdbtest gives tests servers of the EventStoreDB protocol.
//
// [Start] serves a log through package esdbserver, with the engine's streams open, so that package kurrent keeps a log
// there on a real wire.
//
// [StartCluster] simulates EventStoreDB, as far as package kurrent calls it, on nodes that listen at addresses of their own. Its
// answers are those that a real server gave: testdata/facts.txt has them, and a test asks for each; what it leaves out, it says why. Positions are at distances
// that follow from the sizes of events, and one that the cluster did not give fails the test. Appends are checked against what is
// not readable yet; nodes are frozen, killed, restarted and elected, and a leader that comes back may not know that there is
// another. All of this happens on a clock of the test's, which requests move where [ClusterOptions] say so. What a real server
// lets pass after some seconds, such as a write without a majority, is answered at once. [Chaos] disturbs a cluster between the
// steps of a test, and [Cluster.Judge] compares what was acknowledged with what the cluster has.
//
// [StartFake] is a cluster of one node. An administrator, or a test, may cut, delete and forge what it likes there, as in any cluster.
package esdbtest
