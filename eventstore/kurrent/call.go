package kurrent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore"
)

// call is one call of a node. Its context ends when the caller's does, when the log is closed, when the node is silent for
// longer than the limit of one answer, and when the nodes have another leader meanwhile.
type call struct {
	cluster *cluster
	node    *node
	caller  context.Context //nolint:containedctx // of the caller, who may wait for what an error means when the call is over
	cut     func() error    // why the call is over, nil while it is not
	cancel  context.CancelCauseFunc
	forget  func() bool // the end of the log
	free    func()      // gives the slot back
	limit   time.Duration
	silence atomic.Int64 // a duration, after which the nodes are asked who leads
	timers  [2]*time.Timer
}

// begin takes a slot and a node for a call, which is to be made with the context that it returns. The caller must end it.
func (c *cluster) begin(ctx context.Context, limit time.Duration) (context.Context, *call, error) {
	ctx, k, err := c.board(ctx, limit)
	if err != nil {
		return nil, nil, err
	}
	n, err := c.pick(ctx)
	if err != nil {
		return nil, nil, k.end(err, nil)
	}
	k.node = n
	if c.several() {
		k.timers[1] = time.AfterFunc(math.MaxInt64, func() { k.look(ctx) })
		k.timers[1].Reset(k.quiet()) // it is known to look from here on
	}
	return metadata.AppendToOutgoingContext(c.header(ctx), "requires-leader", "true"), k, nil
}

// board takes a slot.
func (c *cluster) board(caller context.Context, limit time.Duration) (context.Context, *call, error) {
	ctx, cancel := context.WithCancelCause(caller)
	k := &call{
		cluster: c, caller: caller, cancel: cancel, limit: limit,
		cut: func() error { return context.Cause(ctx) },
	}
	k.silence.Store(int64(c.patience.call))
	k.forget = context.AfterFunc(c.life, func() { cancel(eventstore.ErrClosed) })
	k.timers[0] = time.AfterFunc(limit, func() { cancel(errLate) })
	select {
	case c.slots <- struct{}{}:
		k.free = sync.OnceFunc(func() { <-c.slots })
		return ctx, k, nil
	case <-ctx.Done():
		k.free = func() {}
		return nil, nil, k.end(context.Cause(ctx), nil)
	}
}

// errLate: there was no answer within the limit.
var errLate = errors.New("no answer in time")

// late is the error of a node that did not answer.
func (k *call) late() error {
	name := "the server"
	if k.node != nil {
		name = k.node.address
	}
	return &passingError{text: fmt.Sprintf("%s gave no answer within %s", name, k.limit), waited: k.limit}
}

// look asks the nodes who leads while the one that was asked says nothing. If that is another, nobody waits any longer.
func (k *call) look(ctx context.Context) {
	if !k.cluster.settings.clustered() && k.node.address == k.cluster.settings.hosts[0] {
		k.lookAtOnly(ctx)
		return
	}
	leader, err := k.cluster.find(ctx)
	switch {
	case ctx.Err() != nil:
	case err == nil && leader != k.node.address:
		k.cancel(passing(k.node.address, "gave no answer, and no longer leads"))
	default:
		k.timers[1].Reset(k.quiet())
	}
}

// lookAtOnly asks the one host of a connection string whether it lives: other nodes may name it by another address. It may be as slow
// about that as about the call.
func (k *call) lookAtOnly(ctx context.Context) {
	bound := k.cluster.patience.host
	asking, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	_, err := k.cluster.askMembers(asking, k.node.address, "")
	switch {
	case ctx.Err() != nil:
	case asking.Err() != nil && errors.Is(err, eventstore.ErrTransient):
		k.cancel(passing(k.node.address, fmt.Sprintf("gives no answer, nor one to gossip within %s", bound)))
	default:
		k.timers[1].Reset(k.quiet())
	}
}

func (k *call) quiet() time.Duration { return time.Duration(k.silence.Load()) }

// pause says that an answer came. Until wait is called, the node may take its time.
func (k *call) pause() {
	for _, t := range k.timers {
		if t != nil {
			t.Stop()
		}
	}
}

// wait says that the next answer is waited for.
func (k *call) wait() {
	k.timers[0].Reset(k.limit)
	if k.timers[1] != nil {
		k.timers[1].Reset(k.quiet())
	}
}

// end ends the call and returns what err means.
func (k *call) end(err error, trailer metadata.MD) error {
	k.pause()
	k.forget()
	cut := k.cut()
	k.cancel(context.Canceled)
	k.free()
	switch {
	case err == nil:
		return nil
	case k.caller.Err() != nil:
		return context.Cause(k.caller) // what the node says of a call that was cut short depends on where it was then
	case errors.Is(cut, errLate):
		err = k.late()
	case cut != nil:
		err = cut
	case k.node != nil:
		err = k.translate(err, trailer)
	}
	p, ok := errors.AsType[*passingError](err)
	switch {
	case !ok || k.node == nil:
	case p.leader != "":
		p.redirected = k.cluster.redirect(k.node.address, p.leader)
	default:
		k.cluster.leave(k.node.address)
	}
	return err
}

// translate gives an error its meaning, for which the node may be asked while the caller waits and the log is open.
func (k *call) translate(err error, trailer metadata.MD) error {
	ctx, cancel := context.WithCancel(k.caller)
	defer cancel()
	defer context.AfterFunc(k.cluster.life, cancel)()
	err = k.node.translate(ctx, err, trailer)
	switch {
	case k.caller.Err() != nil:
		return context.Cause(k.caller)
	case k.cluster.life.Err() != nil:
		return eventstore.ErrClosed
	}
	return err
}

func (k *call) streams() api.StreamsClient { return api.NewStreamsClient(k.node.conn) }

// budget is the time that is spent waiting for a server, over all calls of a log: it is spent while any call is tried
// again, and comes back in the time that none is. So one command waits for a server that is down no longer than that,
// however many calls it makes, and a process that lives long gets over any number of elections. It is safe for concurrent
// use.
type budget struct {
	total time.Duration

	mu    sync.Mutex // guards all below
	spent time.Duration
	users int // calls that are tried again
	at    time.Time
}

// count needs mu.
func (b *budget) count() {
	now := time.Now() //nolint:forbidigo // a duration, not a time that is recorded
	passed := now.Sub(b.at)
	if b.users == 0 {
		passed = -passed
	}
	b.spent = max(0, b.spent+passed)
	b.at = now
}

func (b *budget) use(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	b.users += n
}

// spend counts a wait that came before a call was tried again.
func (b *budget) spend(d time.Duration) { b.giveBack(-d) }

// giveBack returns what was spent on a wait that ended well, and for a server that answered all the time.
func (b *budget) giveBack(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	b.spent = max(0, b.spent-d)
}

// left returns what has been spent and what may be spent still.
func (b *budget) left() (spent, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	return b.spent, b.total - b.spent
}

// How long is waited between two tries, with jitter.
const (
	firstWait = 50 * time.Millisecond
	maxWait   = time.Second
)

// retry is one call, or a row of them, that is tried again within the budget. It is not safe for concurrent use.
type retry struct {
	log    *Log
	waits  *backoff.ExponentialBackOff
	using  bool
	told   bool // Options.Waiting was told
	direct bool // the last try went to another node at once
	odd    int  // tries in a row whose error no election gives
}

// oddTries is how often a call is tried whose error no election gives.
const oddTries = 6

func (l *Log) retry() *retry {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = firstWait, maxWait
	return &retry{log: l, waits: waits}
}

// again waits after a try that ended with err, and returns nil if there may be another. Otherwise it returns the error
// that is final.
func (r *retry) again(ctx context.Context, err error) error {
	p, ok := errors.AsType[*passingError](err)
	if !ok || !errors.Is(err, eventstore.ErrTransient) {
		return err
	}
	if r.odd++; !p.odd {
		r.odd = 0
	}
	if r.odd >= oddTries {
		return fmt.Errorf("%w: after %d tries: %s", eventstore.ErrTransient, r.odd, p.text)
	}
	if !r.using {
		r.using = true
		r.log.budget.use(1)
		r.log.budget.spend(p.waited)
	}
	spent, left := r.log.budget.left()
	if left <= 0 {
		return fmt.Errorf("%w within %s: %s", eventstore.ErrTransient, r.log.budget.total, p.text)
	}
	if p.redirected && !r.direct { // it is known who can answer
		r.direct = true
		return r.log.usable(ctx)
	}
	r.direct, r.told = false, true
	r.log.options.Waiting(spent, r.log.budget.total, p.text)
	return r.log.wait(ctx, min(r.waits.NextBackOff(), left))
}

// moved says that there was an answer: what comes after it is another trouble.
func (r *retry) moved() {
	r.done()
	r.odd = 0
	r.waits.Reset()
}

func (r *retry) done() {
	if r.using {
		r.using = false
		r.log.budget.use(-1)
	}
	if r.told {
		r.told = false
		r.log.options.Waiting(0, r.log.budget.total, "")
	}
}

// limit is how long one answer is waited for. When the budget is spent, a caller who tries again is not to wait that long each time.
func (l *Log) limit() time.Duration {
	if _, left := l.budget.left(); left > 0 {
		return l.options.Timeout
	}
	return min(l.options.Timeout, l.cluster.patience.spent)
}

// try calls once until it does not fail with ErrTransient, or the budget is spent.
func (l *Log) try(ctx context.Context, once func() error) error {
	return l.tryAfter(ctx, firstWait, once)
}

// tryAfter is try with another wait before the second try.
func (l *Log) tryAfter(ctx context.Context, wait time.Duration, once func() error) error {
	r := l.retry()
	r.waits.InitialInterval = wait
	r.waits.Reset()
	defer r.done()
	for {
		err := once()
		if err == nil {
			return nil
		}
		if err := r.again(ctx, err); err != nil {
			return err
		}
	}
}

// wait waits, or returns why nobody waits any more.
func (l *Log) wait(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-l.cluster.life.Done():
	}
	return l.usable(ctx)
}

// unlimited is more events than any stream has.
const unlimited = math.MaxInt64
