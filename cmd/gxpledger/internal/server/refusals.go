package server

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// Limits of what is written of refusals: a client that tries again and again must not fill a disk.
const (
	refusalWindow  = time.Minute
	refusalsInFull = 10      // of a kind and a peer, in a window; the others are counted
	refusalKinds   = 1 << 10 // kinds and peers that are told apart
)

// Refusals writes the logins and appends that were refused, and failures, with a limit for each peer: what is beyond it is counted, and the
// number written once a minute. It is safe for concurrent use.
type Refusals struct {
	write func(text string, fields map[string]any)
	now   func() time.Time

	mu    sync.Mutex // guards all below, and calls of write
	since time.Time
	seen  map[refusalKind]int
}

type refusalKind struct{ what, host string }

// NewRefusals returns Refusals that call write for each line.
func NewRefusals(now func() time.Time, write func(text string, fields map[string]any)) *Refusals {
	return &Refusals{write: write, now: now, since: now(), seen: map[refusalKind]int{}}
}

// Tell writes or counts a refusal.
func (r *Refusals) Tell(refusal esdbserver.Refusal) {
	host, _, err := net.SplitHostPort(refusal.Peer)
	if err != nil {
		host = refusal.Peer
	}
	fields := map[string]any{"peer": refusal.Peer, "reason": cut(refusal.Reason)}
	for name, value := range map[string]string{"user": refusal.User, "stream": refusal.Stream} {
		if value != "" {
			fields[name] = cut(value)
		}
	}
	r.tell(refusalKind{refusal.What, host}, refusal.What+" refused", fields)
}

// Failed writes or counts a failure of the log.
func (r *Refusals) Failed(err error) {
	r.tell(refusalKind{what: "failure"}, err.Error(), nil)
}

func (r *Refusals) tell(kind refusalKind, text string, fields map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Sub(r.since) >= refusalWindow {
		r.flush()
	}
	if _, known := r.seen[kind]; !known && len(r.seen) >= refusalKinds {
		kind = refusalKind{what: kind.what, host: "others"}
	}
	if r.seen[kind]++; r.seen[kind] <= refusalsInFull {
		r.write(text, fields)
	}
}

// Flush writes how many were counted and not written.
func (r *Refusals) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
}

func (r *Refusals) flush() {
	for kind, n := range r.seen {
		if n > refusalsInFull {
			r.write(kind.what+": "+strconv.Itoa(n-refusalsInFull)+" more within a minute, which were not written", map[string]any{"peer": kind.host})
		}
	}
	clear(r.seen)
	r.since = r.now()
}

// cut shortens what a client sent.
func cut(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
