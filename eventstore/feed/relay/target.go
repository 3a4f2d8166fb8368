package relay

import (
	"context"
	"fmt"
	"time"
)

// Message is an event as it is sent: a CloudEvent in structured mode. The same event gives the same message for ever.
type Message struct {
	ID   string // of the event, a UUID: what receivers recognise duplicates by
	Key  string // of what keeps its order: the id of the repository, or "engine"
	Type string // of the CloudEvent
	// ContentType is the media type of Body.
	ContentType string
	Body        []byte // JSON; whoever is given it does not change it
}

// Target is where a relay sends. It is used from one goroutine at a time.
type Target interface {
	// Send sends a message and waits until the target has accepted it, or until ctx ends. Nil: it was accepted. A *[RefusedError]: it
	// is refused however often it is sent. A *[GoneError]: the target wants nothing more, ever. Any other error is transient, and the
	// outcome is unknown: the same message is sent again, after the delay of a *[LaterError] where it is one.
	Send(ctx context.Context, message Message) error
	// Close frees what the target holds.
	Close() error
}

// RefusedError says that a target refuses a message for good.
type RefusedError struct{ Reason string }

// Error says why.
func (e *RefusedError) Error() string { return "the target refused the event: " + e.Reason }

// GoneError says that a target wants nothing more.
type GoneError struct{ Reason string }

// Error says how the target told.
func (e *GoneError) Error() string { return "the target is gone: " + e.Reason }

// LaterError is a transient error of a target that reported when to try again.
type LaterError struct {
	After time.Duration // from now
	Err   error
}

// Error says why, and after which time it is tried again.
func (e *LaterError) Error() string {
	return fmt.Sprintf("%v; the target asks to wait %s", e.Err, e.After.Round(time.Second))
}

// Unwrap returns why.
func (e *LaterError) Unwrap() error { return e.Err }
