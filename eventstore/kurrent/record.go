package kurrent

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

// storedMeta is the custom metadata of an event. Stored form: names must not change.
type storedMeta struct {
	eventstore.Meta

	RecordedAt *time.Time `json:"recordedAt,omitempty"`
	// The names by which tools of the server know correlation and causation.
	CorrelationID string `json:"$correlationId,omitempty"`
	CausationID   string `json:"$causationId,omitempty"`
}

// encode makes the events of b as the server gets them. A nil time leaves it to the server to keep one.
func encode(b eventstore.Batch, recordedAt *time.Time) ([]esdb.EventData, error) {
	meta := storedMeta{
		Meta: b.Meta, RecordedAt: recordedAt, CorrelationID: b.Meta.Correlation, CausationID: b.Meta.Causation,
	}
	meta.Size = len(b.Events)
	events := make([]esdb.EventData, len(b.Events))
	for i, e := range b.Events {
		meta.Index = i
		text, err := json.Marshal(meta)
		if err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
		events[i] = esdb.EventData{
			EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data, Metadata: text,
		}
	}
	return events, nil
}

// checkSize refuses what the server would: it counts data, metadata, and two bytes for each character of the type.
func (o Options) checkSize(what string, events []esdb.EventData) error {
	var sum int64
	for i, e := range events {
		size := int64(len(e.Data) + len(e.Metadata) + 2*len(e.EventType)) // types are ASCII
		if size > maxEventBytes {
			return fmt.Errorf("%w: event %d of %s has %d bytes, and no server takes one above %d: split it",
				eventstore.ErrTooLarge, i, what, size, maxEventBytes)
		}
		sum += size
	}
	if sum > o.MaxAppendBytes {
		return fmt.Errorf("%w: %s has %d bytes, above the limit of %d: raise MaxAppendSize of the server (KURRENTDB_MAX_APPEND_SIZE "+
			"or EVENTSTORE_MAX_APPEND_SIZE), and then maxAppendSize of the connection string (Options.MaxAppendBytes) to the same",
			eventstore.ErrTooLarge, what, sum, o.MaxAppendBytes)
	}
	return nil
}

// record reads an event of the server. stream is its name in the log.
func record(e *esdb.RecordedEvent, stream eventstore.StreamID) (eventstore.Record, error) {
	where := fmt.Sprintf("event %d of stream %q", e.EventNumber, e.StreamID)
	if e.EventType == tombstone {
		return eventstore.Record{}, fmt.Errorf("%w: stream %q", errDeleted, e.StreamID)
	}
	var meta storedMeta
	if err := json.Unmarshal(e.UserMetadata, &meta); err != nil || strings.HasPrefix(e.EventType, systemPrefix) ||
		meta.Size < 1 || meta.Index < 0 || meta.Index >= meta.Size || meta.Attempt < 1 {
		return eventstore.Record{}, fmt.Errorf("%w: %s, of type %q, was not written by gxpledger: somebody tampered with the "+
			"log, or uses streams that begin like those of streamPrefix (Options.Prefix)", eventstore.ErrCorrupt, where, e.EventType)
	}
	at := e.CreatedDate
	if meta.RecordedAt != nil {
		at = *meta.RecordedAt
	}
	return eventstore.Record{
		Position: eventstore.Position(e.Position.Commit), Stream: stream, Revision: eventstore.Revision(e.EventNumber),
		ID: e.EventID, Type: e.EventType, RecordedAt: at.UTC().Truncate(time.Microsecond), Meta: meta.Meta, Data: e.Data,
	}, nil
}

// tombstone is the type of the event that ends a stream which was deleted for ever.
const tombstone = "$streamDeleted"
