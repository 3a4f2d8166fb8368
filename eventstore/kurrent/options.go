package kurrent

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// The values that stand for zero ones in [Options].
const (
	DefaultMaxAppendBytes = 1 << 20 // of servers before 25.1
	DefaultTimeout        = 10 * time.Second
	DefaultMaxCalls       = 64
)

// maxEventBytes is the largest event that any server takes: a record of it has at most 16 MiB.
const maxEventBytes = 16<<20 - 64<<10

// Options say how to open a log. What is set here goes before what the connection string says.
type Options struct {
	// Now is the engine's clock, read once for each batch. Required.
	Now func() time.Time
	// Prefix begins the name of every stream of this log on the server: for several logs on one server, and for one that
	// others use too. At most 100 bytes of printable ASCII without blanks, not beginning with "$". Defaults to none. Never
	// change it: the log would not be found.
	Prefix string
	// MaxAppendBytes is the server's MaxAppendSize: the largest sum of data, metadata and twice the type of the events of
	// a batch, and the largest content. The protocol does not tell it. Raise the server's setting first. Defaults to
	// DefaultMaxAppendBytes.
	MaxAppendBytes int64
	// Timeout bounds what one call waits for the server, also when the caller's context does not. After it the call fails
	// with ErrTransient. A subscription that is live waits for ever. Defaults to DefaultTimeout.
	Timeout time.Duration
	// MaxCalls bounds the calls that are with the server at one time; others wait. Open subscriptions are not counted.
	// Defaults to DefaultMaxCalls.
	MaxCalls int
	// CacheDir is an existing folder of this machine for snapshots, which processes may share. Without it, snapshots are
	// lost with the handle, which costs reading a stream again.
	CacheDir string
	// Observe is told of trouble that costs time but loses nothing, such as a subscription that was dropped and goes on.
	// It must not block. Nil for nobody.
	Observe func(error)
}

func (o Options) withDefaults() Options {
	o.MaxAppendBytes = cmp.Or(o.MaxAppendBytes, DefaultMaxAppendBytes)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxCalls = cmp.Or(o.MaxCalls, DefaultMaxCalls)
	if o.Observe == nil {
		o.Observe = func(error) {}
	}
	return o
}

// maxPrefix leaves room for the names of streams: a server takes longer ones, but not without end.
const maxPrefix = 100

func (o Options) validate() error {
	var faults []error
	if o.Now == nil {
		faults = append(faults, errors.New("option Now: no clock"))
	}
	if o.MaxAppendBytes < 0 || o.Timeout < 0 || o.MaxCalls < 0 {
		faults = append(faults, fmt.Errorf("options MaxAppendBytes, Timeout and MaxCalls: %d, %s and %d, want more than 0",
			o.MaxAppendBytes, o.Timeout, o.MaxCalls))
	}
	if err := checkPrefix(o.Prefix); err != nil {
		faults = append(faults, fmt.Errorf("option Prefix: %w", err))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix || strings.HasPrefix(prefix, "$") || strings.ContainsFunc(prefix, unprintable) {
		return fmt.Errorf("%q: want at most %d bytes of printable ASCII without blanks, not beginning with $", prefix, maxPrefix)
	}
	return nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }
