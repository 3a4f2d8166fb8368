package esdbserver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/fair"
)

// Reads share a budget of memory, and take turns. A read reads the log in laps: for each it takes a share of the budget, which covers a page
// of the log and a message, and it gives back what it does not hold. A lap ends when the client does not take what was sent: the page is
// dropped then, the message that is on its way stays in the budget until it was taken, and the next lap begins behind it. It ends too when
// others wait for their lap. Subscriptions that follow the log have their pages in common.

const (
	// quiet is how much may be on its way to a client without that it counts as slow. gRPC blocks senders at 64 KiB.
	quiet = 64 << 10
	// grace is how long a client may take in a lap before it counts as slow.
	grace = 20 * time.Millisecond
	// lapTime is how long a lap lasts at least where others wait.
	lapTime = 50 * time.Millisecond
	// idlePages is the part of the budget that pages may have which nobody reads.
	idlePages = 8
)

// stopwatch returns what tells the time since it was called, by no clock that could be set or stand still.
func stopwatch() func() time.Duration {
	began := time.Now()                                      //nolint:forbidigo // for a difference alone, which is monotonic
	return func() time.Duration { return time.Since(began) } //nolint:forbidigo // likewise
}

// lapSize is what a lap may hold: a page of the log with its largest event, and the same event as a message.
func (o Options) lapSize() int64 { return min(2*int64(o.MaxEventSize)+messageOverhead, o.MaxReadBytes) }

// newReads returns the budget of reads. A client leaves a lap to others, whatever it holds.
func newReads(o Options) *fair.Budget {
	return fair.NewBudget(o.MaxReadBytes, max(o.lapSize(), o.MaxReadBytes-o.lapSize()), 0)
}

// flow counts the bytes of messages of a call that gRPC holds, since the client did not take them yet. It is safe for concurrent use.
type flow struct {
	mu     sync.Mutex // guards queued
	queued int
	taken  chan struct{} // receives after the client took something, which may be a part of a message
}

func newFlow() *flow { return &flow{taken: make(chan struct{}, 1)} }

func (f *flow) add(size int) {
	f.mu.Lock()
	f.queued += size
	f.mu.Unlock()
}

// take tells that the client took something.
func (f *flow) take() {
	select {
	case f.taken <- struct{}{}:
	default:
	}
}

func (f *flow) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queued
}

// waitUntilQuiet reports whether the client took what was sent before limit passed. What it takes meanwhile begins the limit anew, if
// patient.
func (f *flow) waitUntilQuiet(ctx context.Context, stop <-chan struct{}, limit time.Duration, patient bool) bool { //nolint:revive // a limit of what
	if f.size() <= quiet {
		return true
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	for f.size() > quiet {
		select {
		case <-f.taken:
			if patient {
				late.Reset(limit)
			}
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		case <-stop:
			return false
		}
	}
	return true
}

// counted is a message whose bytes a flow counts.
type counted struct {
	message
	flow *flow
}

// countingCodec is the codec of gRPC, and counts the bytes of messages that are counted until gRPC frees them.
type countingCodec struct {
	encoding.CodecV2
	pool mem.BufferPool
}

func newCountingCodec() countingCodec {
	return countingCodec{CodecV2: encoding.GetCodecV2(protocodec.Name), pool: newMessagePool()}
}

// messagePool has buffers that are at most twice as large as what is asked for, unlike the pool of gRPC: they count in full. Those beyond
// maxPooled are made as they are asked for.
type messagePool struct{ mem.BufferPool }

const maxPooled = 1 << 20

func newMessagePool() messagePool {
	var sizes []int
	for size := minCounted; size <= maxPooled; size *= 2 {
		sizes = append(sizes, size)
	}
	return messagePool{mem.NewTieredBufferPool(sizes...)}
}

// Get implements [mem.BufferPool].
func (p messagePool) Get(size int) *[]byte {
	if size <= maxPooled {
		return p.BufferPool.Get(size)
	}
	buffer := make([]byte, size)
	return &buffer
}

// Put implements [mem.BufferPool].
func (p messagePool) Put(buffer *[]byte) {
	if cap(*buffer) <= maxPooled {
		p.BufferPool.Put(buffer)
	}
}

const (
	// minCounted is the smallest buffer that gRPC says it freed.
	minCounted = 2 << 10
	// piece is of how much of a message gRPC says that it freed it: as much as a frame has.
	piece = 16 << 10
)

// Marshal implements [encoding.CodecV2].
func (c countingCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(counted)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	buffer := c.pool.Get(max(m.size(), minCounted))
	data, err := m.encode((*buffer)[:0])
	if err != nil {
		c.pool.Put(buffer)
		return nil, err
	}
	*buffer = data
	return m.flow.count(buffer, c.pool), nil
}

// count returns a message in pieces, which gRPC frees one by one, and counts its memory until all are freed.
func (f *flow) count(message *[]byte, pool mem.BufferPool) mem.BufferSlice {
	data, n := *message, max(len(*message)/piece, 1)
	h := &heldMessage{BufferPool: pool, flow: f, buffer: message}
	h.pieces.Store(int32(n)) //nolint:gosec // a message has less than 2 GiB
	f.add(cap(data))         // which is far more than the message has where that is small
	pieces := make(mem.BufferSlice, n)
	for i := range pieces {
		part := data[i*piece:] // the last one has the rest
		if i < n-1 {
			part = part[:piece:piece]
		}
		pieces[i] = mem.NewBuffer(&part, h)
	}
	return pieces
}

// heldMessage takes back the pieces of one message.
type heldMessage struct {
	mem.BufferPool

	flow   *flow
	buffer *[]byte
	pieces atomic.Int32
}

// Put implements [mem.BufferPool].
func (h *heldMessage) Put(*[]byte) {
	if h.pieces.Add(-1) == 0 {
		h.flow.add(-cap(*h.buffer))
		h.BufferPool.Put(h.buffer)
	}
	h.flow.take()
}

// pace is how one call reads: what it holds of the budget, and how fast its client is. It is not safe for concurrent use.
type pace struct {
	*service
	flow  *flow
	party fair.Party
	held  int64
	lap   func() time.Duration // since it began
	cut   func()               // disconnects the client
}

// newPace returns how a call reads.
func (v *service) newPace(ctx context.Context, c call) *pace {
	p := &pace{service: v, flow: newFlow(), cut: func() { disconnect(ctx) }, party: fair.Party{User: c.user}}
	if from, ok := peer.FromContext(ctx); ok {
		p.party = fair.PartyOf(from.Addr, c.user)
	}
	return p
}

// errSlow ends the call of a client that took nothing for long while others waited for memory.
var errSlow = errors.New("client takes nothing, and others wait for memory")

// begin waits for a lap.
func (p *pace) begin(ctx context.Context) error {
	if p.held > 0 {
		return nil
	}
	size := p.options.lapSize()
	if err := p.reads.Take(ctx, p.party, size); err != nil {
		return err
	}
	p.held, p.lap = size, stopwatch()
	return nil
}

// mustRest reports whether a lap has to end.
func (p *pace) mustRest(ctx context.Context) bool {
	return !p.flow.waitUntilQuiet(ctx, nil, grace, false) || p.lap() > lapTime && p.reads.IsShort()
}

// rest ends a lap: it keeps the share of what is on its way to the client until the client took it.
func (p *pace) rest(ctx context.Context, stop <-chan struct{}) error {
	if p.held == 0 {
		return nil
	}
	defer func() { p.keep(0) }()
	p.keep(int64(p.flow.size()))
	return p.waitForClient(ctx, stop)
}

// waitForClient waits until the client took what was sent. One that takes nothing for long while others wait for memory is disconnected.
func (p *pace) waitForClient(ctx context.Context, stop <-chan struct{}) error {
	for !p.flow.waitUntilQuiet(ctx, stop, p.options.SlowReader, true) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stop:
			return nil
		default:
		}
		if p.reads.IsShort() {
			p.cut()
			return errSlow
		}
	}
	return nil
}

// keep gives back what is held beyond size.
func (p *pace) keep(size int64) {
	if p.held > size {
		p.reads.GiveBack(p.party, p.held-size)
		p.held = size
	}
}

// laps yields what is found, in laps: again is asked for what is behind the last record. The lap may last when the loop breaks.
func (p *pace) laps(ctx context.Context, found records, again func(last eventstore.Record) records) records {
	return func(yield func(eventstore.Record, error) bool) {
		for {
			if err := p.begin(ctx); err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			last, more, stopped := p.yieldLap(ctx, found, yield)
			if stopped {
				return
			}
			if err := p.rest(ctx, nil); err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			if !more {
				return
			}
			found = again(last)
		}
	}
}

// yieldLap yields what is found until it must rest: then there may be more behind the last record. stopped says that the reader wants no more.
func (p *pace) yieldLap(ctx context.Context, found records, yield func(eventstore.Record, error) bool) (last eventstore.Record, more, stopped bool) {
	for r, err := range found {
		if !yield(r, err) || err != nil {
			return last, false, true
		}
		r.Data = nil
		if last = r; p.mustRest(ctx) {
			return last, true, false
		}
	}
	return last, false, false
}

// recent yields what the log holds behind a position up to its head, in laps, from pages that subscriptions share.
func (p *pace) recent(ctx context.Context, at, head eventstore.Position) records {
	return func(yield func(eventstore.Record, error) bool) {
		for at < head {
			g, err := p.borrow(ctx, at)
			if err != nil {
				yield(eventstore.Record{}, err)
				return
			}
			if g == nil {
				p.keep(0)
				return
			}
			last, _, stopped := p.yieldLap(ctx, g.behind(at), yield)
			p.pages.release(g)
			if stopped {
				return
			}
			at = last.Position
			if err := p.rest(ctx, nil); err != nil {
				yield(eventstore.Record{}, err)
				return
			}
		}
	}
}

// borrow begins a lap with the page that is behind a position, nil where the log ends. The lap has no more than what the messages of its
// records need. Where there is memory, the first that wants a page reads it and the others wait for that; where it is short, each waits for
// its turn. Nobody who waits holds any memory.
func (p *pace) borrow(ctx context.Context, at eventstore.Position) (*page, error) {
	for {
		g, read := p.pages.find(at, true)
		if g != nil && p.tryBegin(messages(g)) {
			return g, nil
		}
		if g != nil {
			p.pages.release(g)
			break
		}
		if read == nil {
			if p.tryBegin(p.options.lapSize()) {
				return p.shrink(p.pages.read(ctx, at))
			}
			p.pages.giveUp(at)
			break
		}
		select {
		case <-read:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	return p.shrink(p.pages.get(ctx, at))
}

// shrink lets a lap hold what the messages of its page need.
func (p *pace) shrink(g *page, err error) (*page, error) {
	if g != nil {
		p.keep(messages(g))
	}
	return g, err
}

// messages is what the messages of a page need: what is on its way, the buffer of the next one, and what that is made of.
func messages(g *page) int64 { return quiet + minCounted + 3*g.largest }

func (p *pace) tryBegin(size int64) bool {
	if size = min(size, p.options.lapSize()); p.held > 0 || !p.reads.TryTake(p.party, size) {
		return false
	}
	p.held, p.lap = size, stopwatch()
	return true
}
