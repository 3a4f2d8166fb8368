package gxpledger

import (
	"context"
	"fmt"
	"iter"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// unreachableLog answers every call with why the log could not be opened, so that a Recorder does with a scan what it
// does whenever the log cannot be reached.
type unreachableLog struct{ cause error }

var _ recorder.Log = unreachableLog{}

func (u unreachableLog) err() error { return fmt.Errorf("%w: %w", eventstore.ErrTransient, u.cause) }

// Append fails.
func (u unreachableLog) Append(context.Context, eventstore.Batch) (eventstore.Appended, error) {
	return eventstore.Appended{}, u.err()
}

// ReadStream fails.
func (u unreachableLog) ReadStream(context.Context, eventstore.StreamID, eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return u.fail
}

// ReadStreamBackwards fails.
func (u unreachableLog) ReadStreamBackwards(context.Context, eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return u.fail
}

func (u unreachableLog) fail(yield func(eventstore.Record, error) bool) {
	yield(eventstore.Record{}, u.err())
}

// LoadSnapshot fails.
func (u unreachableLog) LoadSnapshot(context.Context, eventstore.StreamID) (eventstore.Snapshot, error) {
	return eventstore.Snapshot{}, u.err()
}

// SaveSnapshot fails.
func (u unreachableLog) SaveSnapshot(context.Context, eventstore.Snapshot) error { return u.err() }
