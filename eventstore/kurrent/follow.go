package kurrent

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

// message is what a subscription to $all tells.
type message struct {
	kind  messageKind
	event *esdb.RecordedEvent // of an event
	at    eventstore.Position // up to which all was told, but when caught up
}

type messageKind int

const (
	messageBegun messageKind = iota
	messageEvent
	messageCheckpoint
	messageCaughtUp
)

// window is how many events the server looks at between two checkpoints.
const window = 1000

// subscription yields what comes after a position and passes a filter, for ever.
func (l *Log) subscription(ctx context.Context, from esdb.AllPosition, filter *esdb.SubscriptionFilter) iter.Seq2[message, error] {
	return flight[message]{
		clients: l.clients, timeout: l.options.Timeout, live: true,
		do: func(ctx context.Context, client *esdb.Client, emit func(message) bool) error {
			s, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
				From: from, Filter: filter, MaxSearchWindow: window, CheckpointInterval: 1,
			})
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }() // it has no error to give
			for ok := emit(message{kind: messageBegun}); ok; {
				m, err := told(s.Recv())
				if err != nil {
					return err
				}
				ok = emit(m)
			}
			return nil
		},
	}.yield(ctx)
}

func told(e *esdb.SubscriptionEvent) (message, error) {
	switch {
	case e.SubscriptionDropped != nil:
		return message{}, fmt.Errorf("subscription was dropped: %w", e.SubscriptionDropped.Error)
	case e.EventAppeared != nil:
		event, err := original(e.EventAppeared)
		if err != nil {
			return message{}, err
		}
		return message{kind: messageEvent, event: event, at: eventstore.Position(event.Position.Commit)}, nil
	case e.CheckPointReached != nil:
		return message{kind: messageCheckpoint, at: eventstore.Position(e.CheckPointReached.Commit)}, nil
	case e.CaughtUp != nil:
		return message{kind: messageCaughtUp}, nil
	default: // fell behind
		return message{kind: messageBegun}, nil
	}
}

// follow is subscription from a position that need not be one of the server: readers look at what is just before an event
// by its position less one.
func (l *Log) follow(ctx context.Context, after eventstore.Position, filter *esdb.SubscriptionFilter) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		for m, err := range l.subscription(ctx, exactly(after), filter) {
			if errors.Is(err, errPosition) {
				l.followNear(ctx, after, filter)(yield)
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// followNear is follow from a position that the server does not know: from the next if it knows that, or else from the
// beginning, passing over what comes too early.
func (l *Log) followNear(ctx context.Context, after eventstore.Position, filter *esdb.SubscriptionFilter) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		next, err := l.eventAt(ctx, after+1)
		if err != nil {
			yield(message{}, err)
			return
		}
		from := esdb.AllPosition(esdb.Start{})
		if next != nil {
			from = exactly(after + 1)
			if !yield(message{kind: messageEvent, event: next, at: after + 1}, nil) {
				return
			}
		}
		for m, err := range l.subscription(ctx, from, filter) {
			if err == nil && m.kind == messageEvent && m.at <= after {
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// eventAt returns the event at a position, nil if there is none.
func (l *Log) eventAt(ctx context.Context, at eventstore.Position) (*esdb.RecordedEvent, error) {
	e, err := first(l.fetch(ctx, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Forwards, From: exactly(at)}, 1)
	}))
	if errors.Is(err, errPosition) || err == nil && e != nil && eventstore.Position(e.Position.Commit) != at {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	return e, err
}

// exactly is a position as the client wants it, 0 being before everything.
func exactly(at eventstore.Position) esdb.AllPosition {
	if at == 0 {
		return esdb.Start{}
	}
	return esdb.Position{Commit: uint64(at), Prepare: uint64(at)}
}

// upTo yields the events of messages up to a position that the server had before they were asked for.
func upTo(messages iter.Seq2[message, error], end eventstore.Position) events {
	return func(yield func(*esdb.RecordedEvent, error) bool) {
		for m, err := range messages {
			switch {
			case err != nil:
				yield(nil, err)
				return
			case m.kind == messageCaughtUp, m.at > end:
				return
			case m.kind == messageEvent && !yield(m.event, nil), m.at == end:
				return
			}
		}
	}
}
