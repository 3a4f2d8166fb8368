package gxpledger_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// mute is a log that does not let anybody follow it while it is told so.
type mute struct {
	eventstore.Log

	silent atomic.Bool
}

func (m *mute) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	if !m.silent.Load() {
		return m.Log.Subscribe(ctx, after, filter)
	}
	return func(yield func(eventstore.Record, error) bool) {
		yield(eventstore.Record{}, fmt.Errorf("%w: nobody answers", eventstore.ErrTransient))
	}
}

// elsewhere is a batch of another stream, which every projection passes over.
func elsewhere() eventstore.Batch {
	return eventstore.Batch{Stream: eventstore.StreamID("other-" + uuid.NewString()), Expected: eventstore.NoStream(), Meta: eventstore.Meta{Actor: "tester", Attempt: 1}, Events: []eventstore.NewEvent{
		{ID: uuid.New(), Type: "other.v1", Data: []byte("{}")},
	}}
}

// What a process tries again is in the status that another shows, until it succeeds or the process ends.
func TestTheStatusShowsWhatAnotherProcessTriesAgain(t *testing.T) {
	t.Parallel()
	log := &mute{Log: memory.New(time.Now)}
	failed := make(chan struct{}, 100)
	var home string
	ledger, request := newProduct(t, func(c *gxpledger.Config) {
		c.OpenedLog, home = log, c.Home
		c.Retrying = func(string, error) {
			select {
			case failed <- struct{}{}:
			default:
			}
		}
	})
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	other, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: home, OpenedLog: log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}()
	retrying := func() (n int) {
		t.Helper()
		all, err := other.Admin().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Retrying == nil {
				continue
			}
			if n++; s.Retrying.Times < 1 || !strings.Contains(s.Retrying.Error, "nobody answers") || s.Retrying.Since.After(s.Retrying.Last) || s.Retrying.Process == "" {
				t.Errorf("%s: %+v", s.Name, s.Retrying)
			}
		}
		return n
	}
	for _, succeeds := range []bool{true, false} {
		log.silent.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		runner, err := ledger.Admin().Runner(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- runner.Run(ctx) }()
		for retrying() == 0 {
			<-failed
		}
		log.silent.Store(false)
		for succeeds && retrying() > 0 { // each page that is written ends it
			if _, err := log.Append(t.Context(), elsewhere()); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		if err := errors.Join(<-ended, runner.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
	if n := retrying(); n != 0 {
		t.Errorf("%d projections are tried again by a process that ended", n)
	}
	if files, err := filepath.Glob(filepath.Join(home, "retries*")); err != nil || len(files) > 0 {
		t.Errorf("the process left %q (%v)", files, err)
	}
}
