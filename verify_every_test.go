package gxpledger_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// countedLog counts how often it is read from its beginning.
type countedLog struct {
	*memory.Log
	began atomic.Int32
	each  func(n int32)
}

func (l *countedLog) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	if after == 0 {
		n := l.began.Add(1)
		if l.each != nil {
			l.each(n)
		}
	}
	return l.Log.Read(ctx, after, f)
}

// verifyOnce verifies in the background until one verification ended, or ctx.
func verifyOnce(ctx context.Context, t *testing.T, ledger *gxpledger.Ledger) *gxpledger.LastVerification {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var found *gxpledger.LastVerification
	err := ledger.VerifyEvery(ctx, gxpledger.VerifyEveryOptions{
		Every: time.Hour, Rate: 1 << 20,
		Finished: func(_ gxpledger.Verification, last gxpledger.LastVerification) { found = &last; cancel() },
		Failed:   func(err error) { t.Error(err); cancel() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAVerificationInTheBackgroundIsResumed: what a process had verified before it ended, the next does not verify again.
func TestAVerificationInTheBackgroundIsResumed(t *testing.T) {
	t.Parallel()
	log := &countedLog{Log: memory.New(time.Now)}
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	ledger, request := newProduct(t, func(c *gxpledger.Config) {
		c.OpenedLog = log
		c.Now = func() time.Time { return time.Unix(0, now.Load()) }
	})
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if last, err := ledger.Admin().LastVerification(t.Context()); err != nil || last != nil {
		t.Fatalf("last verification %+v, %v before the first", last, err)
	}
	log.began.Store(0)
	ctx, stop := context.WithCancel(t.Context())
	log.each = func(n int32) {
		if n == 3 { // the log is verified, and one projection
			stop()
		}
	}
	if last := verifyOnce(ctx, t, ledger); last != nil {
		t.Fatalf("verified %+v, and was stopped in the middle", last)
	}
	whole := int32(1 + len(gxpledger.Projections()))
	log.each = nil
	log.began.Store(0)
	last := verifyOnce(t.Context(), t, ledger)
	if n := log.began.Load(); n != whole-2 {
		t.Errorf("the log was read %d times to end the verification, want %d of %d", n, whole-2, whole)
	}
	head, err := log.Head(t.Context())
	if err != nil || last == nil || !last.Intact || last.Position != uint64(head) {
		t.Fatalf("verified %+v, want an intact log up to %d, %v", last, head, err)
	}
	if kept, err := ledger.Admin().LastVerification(t.Context()); err != nil || kept == nil || *kept != *last {
		t.Errorf("kept is %+v, %v, want %+v", kept, err, last)
	}
	// Nothing is due for an hour, and then all of it.
	now.Add(int64(time.Hour))
	log.began.Store(0)
	if again := verifyOnce(t.Context(), t, ledger); again == nil || !again.FinishedAt.After(last.FinishedAt) || log.began.Load() != whole {
		t.Errorf("verified %+v with %d readings, want the whole again", again, log.began.Load())
	}
}
