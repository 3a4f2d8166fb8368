package feed

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// ErrNoStore says that there is no store of cursors: it was never created, it was lost, or another one is in its place. No store is
// created but by an explicit call, since an empty one would look like cursors that never existed.
var ErrNoStore = errors.New("store of cursors does not exist")

// MaxTTL is the longest time that a lease may be taken for.
const MaxTTL = 24 * time.Hour

// Validate refuses what no store may keep: an invalid name, no log, a position that has no event id or an event id without a
// position, or a state of more than [MaxState] bytes. The error wraps [eventstore.ErrInvalid].
func (c Cursor) Validate() error {
	fault := CheckCursorName(c.Name)
	switch {
	case fault != nil:
	case c.LogID == uuid.Nil:
		fault = fmt.Errorf("cursor %q names no log", c.Name)
	case c.Position > math.MaxInt64:
		fault = fmt.Errorf("cursor %q: position %d is too large", c.Name, c.Position)
	case (c.Position == 0) != (c.EventID == eventstore.EventID{}):
		fault = fmt.Errorf("cursor %q: position %d with event id %s", c.Name, c.Position, c.EventID)
	case len(c.State) > MaxState:
		fault = fmt.Errorf("cursor %q: state of %d bytes, want %d at most", c.Name, len(c.State), MaxState)
	default:
		return nil
	}
	return fmt.Errorf("%w: %w", eventstore.ErrInvalid, fault)
}

// CheckLease refuses what no lease can be taken with: an invalid name of a cursor, a holder that is not 1 to 200 bytes of UTF-8 without
// control characters, and a time below a millisecond or above [MaxTTL]. The error wraps [eventstore.ErrInvalid].
func CheckLease(name, holder string, ttl time.Duration) error {
	fault := CheckCursorName(name)
	switch {
	case fault != nil:
	case holder == "" || len(holder) > maxCursorName || !utf8.ValidString(holder) || strings.ContainsFunc(holder, unicode.IsControl):
		fault = fmt.Errorf("holder %.250q: want 1 to %d bytes of text", holder, maxCursorName)
	case ttl < time.Millisecond || ttl > MaxTTL:
		fault = fmt.Errorf("lease for %s: want %s to %s", ttl, time.Millisecond, MaxTTL)
	default:
		return nil
	}
	return fmt.Errorf("%w: %w", eventstore.ErrInvalid, fault)
}

// CheckSave refuses a cursor that is invalid or not the one of the lease. The error wraps [eventstore.ErrInvalid].
func CheckSave(lease Lease, cursor Cursor) error {
	if lease.Cursor != cursor.Name {
		return fmt.Errorf("%w: cursor %.250q is saved with a lease of %.250q", eventstore.ErrInvalid, cursor.Name, lease.Cursor)
	}
	return cursor.Validate()
}
