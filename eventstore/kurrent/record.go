package kurrent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// storedMeta is the custom metadata of an event. Stored form: names must not change.
type storedMeta struct {
	eventstore.Meta

	// Version is of a form that came after this one, which has none.
	Version    json.RawMessage `json:"version,omitempty"`
	RecordedAt *time.Time      `json:"recordedAt,omitempty"`
	// The names by which tools of the server know correlation and causation.
	CorrelationID string `json:"$correlationId,omitempty"`
	CausationID   string `json:"$causationId,omitempty"`
}

// encode makes the events of b as the server gets them. A nil time leaves it to the server to keep one.
func encode(b eventstore.Batch, recordedAt *time.Time) ([]newEvent, error) {
	meta := storedMeta{
		Meta: b.Meta, RecordedAt: recordedAt, CorrelationID: b.Meta.Correlation, CausationID: b.Meta.Causation,
	}
	meta.Size = len(b.Events)
	events := make([]newEvent, len(b.Events))
	for i, e := range b.Events {
		meta.Index = i
		text, err := json.Marshal(meta)
		if err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
		events[i] = newEvent{
			ID: e.ID, Type: e.Type, JSON: true, Data: e.Data, Meta: text,
		}
	}
	return events, nil
}

// checkSize refuses what the server would.
func (o Options) checkSize(what string, events []newEvent) error {
	var sum int64
	for i, e := range events {
		size := e.size()
		if size > maxEventBytes {
			return fmt.Errorf("%w: event %d of %s has %d bytes, and no server takes one above %d: split it",
				eventstore.ErrTooLarge, i, what, size, maxEventBytes)
		}
		sum += size
	}
	if sum > o.MaxAppendBytes {
		return &limitError{
			limit: limitOwn, most: strconv.FormatInt(o.MaxAppendBytes, 10), proposed: appendSize{what: what, events: len(events), bytes: sum},
		}
	}
	return nil
}

// theBatch is what checkSize calls what is no content.
const theBatch = "the batch"

// record reads an event of the server. stream is its name in the log.
func record(e *event, stream eventstore.StreamID) (eventstore.Record, error) {
	where := fmt.Sprintf("event %d of stream %q", e.Revision, e.Stream)
	if e.Type == tombstone {
		return eventstore.Record{}, fmt.Errorf("%w: stream %q", errDeleted, e.Stream)
	}
	var meta storedMeta
	err := json.Unmarshal(e.Meta, &meta)
	if err == nil && meta.Version != nil && marked(e) {
		return eventstore.Record{}, fmt.Errorf("%w: %s has metadata of version %s: a newer gxpledger wrote it: upgrade",
			eventstore.ErrUnknownType, where, shorten(string(meta.Version)))
	}
	if err != nil || meta.Size < 1 || meta.Index < 0 || meta.Index >= meta.Size || meta.Attempt < 1 {
		return eventstore.Record{}, fmt.Errorf("%w: %s, of type %q, was not written by gxpledger: somebody tampered with the "+
			"log, or uses streams that begin like those of streamPrefix (Options.Prefix)", eventstore.ErrCorrupt, where, e.Type)
	}
	at := e.Created
	if meta.RecordedAt != nil {
		at = *meta.RecordedAt
	}
	return eventstore.Record{
		Position: e.Position, Stream: stream, Revision: eventstore.Revision(e.Revision),
		ID: e.ID, Type: e.Type, RecordedAt: at.UTC().Truncate(time.Microsecond), Meta: meta.Meta, Data: e.Data,
	}, nil
}

// tombstone is the type of the event that ends a stream which was deleted for ever.
const tombstone = "$streamDeleted"
