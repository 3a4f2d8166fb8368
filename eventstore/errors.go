package eventstore

import "errors"

// Sentinels of every log. Match them with [errors.Is].
var (
	// ErrConflict: nothing was written, the stream is at another revision than expected. Reload and decide again.
	ErrConflict = errors.New("stream is at another revision")
	// ErrIDReused: nothing was written, an event of the batch has an id that the log holds with other content or at
	// another place. Do not retry: the caller derives ids wrongly, or somebody forges them.
	ErrIDReused = errors.New("event id was used for another event")
	// ErrInvalid: nothing was written, the batch or argument breaks the contract. Do not retry; fix the caller.
	ErrInvalid = errors.New("invalid argument")
	// ErrTooLarge: nothing was written, the batch is above a limit of the log, which the text names with the setting
	// that raises it.
	ErrTooLarge = errors.New("batch is too large")
	// ErrNotFound: the log holds no such stream, event or content.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt: what is stored contradicts itself: a missing position, a content with another hash, a truncated
	// record. Do not go on; restore from a backup and run verify.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrClosed: the log was closed. Open it again.
	ErrClosed = errors.New("log is closed")
	// ErrTransient: the log could not be reached or was too busy. After an append the outcome is unknown unless the error
	// is ErrNotWritten too: call again with the same batch. Wrapped by adapters around what is worth a retry.
	ErrTransient = errors.New("log did not answer")
	// ErrDiskFull: the disk of the log has no room, or a quota is used up. Make room. Errors that wrap it wrap ErrTransient too.
	ErrDiskFull = errors.New("disk full")
	// ErrTooManyConnections: the server, or the role, has no connection to spare. Close some, or raise the limit. Errors that
	// wrap it wrap ErrTransient too.
	ErrTooManyConnections = errors.New("too many connections")
	// ErrNotWritten: an append failed before its batch was sent: nothing was written, and nothing of it will be. It
	// is joined to the error that says why, and whether trying again may help: see [NotWritten].
	ErrNotWritten = errors.New("nothing was written")
	// ErrOutcomeUnknown: an append may have been written, and the log did not answer whether. It is joined to the error
	// that says why. Do the same again: what the log has is found and not written twice.
	ErrOutcomeUnknown = errors.New("outcome of an append is unknown")
	// ErrSnapshotInvalid: a snapshot cannot be trusted: it has another version, is damaged, or is not of this log's history. The
	// state is then folded from the events.
	ErrSnapshotInvalid = errors.New("snapshot is invalid")
	// ErrUnknownType: no decoder knows the type of a stored event. A newer binary wrote it: upgrade.
	ErrUnknownType = errors.New("unknown event type")
)

// NotWritten marks err, nil included, as one after which nothing was written: [errors.Is] finds [ErrNotWritten] in it. The
// text stays.
func NotWritten(err error) error { return mark(err, ErrNotWritten) }

// Transient marks err as one after which it is worth trying again: [errors.Is] finds [ErrTransient] in it. The text stays, since it
// says why better than that of ErrTransient.
func Transient(err error) error { return mark(err, ErrTransient) }

// OutcomeUnknown marks err as one after which it is unknown whether an append was written: [errors.Is] finds
// [ErrOutcomeUnknown] in it. The text stays.
func OutcomeUnknown(err error) error { return mark(err, ErrOutcomeUnknown) }

// marked is an error that is a sentinel too, which its text does not name.
type marked struct {
	error

	sentinel error
}

func mark(err, sentinel error) error {
	if err == nil || errors.Is(err, sentinel) {
		return err
	}
	return marked{err, sentinel}
}

// Unwrap returns the error and its mark.
func (m marked) Unwrap() []error { return []error{m.error, m.sentinel} }
