package eventstore

import (
	"context"
	"time"
)

// IntegrityChecker is a log that can look at how it is kept, where no reading of it would show a fault: guards that are gone,
// indexes that do not agree with the events. Verify asks the logs that are one.
type IntegrityChecker interface {
	// CheckIntegrity reports every such fault. The error is that of a log that could not be checked at all. Appending may go
	// on meanwhile.
	CheckIntegrity(ctx context.Context, report func(Fault)) error
}

// Fault is one thing that is wrong with a log. The JSON tags are stable.
type Fault struct {
	Code     FaultCode `json:"code"`
	Position Position  `json:"position,omitempty"` // of the event, where the fault is one of an event
	Stream   StreamID  `json:"stream,omitempty"`
	Where    string    `json:"where"`  // names the place: "position 7", "content 3f0a..."
	Text     string    `json:"text"`   // one sentence: what is there, what was expected; hostile until neutralised
	Remedy   string    `json:"remedy"` // one sentence: what to do
}

// FaultCode names a kind of fault. The values are stable.
type FaultCode string

// The kinds of fault.
const (
	FaultUnreadable    FaultCode = "unreadable"     // the log itself says that it is corrupt there
	FaultPosition      FaultCode = "position"       // a missing, repeated or falling position
	FaultRevision      FaultCode = "revision"       // a missing or repeated revision of a stream
	FaultBatch         FaultCode = "batch"          // a batch that is not whole, or whose events differ in what they share
	FaultEventID       FaultCode = "event_id"       // an id that is not derived from its scan
	FaultTime          FaultCode = "time"           // a recorded_at before that of an earlier event
	FaultUndecodable   FaultCode = "undecodable"    // data that is not what its type says
	FaultUnknownType   FaultCode = "unknown_type"   // a type that this binary does not know
	FaultScan          FaultCode = "scan"           // a scan that contradicts the events before it
	FaultContentLost   FaultCode = "content_lost"   // an event names a content that is not stored
	FaultContentBroken FaultCode = "content_broken" // a content that does not have its hash
	FaultContentLoose  FaultCode = "content_loose"  // contents that no event names, where events and contents are appended as one
	FaultSnapshot      FaultCode = "snapshot"       // a snapshot that is not the fold of its events
	FaultGuard         FaultCode = "guard"          // what keeps the log append-only is gone or was changed
	FaultFile          FaultCode = "file"           // the file or database of the log does not fit together
)

// WarningClock is no fault: a clock that stepped back, or clocks that disagree. The log is whole; its times are to be read
// with care.
const WarningClock FaultCode = "clock"

// WarningForeign is no fault: a stream that begins as the log's do and is written by another application. It is passed over.
const WarningForeign FaultCode = "foreign_stream"

// WarningLoose is no fault: contents that no event names, in a log that stores contents before the events that name them.
const WarningLoose FaultCode = "content_loose"

// GuardChecker is a log that can look at its guards alone, in moments, where [IntegrityChecker] reads more.
type GuardChecker interface {
	// CheckGuards reports what is wrong with the triggers and rights that keep the log append-only. The error is that of a log that could
	// not be checked at all. Appending may go on meanwhile.
	CheckGuards(ctx context.Context, report func(Fault)) error
}

// Clock is a log whose database has a clock of its own.
type Clock interface {
	// Time returns what the clock shows now.
	Time(ctx context.Context) (time.Time, error)
}
