package kurrent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// throughProxy returns a proxy to a server over a log, and the connection string that goes through it.
func throughProxy(t *testing.T, log eventstore.Log) (*proxy, string) {
	t.Helper()
	p := newProxy(t, esdbtest.Start(t, log).Address())
	return p, fmt.Sprintf("esdb://%s?tls=false", p.listener.Addr())
}

// However many calls find no server, there is one connection.
func TestCallsShareOneConnection(t *testing.T) {
	t.Parallel()
	const callers = 100
	p, url := throughProxy(t, memory.New(time.Now))
	log := open(t, url, options())
	mustAppend(t, log, batch("s", 0, 2))
	p.down.Store(true)
	p.cut()
	var running sync.WaitGroup
	for range callers { // none of them finds a server
		running.Go(func() {
			_ = timely(t, 1500*time.Millisecond, func(ctx context.Context) error { _, err := log.Head(ctx); return err })
		})
	}
	running.Wait()
	p.down.Store(false)
	before := p.accepted.Load()
	for range callers {
		running.Go(func() {
			if _, err := insistHead(within(t), log); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if made := p.accepted.Load() - before; made < 1 || made > 5 {
		t.Errorf("%d connections were made for %d callers, want one or a few", made, callers)
	}
}

func insistHead(ctx context.Context, log *kurrent.Log) (eventstore.Position, error) {
	for {
		head, err := log.Head(ctx)
		if !errors.Is(err, eventstore.ErrTransient) {
			return head, err
		}
	}
}

// What a server does not answer ends with the caller's deadline, or the log's own.
func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	p, url := throughProxy(t, memory.New(time.Now))
	o := options()
	o.Timeout, o.Wait = 300*time.Millisecond, 100*time.Millisecond
	log, patient := open(t, url, options()), open(t, url, unhurried())
	mustAppend(t, log, batch("s", 0, 2))
	log.SetWaits(o.Timeout, o.Wait)
	p.silent.Store(true)
	calls := map[string]func(ctx context.Context, log *kurrent.Log, o kurrent.Options) error{
		"append": func(ctx context.Context, log *kurrent.Log, _ kurrent.Options) error {
			_, err := log.Append(ctx, batch("s", 1, 2))
			return err
		},
		"head": func(ctx context.Context, log *kurrent.Log, _ kurrent.Options) error {
			_, err := log.Head(ctx)
			return err
		},
		"read": func(ctx context.Context, log *kurrent.Log, _ kurrent.Options) error { return look(ctx, log, "s", 1) },
		"open": func(ctx context.Context, _ *kurrent.Log, o kurrent.Options) error {
			other, err := kurrent.Open(ctx, url, o)
			if err == nil {
				return other.Close()
			}
			return err
		},
	}
	for name, call := range calls {
		ctx := within(t)
		if err := call(ctx, log, o); !errors.Is(err, eventstore.ErrTransient) || ctx.Err() != nil {
			t.Errorf("%s: error is %v, want ErrTransient before the deadline", name, err)
		}
		err := timely(t, 100*time.Millisecond, func(ctx context.Context) error { return call(ctx, patient, unhurried()) })
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, eventstore.ErrTransient) {
			t.Errorf("%s: error is %v, want one of the deadline or ErrTransient", name, err)
		}
	}
	p.silent.Store(false)
	p.cut()
	if at, err := insist(within(t), log, batch("s", 1, 2)); err != nil || at.LastRevision != 3 {
		t.Errorf("afterwards the append is answered %+v, %v", at, err)
	}
}

// No more calls than the log may have are with the server; one beyond them waits, and not for ever.
func TestCallsAreCapped(t *testing.T) {
	t.Parallel()
	behind := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	o := options()
	o.MaxCalls = 2
	log := open(t, esdbtest.Start(t, behind).URL(), o)
	mustAppend(t, log, batch("s", 0, 1))
	release := make(chan struct{})
	var running sync.WaitGroup
	for n := range o.MaxCalls {
		arrived := make(chan struct{})
		behind.Next(eventstoretest.Hold(arrived, release))
		running.Go(func() { mustAppend(t, log, batch(eventstore.StreamID(fmt.Sprint("held-", n)), 0, 1)) })
		<-arrived
	}
	tried := len(behind.Tried())
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := log.Append(ctx, batch("waits", 0, 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v, want one of the deadline", err)
			}
			if _, err := log.Head(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v, want one of the deadline", err)
			}
		})
	}
	waiting.Wait()
	close(release)
	running.Wait()
	if n := len(behind.Tried()); n != tried {
		t.Errorf("%d calls more were with the server", n-tried)
	}
	mustAppend(t, log, batch("waits", 0, 1))
}

// Whatever the server says of an append whose outcome it does not know, the batch is found if it was written, and can be
// sent again, as it is, if it was not.
func TestAnAmbiguousOutcomeIsResolved(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"aborted":            status.Error(codes.Aborted, "Operation timed out"),
		"deadline exceeded":  status.Error(codes.DeadlineExceeded, "late"),
		"unavailable":        status.Error(codes.Unavailable, "Server Is Not Ready"),
		"unknown":            status.Error(codes.Unknown, "No leader info available in response"),
		"internal":           status.Error(codes.Internal, "stream was reset"),
		"cancelled":          status.Error(codes.Canceled, "cancelled"),
		"resource exhausted": status.Error(codes.ResourceExhausted, "too busy"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := esdbtest.StartFake(t)
			log := open(t, f.URL(), options())
			mustAppend(t, log, batch("s", 0, 3))
			f.FailNext(esdbtest.Fault{Err: err, Write: true})
			if at := mustAppend(t, log, batch("s", 1, 3)); at.LastRevision != 5 {
				t.Errorf("a batch that was written is answered %+v", at)
			}
			f.FailNext(esdbtest.Fault{Err: err})
			if at := mustAppend(t, log, batch("s", 2, 3)); at.Repeated || at.LastRevision != 8 {
				t.Errorf("a batch that was not written is answered %+v", at)
			}
			if n := len(readAll(t, log)); n != 9 {
				t.Errorf("the log holds %d events, want 9", n)
			}
		})
	}
}

// A server may refuse an append before it has read it. What it says is heard all the same.
func TestAnAppendThatIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), options())
	b := batch("s", 0, 2000)
	b.Events[0].Data = []byte(`"` + strings.Repeat("x", 2<<20) + `"`) // more than goes out unheard
	mustAppend(t, log, batch("t", 0, 1))
	f.FailNext(esdbtest.Fault{Err: status.Error(codes.InvalidArgument, "Maximum Append Size of 1048576 Exceeded."), Early: true})
	_, err := log.Append(within(t), b)
	if !errors.Is(err, eventstore.ErrTooLarge) || !strings.Contains(err.Error(), "2000 events") || !strings.Contains(err.Error(), "MaxAppendSize") {
		t.Errorf("error is %v, want ErrTooLarge with what was sent and the setting", err)
	}
	if at := mustAppend(t, log, b); at.LastRevision != 1999 {
		t.Errorf("answered %+v", at)
	}
}

// Conflict, deletion, size and right have each an error of their own.
func TestRefusalsOfTheServerAreToldApart(t *testing.T) {
	t.Parallel()
	small := func(o *esdbserver.Options) { o.MaxAppendSize = 2000 }
	log := open(t, esdbtest.Start(t, memory.New(time.Now), small).URL(), options())
	large := batch("s", 0, 1)
	large.Events[0].Data = []byte(`"` + strings.Repeat("x", 3000) + `"`)
	_, err := log.Append(within(t), large)
	if !errors.Is(err, eventstore.ErrTooLarge) || errors.Is(err, eventstore.ErrTransient) || !strings.Contains(err.Error(), "raise MaxAppendSize of the server") {
		t.Errorf("above the server's limit: %v, want ErrTooLarge and the setting", err)
	}
	mustAppend(t, log, batch("s", 0, 2))
	if _, err := log.Append(within(t), batch("s", 0, 2)); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("another revision: %v, want ErrConflict", err)
	}
	closed := func(o *esdbserver.Options) { o.AllowEngineStreams = false }
	if _, err := kurrent.Open(within(t), esdbtest.Start(t, memory.New(time.Now), closed).URL(), options()); !errors.Is(err, kurrent.ErrRefused) {
		t.Errorf("a server that is closed to engines: %v, want ErrRefused", err)
	}
	f := esdbtest.StartFake(t)
	gone := open(t, f.URL(), options())
	mustAppend(t, gone, batch("s", 0, 2))
	f.Bury("s")
	if _, err := gone.Append(within(t), batch("s", 1, 2)); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("a deleted stream: %v, want ErrCorrupt and that it was deleted", err)
	}
}

// The version of a server does not matter.
func TestAServerOfAnyVersionIsTaken(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	f.SayVersion("24.10.0-prerelease")
	mustAppend(t, open(t, f.URL(), options()), batch("s", 0, 1))
}

// The server is asked for the streams of the log alone, and within them for those that the reader wants.
func TestTheServerChooses(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	o := options()
	o.Prefix, o.NoPrefix = "mine-", false
	log := open(t, f.URL(), o)
	mustAppend(t, log, batch("repository-1", 0, 2))
	for _, prefix := range []string{"repository-", "e", ""} {
		for _, err := range log.Read(within(t), 0, eventstore.Filter{StreamPrefix: prefix}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		asked := f.Filters()
		last := asked[len(asked)-1]
		if !strings.Contains(last, "stream_identifier") || !strings.Contains(last, "mine-"+prefix) {
			t.Errorf("for %q the server is asked for %s", prefix, last)
		}
	}
}

// A log that was opened for reading writes nothing, not even itself.
func TestALogForReading(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	if _, err := kurrent.OpenReadOnly(within(t), f.URL(), options()); !errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("where there is no log: %v, want ErrNotFound", err)
	}
	if n := len(f.Of("")); n != 1 { // of the server itself
		t.Errorf("%d events were written", n-1)
	}
	writer := open(t, f.URL(), options())
	b := batch("s", 0, 2)
	mustAppend(t, writer, b)
	reader, err := kurrent.OpenReadOnly(within(t), f.URL(), options())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if reader.ID() != writer.ID() || len(readAll(t, reader)) != 2 {
		t.Errorf("it is log %s with %d events", reader.ID(), len(readAll(t, reader)))
	}
	if _, err := reader.Append(within(t), batch("s", 1, 1)); !errors.Is(err, kurrent.ErrReadOnly) || !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("appending: %v, want ErrReadOnly", err)
	}
	snapshot := eventstore.Snapshot{Stream: "s", EventID: b.Events[0].ID, Data: []byte("x")}
	if err := reader.SaveSnapshot(within(t), snapshot); !errors.Is(err, kurrent.ErrReadOnly) {
		t.Errorf("saving a snapshot: %v, want ErrReadOnly", err)
	}
}
