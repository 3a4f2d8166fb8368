// Package esdbtest gives tests servers of the EventStoreDB protocol.
//
// [Start] serves a log through package esdbserver, with the engine's streams open, so that package kurrent keeps a log
// there on a real wire. [StartFake] is a stand-in for an EventStoreDB where that differs: positions have gaps, an id is
// looked for only where an append wants to stand, the server takes the engine's times, and an administrator, or a test,
// may cut, delete and forge what it likes.
package esdbtest
