package esdbserver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Reads share a budget of memory. A read reads the log in laps: for each it takes a share of the budget, which covers a page of the log
// and a message, and it gives back what it does not hold. A lap ends when the client does not take what was sent: the page is dropped
// then, the message that is on its way stays in the budget until it was taken, and the next lap begins behind it. It ends too when others
// wait for their lap.

const (
	// quiet is how much may be on its way to a client without that it counts as slow. gRPC blocks senders at 64 KiB.
	quiet = 64 << 10
	// grace is how long a client may take in a lap before it counts as slow.
	grace = 20 * time.Millisecond
	// lapTime is how long a lap lasts at least where others wait.
	lapTime = 50 * time.Millisecond
)

// readBudget bounds the bytes that all reads hold together. Who waits gets its share in turn. It is safe for concurrent use.
type readBudget struct {
	mu      sync.Mutex // guards all below
	free    int64
	waiting []*readWaiter
}

type readWaiter struct {
	size    int64
	granted chan struct{}
}

// take waits for size bytes, which are no more than the whole budget.
func (b *readBudget) take(ctx context.Context, size int64) error {
	b.mu.Lock()
	if len(b.waiting) == 0 && size <= b.free {
		b.free -= size
		b.mu.Unlock()
		return nil
	}
	w := &readWaiter{size: size, granted: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.waiting, w); at >= 0 {
		b.waiting = slices.Delete(b.waiting, at, at+1)
	} else {
		b.free += size
	}
	b.grant()
	return ctx.Err()
}

func (b *readBudget) giveBack(size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += size
	b.grant()
}

// grant gives those who wait what there is, in turn. mu is held.
func (b *readBudget) grant() {
	for len(b.waiting) > 0 && b.waiting[0].size <= b.free {
		b.free -= b.waiting[0].size
		close(b.waiting[0].granted)
		b.waiting = b.waiting[1:]
	}
}

// isShort reports whether somebody waits.
func (b *readBudget) isShort() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0
}

// flow counts the bytes of messages of a call that gRPC holds, since the client did not take them yet. It is safe for concurrent use.
type flow struct {
	mu     sync.Mutex // guards queued
	queued int
	less   chan struct{} // receives after queued fell
}

func newFlow() *flow { return &flow{less: make(chan struct{}, 1)} }

func (f *flow) add(size int) {
	f.mu.Lock()
	f.queued += size
	f.mu.Unlock()
	if size < 0 {
		select {
		case f.less <- struct{}{}:
		default:
		}
	}
}

func (f *flow) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queued
}

// waitUntilQuiet reports whether the client took what was sent before ctx ended or limit passed.
func (f *flow) waitUntilQuiet(ctx context.Context, stop <-chan struct{}, limit time.Duration) bool {
	if f.size() <= quiet {
		return true
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	for f.size() > quiet {
		select {
		case <-f.less:
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
type countingCodec struct{ encoding.CodecV2 }

func newCountingCodec() countingCodec { return countingCodec{encoding.GetCodecV2(protocodec.Name)} }

// minCounted is the smallest buffer that gRPC says it freed.
const minCounted = 2 << 10

// Marshal implements [encoding.CodecV2].
func (c countingCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(counted)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	buffer := mem.DefaultBufferPool().Get(max(m.size(), minCounted))
	data, err := m.encode((*buffer)[:0])
	if err != nil {
		mem.DefaultBufferPool().Put(buffer)
		return nil, err
	}
	*buffer = data
	held := cap(data) // which is far more than the message has where that is small
	m.flow.add(held)
	return mem.BufferSlice{mem.NewBuffer(buffer, countingPool{m.flow, held})}, nil
}

// countingPool takes back the buffer of one message.
type countingPool struct {
	flow *flow
	size int
}

// Get implements [mem.BufferPool].
func (countingPool) Get(size int) *[]byte { return mem.DefaultBufferPool().Get(size) }

// Put implements [mem.BufferPool].
func (p countingPool) Put(buffer *[]byte) {
	p.flow.add(-p.size)
	mem.DefaultBufferPool().Put(buffer)
}

// pace is how one call reads: what it holds of the budget, and how fast its client is. It is not safe for concurrent use.
type pace struct {
	*service
	flow  *flow
	held  int64
	since time.Time // when the lap began
	cut   func()    // disconnects the client
}

// errSlow ends the call of a client that took nothing for long while others waited for memory.
var errSlow = errors.New("client takes nothing, and others wait for memory")

// lap is what a lap may hold: a page of the log with its largest event, and the same event as a message.
func (p *pace) lap() int64 {
	return min(2*int64(p.options.MaxEventSize)+messageOverhead, p.options.MaxReadBytes)
}

// begin waits for a lap.
func (p *pace) begin(ctx context.Context) error {
	if p.held > 0 {
		return nil
	}
	if err := p.reads.take(ctx, p.lap()); err != nil {
		return err
	}
	p.held, p.since = p.lap(), p.options.Now()
	return nil
}

// mustRest reports whether a lap has to end.
func (p *pace) mustRest(ctx context.Context) bool {
	return !p.flow.waitUntilQuiet(ctx, nil, grace) || p.options.Now().Sub(p.since) > lapTime && p.reads.isShort()
}

// rest ends a lap: it keeps the share of what is on its way to the client until the client took it.
func (p *pace) rest(ctx context.Context, stop <-chan struct{}) error {
	if p.held == 0 {
		return nil
	}
	defer func() { p.keep(0) }()
	p.keep(int64(p.flow.size()))
	for !p.flow.waitUntilQuiet(ctx, stop, p.options.SlowReader) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stop:
			return nil
		default:
		}
		if p.reads.isShort() {
			p.cut()
			return errSlow
		}
	}
	return nil
}

// keep gives back what is held beyond size.
func (p *pace) keep(size int64) {
	if p.held > size {
		p.reads.giveBack(p.held - size)
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
		if p.mustRest(ctx) {
			r.Data = nil
			return r, true, false
		}
	}
	return last, false, false
}

// waitForClient waits within a lap until the client took what was sent, for what cannot be read again from where it is.
func (p *pace) waitForClient(ctx context.Context) error {
	for !p.flow.waitUntilQuiet(ctx, nil, p.options.SlowReader) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.reads.isShort() {
			p.cut()
			return errSlow
		}
	}
	return nil
}
