package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

var (
	// ErrNoCursor says that there is no cursor with a name: it was never created, or its store was lost.
	ErrNoCursor = errors.New("cursor does not exist")
	// ErrCursorExists says that a cursor with a name was created before.
	ErrCursorExists = errors.New("cursor exists already")
	// ErrLeaseLost says that another consumer took over a cursor, so that nothing was saved.
	ErrLeaseLost = errors.New("lease of the cursor was lost")
	// ErrOtherLog says that a cursor belongs to another log, or to one that was truncated or restored (I14).
	ErrOtherLog = errors.New("cursor belongs to another log")
)

// LeaseHeldError says that another consumer holds the lease of a cursor.
type LeaseHeldError struct {
	Cursor  string
	Holder  string
	Expires time.Time // if the holder gives no further sign of life
}

// Error names the holder.
func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("cursor %q is held by %s until %s at least", e.Cursor, e.Holder, e.Expires.UTC().Format(time.RFC3339))
}

// Cursor is how far a consumer of a log has come.
type Cursor struct {
	Name     string              // see [CheckCursorName]
	LogID    uuid.UUID           // of the log that gave Position
	Position eventstore.Position // of the last event that was handled; 0 before the first
	EventID  eventstore.EventID  // of that event; zero at position 0
	// State is what the consumer keeps with its position, in the same write; nil for nothing. It has at most [MaxState] bytes.
	State     []byte
	UpdatedAt time.Time // when it was last saved, by the clock of the store
}

// MaxState is the number of bytes that the state of a cursor may have.
const MaxState = 1 << 20

// Lease is the right to move a cursor. Its token is larger than those of all earlier leases of the cursor, so that a holder that
// lost it saves nothing any more.
type Lease struct {
	Cursor  string
	Holder  string // who, for people
	Token   uint64
	Expires time.Time
}

// HeldCursor is a cursor and its lease, as a list shows it.
type HeldCursor struct {
	Cursor

	Holder  string    // "" when nobody holds it
	Expires time.Time // zero when nobody holds it
}

// Cursors is a store of cursors. It is safe for concurrent use by several processes where the store is shared. Expired leases are
// judged by the clock of the store, never by those of consumers.
type Cursors interface { //nolint:interfacebloat // who uses it declares the part that it needs
	// Create makes a cursor at a position. Errors: [ErrCursorExists].
	Create(ctx context.Context, cursor Cursor) error
	// Acquire takes the lease of a cursor for a time and returns the cursor as it was saved last. A lease of the same holder is one
	// of another consumer. Errors: [ErrNoCursor], and a *[LeaseHeldError] while another consumer holds it.
	Acquire(ctx context.Context, name, holder string, ttl time.Duration) (Lease, Cursor, error)
	// Renew extends a lease by a time from now. Errors: [ErrLeaseLost], [ErrNoCursor].
	Renew(ctx context.Context, lease Lease, ttl time.Duration) (Lease, error)
	// Release gives a lease back. One that was lost is no error.
	Release(ctx context.Context, lease Lease) error
	// Save moves the cursor of a lease: it stores the position, the event id and the state, in one durable write. Errors:
	// [ErrLeaseLost], [ErrNoCursor], with which nothing was saved.
	Save(ctx context.Context, lease Lease, cursor Cursor) error
	// Remove removes a cursor that nobody holds. Errors: [ErrNoCursor], a *[LeaseHeldError].
	Remove(ctx context.Context, name string) error
	// List returns all cursors, in the order of their names.
	List(ctx context.Context) ([]HeldCursor, error)
	// Close frees what the store holds. Leases stay until they expire or are released.
	Close() error
}

// maxCursorName is the number of bytes that the name of a cursor may have.
const maxCursorName = 200

// CheckCursorName refuses what cannot name a cursor: a name has 1 to 200 letters, digits and the characters - _ . : / of ASCII, and
// begins with a letter or digit.
func CheckCursorName(name string) error {
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	bad := name == "" || len(name) > maxCursorName || !letter(name[0])
	for i := range len(name) {
		switch c := name[i]; c {
		case '-', '_', '.', ':', '/':
		default:
			bad = bad || !letter(c)
		}
	}
	if bad {
		return fmt.Errorf("cursor name %.250q: want 1 to %d letters, digits and - _ . : /, of which the first is a letter or digit", name, maxCursorName)
	}
	return nil
}
