// Package builds decides who may write the builds of a projection, and which of them readers see.
//
// It is a pure state machine: a [State] that a database loaded, and a request, give a new State or a refusal. A database
// loads, calls and stores in one transaction, under a lock of the projection; it has no rules of its own. A refusal may come
// with a new State too, which is stored all the same, see [LeaseHeldError].
package builds

import (
	"time"
)

// Ref names a build: the projection and the number of the build, from 1. A number is never given twice.
type Ref struct {
	Projection string
	Number     int
}

// Stage is what a build is for.
type Stage string

// The stages of a build. The values are stored: append only.
const (
	// Filling is being filled, without indexes. Nobody reads it. Without a live lease it is orphaned: the next build replaces
	// it, or a rebuild continues it.
	Filling Stage = "filling"
	// Ready is filled and indexed and catches up. Nobody reads it yet.
	Ready Stage = "ready"
	// Active is what the views show. Each projection has at most one.
	Active Stage = "active"
	// Retired was active before. It is no longer written and stays until it is pruned.
	Retired Stage = "retired"
)

// Point is how far a build has read a log.
type Point struct {
	Log, Event [16]byte // of the log, and of the event at Position; zero at 0
	Position   uint64
	Version    int // of the projection
}

// LeaseRequest is who wants to write a build, and for how long its lease outlives the last sign of life.
type LeaseRequest struct {
	Holder string        // names the process for people, such as "host:pid"
	TTL    time.Duration // above 0
}

// Lease is the right to write one build (I8). It is proved by Token alone: a token that is not the last one given for the
// build is refused. Time only decides when somebody else may take over.
type Lease struct {
	Ref
	LeaseRequest
	Token   uint64    // grows with every lease of the projection, for ever
	Expires time.Time // every write moves it on
}

// Since says when a lease was given, and where the build was then.
type Since struct {
	At       time.Time
	Position uint64
}

// Build is one set of a projection's tables.
type Build struct {
	Ref
	State Stage
	Point Point
	Lease Lease // the last one
	// LeaseLeft is how long the last lease lives on without a sign of life, by the clock that decides and when the build
	// was read: 0 when it has run out, and never more than its TTL, see [LeaseLeft].
	LeaseLeft time.Duration
	// Since is where the last lease began: from there to the point is the work of one holder, which tells how fast it is.
	Since       Since
	CreatedAt   time.Time
	CancelledBy string // who cancelled the build while it was written; "" for nobody
}

// Unfinished reports whether a build is being made for readers.
func (b Build) Unfinished() bool { return b.State == Filling || b.State == Ready }

// Pause is a pause: it keeps the active build of a projection as it is.
type Pause struct {
	By     string // who asked for it
	Reason string
	At     time.Time
}

// State is what is stored about the builds of one projection.
type State struct {
	Projection string
	Builds     []Build // in the order of their numbers
	Numbers    int     // the last number that was given to a build
	Tokens     uint64  // the last token that was given to a lease
	Paused     *Pause  // nil unless the projection is paused
	Now        time.Time
	LeaseNow   time.Time // by the clock that decides about leases
}

// LeaseLeft returns how long a lease with a TTL that ends at expires lives on at now: at most the TTL, wherever the clock
// was that wrote expires, since a live holder renews its lease in less.
func LeaseLeft(expires, now time.Time, ttl time.Duration) time.Duration {
	return min(max(expires.Sub(now), 0), ttl)
}

// Changes are what differs between two states, in the order in which it can be stored.
type Changes struct {
	Counters  bool    // Numbers or Tokens grew
	Dropped   []Build // the newest last
	Created   []Build
	Updated   []Build // the one that becomes active last
	Retired   *Build  // what readers saw before; nil when they saw nothing, or see the same
	Activated *Build  // what readers see from now on; nil when they see the same
	Pause     bool
}

// Diff returns what a database has to store so that before becomes after.
func Diff(before, after State) Changes {
	c := Changes{Counters: before.Numbers != after.Numbers || before.Tokens != after.Tokens}
	c.Pause = before.Paused != after.Paused && (before.Paused == nil || after.Paused == nil || *before.Paused != *after.Paused)
	for _, b := range before.Builds {
		if after.index(b.Ref) < 0 {
			c.Dropped = append(c.Dropped, b)
		}
	}
	for _, b := range after.Builds {
		i := before.index(b.Ref)
		switch {
		case i < 0:
			c.Created = append(c.Created, b)
		case before.Builds[i] == b:
		case b.State == Active && before.Builds[i].State != Active:
			c.Activated = &b
		default:
			if before.Builds[i].State == Active && b.State == Retired {
				c.Retired = &b
			}
			c.Updated = append(c.Updated, b)
		}
	}
	if c.Activated != nil {
		c.Updated = append(c.Updated, *c.Activated)
	}
	return c
}
