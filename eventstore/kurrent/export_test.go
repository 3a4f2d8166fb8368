package kurrent

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// SetSizes makes l read n events on its first page, and up to 3n on others.
func (l *Log) SetSizes(n int) { l.sizes = sizes{firstPage: uint64(n), lastPage: 3 * uint64(n)} }

// SetPatience makes l ask who leads when a call, or a subscription, has been without an answer for that long.
func (l *Log) SetPatience(d time.Duration) {
	l.cluster.patience.call, l.cluster.patience.subscription, l.cluster.patience.host = d, d, d
}

// SetPatienceWithHost makes l wait that long until the one host of its connection string tells its members.
func (l *Log) SetPatienceWithHost(d time.Duration) { l.cluster.patience.host = d }

// FindLeader asks the nodes of the connection string who leads, as the first who asks, and waits for each answer.
func (l *Log) FindLeader(ctx context.Context) (string, error) {
	l.cluster.mu.Lock()
	l.cluster.patience.votes, l.cluster.members = time.Hour, nil
	l.cluster.mu.Unlock()
	return l.cluster.find(ctx)
}

// SetShortAnswers makes l wait for an answer no longer than that when its budget is spent, or at one position.
func (l *Log) SetShortAnswers(d time.Duration) {
	l.cluster.patience.spent, l.cluster.patience.at = d, d
}

// SetWaits makes l wait no longer than that for one answer, and in all. So a test can have the server answer as late as a loaded machine lets it
// until then.
func (l *Log) SetWaits(timeout, wait time.Duration) {
	l.options.Timeout, l.budget.total = timeout, wait
}

// Resolving returns o with a resolver of names.
func (o Options) Resolving(lookup func(ctx context.Context, host string) ([]string, error)) Options {
	o.lookup = lookup
	return o
}

// TooLarge is the error of a batch, or of what is named, above maxAppendSize or, where own is false, above the server's limit.
func TooLarge(what string, own bool, events int, bytes, most int64) error { //revive:disable-line:flag-parameter // a fact, not a switch
	e := &limitError{limit: limitAppend, most: strconv.FormatInt(most, 10), proposed: appendSize{what: what, events: events, bytes: bytes}}
	if own {
		e.limit = limitOwn
	}
	return e
}

// Members returns the addresses of the nodes that l knows beside those of its connection string.
func (l *Log) Members() []string {
	l.cluster.mu.Lock()
	defer l.cluster.mu.Unlock()
	return slices.Clone(l.cluster.members)
}

// SetContentRoom makes l hold n bytes of contents at one time. Nothing may be held yet.
func (l *Log) SetContentRoom(n int64) { l.room = newRoom(n, l.cluster.life.Done()) }

// ContentPart is the largest part of a content that is one event.
const ContentPart = contentPart

// SetPatienceWithTLS makes l wait that long until a node shows whether it speaks TLS.
func (l *Log) SetPatienceWithTLS(d time.Duration) { l.cluster.patience.probe = d }
