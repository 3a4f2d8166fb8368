package eventstoretest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/drivertest"
)

// CheckedLog is a log whose integrity can be checked.
type CheckedLog interface {
	eventstore.Log
	eventstore.IntegrityChecker
}

// CancelEveryCall cancels each method of log that takes a context at each call of the driver, and then uses log: it can still
// append and reads what it appended, and so can other, another handle of the same log. More are further calls. The driver of
// log is that of package drivertest.
func CancelEveryCall(t *testing.T, log, other CheckedLog, more map[string]func(ctx context.Context) error) {
	t.Helper()
	c := cancelling{t: t, log: log, end: eventstore.NoStream()}
	calls := c.calls()
	maps.Copy(calls, more)
	for _, name := range drivertest.Methods(log) {
		if calls[name] == nil {
			t.Errorf("method %s takes a context and is not called", name)
		}
	}
	for name, use := range calls {
		if err := c.add(t.Context(), log); err != nil { // so that there is something to read
			t.Fatalf("%s: append: %v", name, err)
		}
		drivertest.Sweep(t, use, func(t *testing.T, at int) {
			t.Helper()
			c.check(name, at, other)
		})
	}
}

// cancelling has one stream, and knows where it ends.
type cancelling struct {
	t   *testing.T
	log CheckedLog
	end eventstore.Expected
}

// content is in every batch.
func content() eventstore.Blob {
	sum := sha256.Sum256([]byte("kept"))
	return eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: []byte("kept")}
}

func (c *cancelling) add(ctx context.Context, log eventstore.Log) error {
	return c.addBy(func(batch eventstore.Batch) (eventstore.Appended, error) { return log.Append(ctx, batch) })
}

func (c *cancelling) addBy(appending func(eventstore.Batch) (eventstore.Appended, error)) error {
	batch := NewBatch("s", c.end, "w", 0, 3)
	batch.Contents = []eventstore.Blob{content()}
	at, err := appending(batch)
	if err == nil {
		c.end = eventstore.AtRevision(at.LastRevision)
	}
	return err
}

// few reads some of what is there: the log grows with each call.
func few[T any](found iter.Seq2[T, error]) error {
	n := 4
	for _, err := range found {
		if err != nil {
			return err
		}
		if n--; n == 0 {
			return nil
		}
	}
	return nil
}

func (c *cancelling) calls() map[string]func(ctx context.Context) error {
	log := c.log
	everything := eventstore.Filter{}
	// back is the position of the n-th event from the end, 0 where there are fewer.
	back := func(n int) eventstore.Position {
		for r, err := range log.ReadBackwards(c.t.Context(), 0, everything) {
			if err != nil {
				c.t.Fatalf("read backwards: %v", err)
			}
			if n--; n == 0 {
				return r.Position
			}
		}
		return 0
	}
	calls := map[string]func(ctx context.Context) error{
		"Append":        func(ctx context.Context) error { return c.add(ctx, log) },
		"Read":          func(ctx context.Context) error { return few(log.Read(ctx, back(4), everything)) },
		"ReadBackwards": func(ctx context.Context) error { return few(log.ReadBackwards(ctx, 0, everything)) },
		"At": func(ctx context.Context) error {
			_, err := log.At(ctx, back(1))
			return err
		},
		"ReadStream":          func(ctx context.Context) error { return few(log.ReadStream(ctx, "s", 0)) },
		"ReadStreamBackwards": func(ctx context.Context) error { return few(log.ReadStreamBackwards(ctx, "s")) },
		"Subscribe": func(ctx context.Context) error {
			n := 3
			for _, err := range log.Subscribe(ctx, back(4), everything) {
				if n--; err != nil || n == 0 {
					return err
				}
			}
			return ctx.Err()
		},
		"Content": func(ctx context.Context) error {
			_, err := log.Content(ctx, content().SHA256)
			return err
		},
		"ContentHashes": func(ctx context.Context) error { return few(log.ContentHashes(ctx)) },
		"Head": func(ctx context.Context) error {
			_, err := log.Head(ctx)
			return err
		},
		"SaveSnapshot": func(ctx context.Context) error {
			return log.SaveSnapshot(ctx, eventstore.Snapshot{Stream: "s", EventID: eventstore.EventID{1}, Data: []byte{1}})
		},
		"LoadSnapshot": func(ctx context.Context) error {
			if _, err := log.LoadSnapshot(ctx, "s"); !errors.Is(err, eventstore.ErrNotFound) { // it is of no event that is there
				return err
			}
			return nil
		},
		"CheckIntegrity": func(ctx context.Context) error {
			return log.CheckIntegrity(ctx, func(f eventstore.Fault) { c.t.Errorf("a fault was found: %+v", f) })
		},
	}
	if ordered, ok := log.(eventstore.OrderedAppender); ok {
		calls["Enqueue"] = func(ctx context.Context) error {
			return c.addBy(func(batch eventstore.Batch) (eventstore.Appended, error) { return ordered.Enqueue(ctx, batch)() })
		}
	}
	return calls
}

// check uses the handle after a call of a method was cancelled.
func (c *cancelling) check(method string, call int, other CheckedLog) {
	c.t.Helper()
	ctx := c.t.Context()
	for who, log := range map[string]eventstore.Log{"the same handle": c.log, "another": other} {
		for r, err := range log.ReadStreamBackwards(ctx, "s") {
			if err != nil {
				c.t.Fatalf("%s: after call %d was cancelled, %s cannot read: %v", method, call, who, err)
			}
			c.end = eventstore.AtRevision(r.Revision) // what was cancelled may have been appended
			break
		}
		if err := c.add(ctx, log); err != nil {
			c.t.Fatalf("%s: after call %d was cancelled, %s cannot append: %v", method, call, who, err)
		}
	}
	one, err := c.log.Head(ctx)
	two, fault := other.Head(ctx)
	if one != two || err != nil || fault != nil {
		c.t.Fatalf("%s: after call %d was cancelled, the handle reads up to %d, %v, another up to %d, %v", method, call, one, err, two, fault)
	}
}
