package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/drivertest"
)

// FailEveryCall fails each call of the driver that a method of log makes, one after the other and in several ways, and holds
// log to what nobody may do without: no error is swallowed, nothing is half written, and the handle works afterwards. Other is
// another handle of the same log, whose driver never fails. Methods of tests are not called. The driver of log is that of package
// drivertest.
func FailEveryCall(t *testing.T, log, other CheckedLog, ofTests ...string) {
	t.Helper()
	f := failing{t: t, log: log, other: other}
	f.add(f.next(6))
	if err := other.SaveSnapshot(t.Context(), f.snapshot(1)); err != nil {
		t.Fatal(err)
	}
	f.reads(ofTests)
	f.appends()
	f.conflicts()
	f.snapshots()
	readAll(t, other)
	if err := other.CheckIntegrity(t.Context(), func(found eventstore.Fault) { t.Errorf("a fault was found: %+v", found) }); err != nil {
		t.Error(err)
	}
}

// failing has one stream.
type failing struct {
	t          *testing.T
	log, other CheckedLog
	n          int // batches
	last       eventstore.Appended
}

// next is a batch of size events behind the last, with a content of its own.
func (f *failing) next(size int) eventstore.Batch {
	f.n++
	batch := start("s", size)
	if f.last != (eventstore.Appended{}) {
		batch = after("s", f.last, size)
	}
	batch.Contents = []eventstore.Blob{blob(fmt.Sprint("content ", f.n))}
	return batch
}

// add appends a batch without a fault.
func (f *failing) add(batch eventstore.Batch) eventstore.Appended {
	f.t.Helper()
	f.last = mustAppend(f.t, f.other, batch)
	return f.last
}

// writes checks that the handle appends after a call that writes.
func (f *failing) writes(what, at string) {
	f.t.Helper()
	appended, err := f.log.Append(f.t.Context(), f.next(2))
	if err != nil {
		f.t.Fatalf("%s: after %s, the handle cannot append: %v", what, at, err)
	}
	f.last = appended
	f.works(what, at)
}

// works checks that others can append, and that the handle reads what they did.
func (f *failing) works(what, at string) {
	f.t.Helper()
	f.add(f.next(1))
	for who, log := range map[string]eventstore.Log{"the handle": f.log, "another handle": f.other} {
		if head, err := log.Head(f.t.Context()); err != nil || head != f.last.Last {
			f.t.Fatalf("%s: after %s, %s reads up to %d, %v; want %d", what, at, who, head, err, f.last.Last)
		}
	}
}

// some returns what seq yields first.
func some[T any](seq iter.Seq2[T, error]) (any, error) {
	var found []T
	for each, err := range seq {
		if err != nil {
			return nil, err
		}
		if found = append(found, each); len(found) == 5 {
			break
		}
	}
	return found, nil
}

// reads compares what a method answers with what another handle answers.
func (f *failing) reads(ofTests []string) {
	f.t.Helper()
	first := blob("content 1").SHA256
	calls := map[string]func(ctx context.Context, log CheckedLog) (any, error){
		"Head": func(ctx context.Context, log CheckedLog) (any, error) { return log.Head(ctx) },
		"At":   func(ctx context.Context, log CheckedLog) (any, error) { return log.At(ctx, 3) },
		"Read": func(ctx context.Context, log CheckedLog) (any, error) {
			return some(log.Read(ctx, 2, eventstore.Filter{}))
		},
		"ReadBackwards": func(ctx context.Context, log CheckedLog) (any, error) {
			return some(log.ReadBackwards(ctx, 0, eventstore.Filter{}))
		},
		"ReadStream":          func(ctx context.Context, log CheckedLog) (any, error) { return some(log.ReadStream(ctx, "s", 1)) },
		"ReadStreamBackwards": func(ctx context.Context, log CheckedLog) (any, error) { return some(log.ReadStreamBackwards(ctx, "s")) },
		"Subscribe": func(ctx context.Context, log CheckedLog) (any, error) {
			return some(log.Subscribe(ctx, 1, eventstore.Filter{}))
		},
		"Content":       func(ctx context.Context, log CheckedLog) (any, error) { return log.Content(ctx, first) },
		"ContentHashes": func(ctx context.Context, log CheckedLog) (any, error) { return some(log.ContentHashes(ctx)) },
		"LoadSnapshot":  func(ctx context.Context, log CheckedLog) (any, error) { return log.LoadSnapshot(ctx, "s") },
		"CheckIntegrity": func(ctx context.Context, log CheckedLog) (any, error) {
			return nil, log.CheckIntegrity(ctx, func(found eventstore.Fault) { f.t.Errorf("a fault was found: %+v", found) })
		},
	}
	if _, ok := f.log.(eventstore.GuardChecker); ok {
		calls["CheckGuards"] = func(ctx context.Context, log CheckedLog) (any, error) {
			guarded, ok := log.(eventstore.GuardChecker)
			if !ok {
				return nil, errors.New("the other handle has no guards")
			}
			return nil, guarded.CheckGuards(ctx, func(found eventstore.Fault) { f.t.Errorf("a fault was found: %+v", found) })
		}
	}
	for _, name := range drivertest.Methods(f.log) {
		if calls[name] == nil && !slices.Contains(append(ofTests, "Append", "Enqueue", "SaveSnapshot"), name) {
			f.t.Errorf("method %s takes a context and is not called", name)
		}
	}
	for name, call := range calls {
		f.add(f.next(6)) // few chunks are read
		var got any
		drivertest.SweepFaults(f.t, drivertest.Faults(), func(ctx context.Context) (err error) {
			got, err = call(ctx, f.log)
			return err
		}, func(t *testing.T, at string, err error) {
			t.Helper()
			want, fault := call(t.Context(), f.other)
			if fault != nil {
				t.Fatalf("%s: after %s, another handle: %v", name, at, fault)
			}
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %s is not told, and the answer is\n%v\nwant\n%v", name, at, got, want)
			}
			f.works(name, at)
		})
	}
}

// appends checks that a batch is there, or not, as Append says, and that appending it again leaves it there once.
func (f *failing) appends() {
	f.t.Helper()
	f.appendsBy("Append", f.log.Append)
	if ordered, ok := f.log.(eventstore.OrderedAppender); ok {
		f.appendsBy("Enqueue", func(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
			return ordered.Enqueue(ctx, batch)()
		})
	}
}

func (f *failing) appendsBy(name string, appending func(context.Context, eventstore.Batch) (eventstore.Appended, error)) {
	f.t.Helper()
	var batch eventstore.Batch
	drivertest.SweepFaults(f.t, drivertest.Faults(), func(ctx context.Context) error {
		batch = f.next(2)
		appended, err := appending(ctx, batch)
		if err == nil {
			f.last = appended
		}
		return err
	}, func(t *testing.T, at string, err error) {
		t.Helper()
		before := f.count(batch)
		if err == nil && before != 2 || errors.Is(err, eventstore.ErrNotWritten) && before != 0 || before == 1 {
			t.Fatalf("%s: after %s it says %v, and the log holds %d of its 2 events", name, at, err, before)
		}
		again, err := f.log.Append(t.Context(), batch)
		if err != nil || again.Repeated != (before == 2) || f.count(batch) != 2 {
			t.Fatalf("%s: after %s, the same batch again: %+v, %v; the log holds %d of its 2 events", name, at, again, err, f.count(batch))
		}
		f.last = again
		if _, err := f.other.Content(t.Context(), batch.Contents[0].SHA256); err != nil {
			t.Fatalf("%s: after %s, its content: %v", name, at, err)
		}
		f.writes(name, at)
	})
}

// conflicts checks that a batch that comes too late is never taken, and one that is there already is found.
func (f *failing) conflicts() {
	f.t.Helper()
	repeated := start("repeated", 2)
	at := mustAppend(f.t, f.other, repeated)
	at.Repeated = true
	for name, batch := range map[string]eventstore.Batch{"a late batch": start("s", 2), "a repeated batch": repeated} {
		var got eventstore.Appended
		drivertest.SweepFaults(f.t, drivertest.Faults(), func(ctx context.Context) (err error) {
			if got, err = f.log.Append(ctx, batch); name == "a late batch" && errors.Is(err, eventstore.ErrConflict) {
				return nil
			}
			return err
		}, func(t *testing.T, where string, err error) {
			t.Helper()
			if name == "a late batch" && (got != eventstore.Appended{} || f.count(batch) != 0) {
				t.Fatalf("%s: %s: it was taken: %+v, %v", name, where, got, err)
			}
			if name == "a repeated batch" && (err == nil && got != at || f.count(batch) != 2) {
				t.Fatalf("%s: %s: answer %+v, %v; want %+v", name, where, got, err, at)
			}
			f.writes(name, where)
		})
	}
}

func (f *failing) snapshot(n byte) eventstore.Snapshot {
	return eventstore.Snapshot{Stream: "s", Revision: 1, EventID: eventstore.EventID{n}, Version: int(n), Data: []byte{n}}
}

// snapshots checks that a snapshot is saved, or the one before is kept.
func (f *failing) snapshots() {
	f.t.Helper()
	n := byte(1)
	drivertest.SweepFaults(f.t, drivertest.Faults(), func(ctx context.Context) error {
		n++
		return f.log.SaveSnapshot(ctx, f.snapshot(n))
	}, func(t *testing.T, at string, err error) {
		t.Helper()
		saved, fault := f.other.LoadSnapshot(t.Context(), "s")
		if fault != nil || err == nil && !reflect.DeepEqual(saved, f.snapshot(n)) {
			t.Fatalf("SaveSnapshot: after %s it says %v, and saved is %+v, %v", at, err, saved, fault)
		}
		f.writes("SaveSnapshot", at)
	})
}

// count returns how many events of batch the log holds at the end of its stream, in one piece.
func (f *failing) count(batch eventstore.Batch) int {
	f.t.Helper()
	found, read := 0, 0
	for r, err := range f.other.ReadStreamBackwards(f.t.Context(), batch.Stream) {
		if err != nil {
			f.t.Fatal(err)
		}
		if slices.ContainsFunc(batch.Events, func(e eventstore.NewEvent) bool { return e.ID == r.ID }) {
			found++
		}
		if read++; read > 20 && found == 0 || found == len(batch.Events) {
			break
		}
	}
	return found
}
