package eventstore

import (
	"time"

	"github.com/google/uuid"
)

// Position is a place in the whole log, in commit order. Zero is before the first event. It is a token (I19): positions are
// compared, and never added to or taken from, since a log may know nothing at the number beside one that it gave. In the
// SQL logs they are dense, 1, 2, 3 and so on, so that a missing number is corruption.
type Position uint64

// Distance is how far to is behind from, 0 when it is not. It is a measure for people: the number of events between them
// where positions are dense, and more than that elsewhere.
func Distance(from, to Position) uint64 {
	if to <= from {
		return 0
	}
	return uint64(to - from)
}

// Revision is the place of an event in its stream: 0, 1, 2 and so on.
type Revision uint64

// StreamID names a stream: see [CheckName].
type StreamID string

// EventID identifies an event for ever. See [DeriveEventID].
type EventID = uuid.UUID

// Record is one event as a log holds it. Data is owned by the receiver.
type Record struct {
	Position   Position
	Stream     StreamID
	Revision   Revision
	ID         EventID
	Type       string    // versioned name, such as "artifact.parsed.v2"
	RecordedAt time.Time // the engine's clock at the append, UTC, to the microsecond; one for each batch
	Meta       Meta
	Data       []byte // JSON, byte for byte as it was appended
}

// Meta is what a record says beside its data.
type Meta struct {
	Actor       string `json:"actor"`
	Reason      string `json:"reason,omitempty"`
	Scan        string `json:"scan,omitempty"` // UUIDv7 of the scan, or of the admin action, that the batch records
	Index       int    `json:"index"`          // in the batch, from 0
	Size        int    `json:"size"`           // of the batch, in events: Index == Size-1 ends it
	Attempt     int    `json:"attempt"`        // which try of the append landed, from 1; not part of the content hash
	Correlation string `json:"correlation,omitempty"`
	Causation   string `json:"causation,omitempty"`
	TraceParent string `json:"traceparent,omitempty"` // W3C trace context
	TraceState  string `json:"tracestate,omitempty"`
}

// EndsBatch reports whether r is the last event of its batch.
func (r Record) EndsBatch() bool { return r.Meta.Index == r.Meta.Size-1 }
