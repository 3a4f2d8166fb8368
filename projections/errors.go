package projections

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// What the rules of builds refuse, see [builds.State].
var (
	ErrLeaseHeld   = builds.ErrLeaseHeld
	ErrLeaseLost   = builds.ErrLeaseLost
	ErrSuperseded  = builds.ErrSuperseded
	ErrCancelled   = builds.ErrCancelled
	ErrPaused      = builds.ErrPaused
	ErrNotPaused   = builds.ErrNotPaused
	ErrMoved       = builds.ErrMoved
	ErrBehind      = builds.ErrBehind
	ErrBuildActive = builds.ErrBuildActive
	ErrNoBuild     = builds.ErrNoBuild
	ErrInvalid     = builds.ErrInvalid
)

// Sentinels of every database. Match them with [errors.Is].
var (
	// ErrRefused: the rows break a rule of their table. Nothing was written. The projection is wrong, or the log is.
	ErrRefused = errors.New("rows were refused")
	// ErrTransient: the database was busy or did not answer. The outcome of a write is unknown until the checkpoint is
	// read. Try again.
	ErrTransient = errors.New("database did not answer")
	// ErrDiskFull and ErrTooManyConnections are those of the log. Errors that wrap them wrap ErrTransient too.
	ErrDiskFull           = eventstore.ErrDiskFull
	ErrTooManyConnections = eventstore.ErrTooManyConnections
	// ErrDamaged: the database is not one any more. What it held can be made again from the log.
	ErrDamaged = errors.New("database is damaged")
	// ErrReadOnly: this process may not write the database. Nothing was written.
	ErrReadOnly = errors.New("database cannot be written, check the rights on it and its folder")
	// ErrLogMismatch: the tables were built from another log than this one. See [MismatchError].
	ErrLogMismatch = errors.New("tables do not belong to this log")
	// ErrNewerVersion: a newer binary has built the tables. See [VersionError].
	ErrNewerVersion = errors.New("tables are of a newer version")
)

// Transient marks err as one after which it is worth trying again: [errors.Is] finds [ErrTransient] in it. The text stays, since it
// says why better than that of ErrTransient.
func Transient(err error) error { return transientError{err} }

type transientError struct{ error }

// Unwrap returns the error and its mark.
func (e transientError) Unwrap() []error { return []error{e.error, ErrTransient} }

// OpError is an operation that the database refused. It matches [ErrRefused].
type OpError struct {
	Index int // of the operation in its page
	Table string
	Err   error
}

// Error names the table.
func (e *OpError) Error() string { return fmt.Sprintf("%v: table %s: %v", ErrRefused, e.Table, e.Err) }

// Unwrap returns ErrRefused and the cause.
func (e *OpError) Unwrap() []error { return []error{ErrRefused, e.Err} }

// ProjectionError is why one projection is not where it should be. Its text is that of its cause.
type ProjectionError struct {
	Projection string
	Err        error
}

// Error returns the text of the cause.
func (e *ProjectionError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ProjectionError) Unwrap() error { return e.Err }

// SplitErrors returns each *[ProjectionError] that was joined into err, and what else was.
func SplitErrors(err error) (behind []*ProjectionError, rest error) {
	switch e := err.(type) { //nolint:errorlint // the tree itself is walked
	case nil:
		return nil, nil
	case *ProjectionError:
		return []*ProjectionError{e}, nil
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			found, other := SplitErrors(each)
			behind, rest = append(behind, found...), errors.Join(rest, other)
		}
		return behind, rest
	default:
		return nil, err
	}
}

// EventError is an event at which a projection stopped.
type EventError struct {
	Projection string
	Position   eventstore.Position
	Before     eventstore.Position // of the end of the batch before its own, which the tables can show; 0 for none
	ID         eventstore.EventID
	Type       string
	Err        error
}

// Error names the event.
func (e *EventError) Error() string {
	return fmt.Sprintf("projection %s stopped at position %d, event %s (%s): %v", e.Projection, e.Position, e.ID, e.Type, e.Err)
}

// Unwrap returns the cause.
func (e *EventError) Unwrap() error { return e.Err }

// PanicError is a projection that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns what was panicked with, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// MismatchError says that the log is not the one that a build was made from: restored from an older copy, swapped or
// truncated (I14). Nothing was changed. It matches [ErrLogMismatch].
type MismatchError struct {
	Ref
	Checkpoint Checkpoint
	Log        uuid.UUID           // of the log at hand
	Head       eventstore.Position // of the log at hand
	Found      eventstore.EventID  // where the checkpoint's event was; zero when there is none
	FoundAt    eventstore.Position // of Found
}

// Error says what differs and what to do.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("projection %s build %d: %v: %s; open the log that the tables were built from, or, "+
		"if this log is the right one, rebuild the projection and adopt the log", e.Projection, e.Number, ErrLogMismatch, e.what())
}

func (e *MismatchError) what() string {
	switch at := e.Checkpoint.Position; {
	case e.Checkpoint.Log != e.Log:
		return fmt.Sprintf("they were built from log %s up to position %d, this is log %s", e.Checkpoint.Log, at, e.Log)
	case at > e.Head:
		return fmt.Sprintf("they reach position %d, the log ends at %d: it was truncated or restored from an older copy", at, e.Head)
	case e.Found == uuid.Nil:
		return fmt.Sprintf("the log has no event at position %d, the tables saw event %s there", at, e.Checkpoint.Event)
	case e.Found == e.Checkpoint.Event:
		return fmt.Sprintf("event %s is at position %d of the log, the tables saw it at %d", e.Found, e.FoundAt, at)
	case e.FoundAt != at:
		return fmt.Sprintf("revision %d of stream %s is event %s, the tables saw event %s there", e.Checkpoint.Revision, e.Checkpoint.Stream, e.Found, e.Checkpoint.Event)
	default:
		return fmt.Sprintf("event %s is at position %d of the log, the tables saw event %s there", e.Found, at, e.Checkpoint.Event)
	}
}

// Unwrap returns ErrLogMismatch.
func (e *MismatchError) Unwrap() error { return ErrLogMismatch }

// VersionError says that a newer binary has built the tables. Nothing was changed. It matches [ErrNewerVersion].
type VersionError struct {
	Ref
	Found, Known int
}

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("projection %s build %d: %v: it is version %d, this binary knows %d; use the newer binary, "+
		"or rebuild the projection with this one", e.Projection, e.Number, ErrNewerVersion, e.Found, e.Known)
}

// Unwrap returns ErrNewerVersion.
func (e *VersionError) Unwrap() error { return ErrNewerVersion }
