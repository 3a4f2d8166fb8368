package projections

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Sentinels of every database. Match them with [errors.Is].
var (
	// ErrLeaseHeld: another process writes the build. Wait, or look how far it is.
	ErrLeaseHeld = errors.New("build is leased to another process")
	// ErrLeaseLost: the lease ran out and another process took the build over. Nothing was written. Begin again by
	// acquiring a lease.
	ErrLeaseLost = errors.New("lease was taken over")
	// ErrSuperseded: the build was retired, another one is active. Nothing was written. Look for the active one.
	ErrSuperseded = errors.New("build was superseded")
	// ErrCancelled: an administrator cancelled the build. Nothing was written. Drop it.
	ErrCancelled = errors.New("build was cancelled")
	// ErrPaused: an administrator holds the projection. Nothing was written. Wait until it is resumed. See [PausedError].
	ErrPaused = errors.New("projection is paused")
	// ErrNotPaused: the projection is not held.
	ErrNotPaused = errors.New("projection is not paused")
	// ErrMoved: the build's checkpoint is not the expected one. Nothing was written. Read it again.
	ErrMoved = errors.New("checkpoint has moved")
	// ErrBehind: the build is behind the active one. Nothing was changed. Catch up and try again.
	ErrBehind = errors.New("build is behind the active one")
	// ErrBuildActive: the build is what readers see and cannot be dropped.
	ErrBuildActive = errors.New("build is active")
	// ErrNoBuild: there is no such build.
	ErrNoBuild = errors.New("no such build")
	// ErrRefused: the rows break a rule of their table. Nothing was written. The projection is wrong, or the log is.
	ErrRefused = errors.New("rows were refused")
	// ErrTransient: the database was busy or did not answer. The outcome of a write is unknown until the checkpoint is
	// read. Try again.
	ErrTransient = errors.New("database did not answer")
	// ErrDamaged: the database is not one any more. What it held can be made anew from the log.
	ErrDamaged = errors.New("database is damaged")
	// ErrReadOnly: this process may not write the database. Nothing was written.
	ErrReadOnly = errors.New("database cannot be written, check the rights on it and its folder")
	// ErrLogMismatch: the tables were built from another log than this one. See [MismatchError].
	ErrLogMismatch = errors.New("tables do not belong to this log")
	// ErrNewerVersion: a newer binary has built the tables. See [VersionError].
	ErrNewerVersion = errors.New("tables are of a newer version")
	// ErrInvalid: the caller broke the contract. Mend the caller.
	ErrInvalid = errors.New("invalid argument")
)

// HeldError says who writes a build, and until when at least. It matches [ErrLeaseHeld].
type HeldError struct {
	Ref
	Holder string
	Until  time.Time
}

// Error names the holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("%s build %d: %v: %s holds it until %s",
		e.Projection, e.Number, ErrLeaseHeld, e.Holder, e.Until.Format(time.RFC3339))
}

// Unwrap returns ErrLeaseHeld.
func (e *HeldError) Unwrap() error { return ErrLeaseHeld }

// PausedError says who holds a projection and why. It matches [ErrPaused].
type PausedError struct {
	Projection string
	Hold       Hold
}

// Error names who paused and why.
func (e *PausedError) Error() string {
	return fmt.Sprintf("projection %s is paused since %s by %s: %s", e.Projection, e.Hold.At.UTC().Format(time.RFC3339), e.Hold.By, e.Hold.Reason)
}

// Unwrap returns ErrPaused.
func (e *PausedError) Unwrap() error { return ErrPaused }

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

// Behind returns each *[ProjectionError] that was joined into err, and what else was.
func Behind(err error) (behind []*ProjectionError, rest error) {
	switch e := err.(type) { //nolint:errorlint // the tree itself is walked
	case nil:
		return nil, nil
	case *ProjectionError:
		return []*ProjectionError{e}, nil
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			found, other := Behind(each)
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
	Found      eventstore.EventID  // at the checkpoint's position; zero when there is none
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
