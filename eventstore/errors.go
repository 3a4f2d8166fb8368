package eventstore

import "errors"

// Sentinels of every log. Match them with [errors.Is].
var (
	// ErrConflict: nothing was written, the stream is at another revision than expected. Reload and decide again.
	ErrConflict = errors.New("stream is at another revision")
	// ErrIDReused: nothing was written, an event of the batch has an id that the log holds with other content or at
	// another place. Do not retry: the caller derives ids wrongly, or somebody forges them.
	ErrIDReused = errors.New("event id was used for another event")
	// ErrInvalid: nothing was written, the batch or argument breaks the contract. Do not retry; mend the caller.
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
	// ErrTransient: the log could not be reached or was too busy. After an append the outcome is unknown: call again
	// with the same batch. Wrapped by adapters around what is worth a retry.
	ErrTransient = errors.New("log did not answer")
	// ErrSource: the repository or revision could not be read. The wrapped cause says what to mend.
	ErrSource = errors.New("source could not be read")
	// ErrOtherHistory: a log was to be copied to one that holds other events. Copy to an empty one.
	ErrOtherHistory = errors.New("the log that is copied to holds other events")
	// ErrStillWritten: a log went on while, or after, it was copied. See the text.
	ErrStillWritten = errors.New("the log that is copied has gone on")
	// ErrUnknownType: no decoder knows the type of a stored event. A newer binary wrote it: upgrade.
	ErrUnknownType = errors.New("unknown event type")
)
