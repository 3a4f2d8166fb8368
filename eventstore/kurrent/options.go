package kurrent

import (
	"cmp"
	"context"
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
	DefaultWait           = 30 * time.Second
)

// maxEventBytes is the largest event that any server takes: a record of it has at most 16 MiB.
const maxEventBytes = 16<<20 - 64<<10

// Options say how to open a log. What is set here goes before what the connection string says.
type Options struct {
	// Now is the engine's clock, read once for each batch. Required.
	Now func() time.Time
	// Prefix begins the name of every stream of this log on the server: for several logs on one server, of which none is
	// inside another. At most 100 bytes of printable ASCII without blanks, not beginning with "$". Where it is empty, and
	// NoPrefix is not set, it is DefaultPrefix, or none for a log that was made without one before there was a default.
	// Never change it: the log would not be found.
	Prefix string
	// NoPrefix says that there is no prefix, on a server that nobody else uses.
	NoPrefix bool
	// MaxAppendBytes is the server's MaxAppendSize: the largest sum of data, metadata and twice the type of the events of
	// a batch, and the largest content. The protocol does not tell it. Raise the server's setting first. Defaults to
	// DefaultMaxAppendBytes.
	MaxAppendBytes int64
	// Timeout bounds what is waited for one answer of the server, also when the caller's context does not. A subscription
	// that is live waits for ever. Defaults to DefaultTimeout.
	Timeout time.Duration
	// Wait bounds the time that is spent on trying again while the server cannot answer, as during an election of its
	// leader. It is one budget for all calls, which comes back while none is tried again. After it a call fails with
	// ErrTransient. Defaults to DefaultWait.
	Wait time.Duration
	// Waiting is told, before each further try, how much of Wait is spent and why, and "" once the wait is over. It must not
	// block. Nil for nobody.
	Waiting func(spent, wait time.Duration, why string)
	// MaxCalls bounds the calls that are with the server at one time; others wait. Open subscriptions are not counted.
	// Defaults to DefaultMaxCalls.
	MaxCalls int
	// CacheDir is an existing folder of this machine for snapshots, and for how far the server was looked through, which
	// processes may share. Without it they are lost with the handle, which costs reading a stream again, and passing over what
	// other applications appended behind the log's last event.
	CacheDir string
	// Observe is told of errors that cost time but lose nothing, such as a subscription that was dropped and resumes.
	// It must not block. Nil for nobody.
	Observe func(error)

	lookup func(ctx context.Context, host string) ([]string, error) // of a test, nil for the machine's
}

func (o Options) withDefaults() Options {
	o.MaxAppendBytes = cmp.Or(o.MaxAppendBytes, DefaultMaxAppendBytes)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Wait = cmp.Or(o.Wait, DefaultWait)
	o.MaxCalls = cmp.Or(o.MaxCalls, DefaultMaxCalls)
	if o.Observe == nil {
		o.Observe = func(error) {}
	}
	if o.Waiting == nil {
		o.Waiting = func(time.Duration, time.Duration, string) {}
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
	if o.MaxAppendBytes < 0 || o.Timeout < 0 || o.Wait < 0 || o.MaxCalls < 0 {
		faults = append(faults, fmt.Errorf("options MaxAppendBytes, Timeout, Wait and MaxCalls: %d, %s, %s and %d, want more than 0",
			o.MaxAppendBytes, o.Timeout, o.Wait, o.MaxCalls))
	}
	if o.NoPrefix && o.Prefix != "" {
		faults = append(faults, fmt.Errorf("options Prefix and NoPrefix: %q and true, want one of them", o.Prefix))
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
