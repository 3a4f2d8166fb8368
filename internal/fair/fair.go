// Package fair shares an amount among callers who wait for it in turns, so that one who asks for very much does not keep others waiting.
package fair

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
)

// ErrTooManyWait is returned to a party that waits as often as it may already.
var ErrTooManyWait = errors.New("too many of this client wait already")

// Party is who asks. Hosts take turns, whatever each of them asks for, and the users of a host take turns within those of their host.
type Party struct{ Host, User string }

// PartyOf returns the party of a user at an address: all its ports are one host.
func PartyOf(address net.Addr, user string) Party {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		host = address.String()
	}
	return Party{Host: host, User: user}
}

// Budget is an amount that is shared. It is safe for concurrent use.
type Budget struct {
	// Wanted is called when somebody begins to wait, if it is set: it may give back what is held and not needed. It is set before use.
	Wanted func()

	most    int64 // of one party
	waiters int   // of one party
	mu      sync.Mutex
	free    int64           // guarded by mu, as all below; below 0 where more was charged than there was
	held    map[Party]int64 // by those who hold some
	queue   queue
}

// NewBudget returns a budget of an amount, of which one party holds no more than most, unless it takes that at once, and for which it
// waits no more often than waiters at once; 0 is as often as it likes.
func NewBudget(amount, most int64, waiters int) *Budget {
	return &Budget{
		free: amount, most: most, waiters: waiters, held: map[Party]int64{},
		queue: queue{users: map[string][]string{}, waiting: map[Party][]*waiter{}},
	}
}

// Take waits until a party gets size, which is no more than the whole budget. It ends with ctx: who has gone needs nothing. Call GiveBack
// after it returned nil.
func (b *Budget) Take(ctx context.Context, p Party, size int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := b.enqueue(p, size)
	if err != nil {
		return err
	}
	select {
	case <-w.granted:
		return nil
	default:
	}
	if b.Wanted != nil {
		b.Wanted()
	}
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.queue.remove(w) {
		b.put(p, size)
	}
	b.grant()
	return ctx.Err()
}

func (b *Budget) enqueue(p Party, size int64) (*waiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &waiter{party: p, size: size, granted: make(chan struct{})}
	b.queue.push(w)
	b.grant()
	if n := len(b.queue.waiting[p]); b.waiters > 0 && n > b.waiters {
		b.queue.remove(w)
		return nil, ErrTooManyWait
	}
	return w, nil
}

// TryTake takes size if that is there and nobody waits.
func (b *Budget) TryTake(p Party, size int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue.hosts) > 0 || size > b.free || !b.mayHold(p, size) {
		return false
	}
	b.get(p, size)
	return true
}

// GiveBack returns some of what a party took.
func (b *Budget) GiveBack(p Party, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(p, size)
	b.grant()
}

// Charge takes size for nobody, also where it is not there: others wait until it is. A negative size gives it back.
func (b *Budget) Charge(size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free -= size
	b.grant()
}

// Free is what there is.
func (b *Budget) Free() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// Waiting is how many wait.
func (b *Budget) Waiting() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, waiting := range b.queue.waiting {
		n += len(waiting)
	}
	return n
}

// IsShort reports whether somebody waits.
func (b *Budget) IsShort() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue.hosts) > 0
}

// The methods below are called with mu held.

func (b *Budget) get(p Party, size int64) {
	b.free -= size
	b.held[p] += size
}

func (b *Budget) put(p Party, size int64) {
	b.free += size
	if b.held[p] -= size; b.held[p] <= 0 {
		delete(b.held, p)
	}
}

// mayHold reports whether a party may hold size more.
func (b *Budget) mayHold(p Party, size int64) bool { return b.held[p] == 0 || b.held[p]+size <= b.most }

// grant gives those who wait what there is, in turn. Who holds as much as it may is passed over; nobody else is, however much it waits
// for.
func (b *Budget) grant() {
	for {
		w := b.queue.first(b.mayHold)
		if w == nil || w.size > b.free {
			return
		}
		b.queue.pass(w)
		b.get(w.party, w.size)
		close(w.granted)
	}
}

type waiter struct {
	party   Party
	size    int64
	granted chan struct{}
}

// queue are those who wait, the next ones first. No list of it is empty.
type queue struct {
	hosts   []string
	users   map[string][]string // by host
	waiting map[Party][]*waiter
}

func (q *queue) push(w *waiter) {
	p := w.party
	if q.waiting[p] = append(q.waiting[p], w); len(q.waiting[p]) > 1 {
		return
	}
	if q.users[p.Host] = append(q.users[p.Host], p.User); len(q.users[p.Host]) == 1 {
		q.hosts = append(q.hosts, p.Host)
	}
}

// remove takes w out, and reports whether it was in.
func (q *queue) remove(w *waiter) bool {
	p := w.party
	at := slices.Index(q.waiting[p], w)
	if at < 0 {
		return false
	}
	if q.waiting[p] = slices.Delete(q.waiting[p], at, at+1); len(q.waiting[p]) > 0 {
		return true
	}
	delete(q.waiting, p)
	if q.users[p.Host] = without(q.users[p.Host], p.User); len(q.users[p.Host]) > 0 {
		return true
	}
	delete(q.users, p.Host)
	q.hosts = without(q.hosts, p.Host)
	return true
}

// pass takes out w, which is the first of its party. Host and user go to the end, behind others of their kind.
func (q *queue) pass(w *waiter) {
	p := w.party
	q.remove(w)
	if _, ok := q.users[p.Host]; ok {
		q.hosts = append(without(q.hosts, p.Host), p.Host)
	}
	if _, ok := q.waiting[p]; ok {
		q.users[p.Host] = append(without(q.users[p.Host], p.User), p.User)
	}
}

// first returns who is next of those that may have what they wait for, nil for nobody.
func (q *queue) first(may func(Party, int64) bool) *waiter {
	for _, host := range q.hosts {
		for _, user := range q.users[host] {
			if w := q.waiting[Party{host, user}][0]; may(w.party, w.size) {
				return w
			}
		}
	}
	return nil
}

func without(names []string, name string) []string {
	at := slices.Index(names, name)
	return slices.Delete(names, at, at+1)
}
