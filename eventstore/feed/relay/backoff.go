package relay

import (
	"math"
	"time"
)

// Backoff says how long to wait before an event is sent again.
type Backoff struct {
	First time.Duration // after the first attempt
	Most  time.Duration // after any attempt, unless the target asks for more
	// MostAsked bounds what a target may ask for.
	MostAsked time.Duration
}

// DefaultBackoff is from half a second to a minute, and up to an hour when the target asks for it.
func DefaultBackoff() Backoff {
	return Backoff{First: 500 * time.Millisecond, Most: time.Minute, MostAsked: time.Hour}
}

// After returns the wait after an attempt, counted from 1. It doubles with each, up to Most; random, from 0 to 1, takes away up to half
// of it, so that relays that failed together do not come back together. What the target asked for is never cut but by MostAsked.
func (b Backoff) After(attempt int, asked time.Duration, random float64) time.Duration {
	wait := math.Min(float64(b.First)*math.Pow(2, float64(max(0, min(attempt-1, 62)))), float64(b.Most))
	wait -= wait / 2 * min(max(random, 0), 1)
	return max(time.Duration(wait), min(asked, b.MostAsked), 0)
}
