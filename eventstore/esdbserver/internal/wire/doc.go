// Package wire holds the messages of the EventStoreDB client protocol, generated from wire.proto by protoc 3.21 and
// protoc-gen-go v1.36.12.
//
// The proto package, the names of the messages and the path of the file are this project's own: the registry of a binary
// refuses two of one name, and an official client in the same binary has the original ones.
package wire

//go:generate protoc --proto_path=../../../.. --go_out=../../../.. --go_opt=paths=source_relative eventstore/esdbserver/internal/wire/wire.proto
