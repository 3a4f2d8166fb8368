package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// overEventStoreDB returns a log on a server like EventStoreDB, which fails the test at a position that it never gave. Events of
// another application are between its own.
func overEventStoreDB(t *testing.T) eventstore.Log {
	t.Helper()
	fake := esdbtest.StartFake(t)
	log, err := kurrent.Open(within(t), fake.URL(), kurrent.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	for i, stream := range []eventstore.StreamID{"a", "b", "ab"} {
		if _, err := log.Append(within(t), eventstoretest.NewBatch(stream, eventstore.NoStream(), "writer", 0, i+1)); err != nil {
			t.Fatal(err)
		}
		fake.Put("orders-1", uint64(i), "placed", []byte("{}"), nil)
	}
	return log
}

// atPosition is a request for what there is from a number on.
func atPosition(number uint64, change func(*api.ReadReq_Options)) *api.ReadReq {
	return readRequest(func(o *api.ReadReq_Options) {
		o.CountOption = &api.ReadReq_Options_Count{Count: 100}
		o.GetAll().AllOption = &api.ReadReq_Options_AllOptions_Position{
			Position: &api.ReadReq_Options_Position{CommitPosition: number, PreparePosition: number},
		}
		change(o)
	})
}

// answers returns the positions of the events and of the checkpoints that a call answers with, up to its end or until it has caught up, and how it ends.
func answers(t *testing.T, client api.StreamsClient, request *api.ReadReq) (got, checkpoints []uint64, end string) {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	call, err := client.Read(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	for {
		response, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return got, checkpoints, ""
		case err != nil:
			return got, checkpoints, answered(err, nil)
		case response.GetCaughtUp() != nil:
			return got, checkpoints, ""
		case response.GetEvent() != nil:
			got = append(got, response.GetEvent().GetCommitPosition())
		case response.GetCheckpoint() != nil:
			checkpoints = append(checkpoints, response.GetCheckpoint().GetCommitPosition())
		}
	}
}

// TestANumberOfAClientIsNoPosition holds I19: a client may send any number, and what is behind it and before it is found without
// asking the log what is there.
func TestANumberOfAClientIsNoPosition(t *testing.T) {
	t.Parallel()
	log := overEventStoreDB(t)
	var all []eventstore.Record
	for r, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	head := uint64(all[len(all)-1].Position)
	numbers := []uint64{0, 1, head + 2, 1 << 62}
	for _, r := range all {
		numbers = append(numbers, uint64(r.Position)-1, uint64(r.Position), uint64(r.Position)+1)
	}
	backwards := func(o *api.ReadReq_Options) { o.ReadDirection = api.ReadReq_Options_Backwards }
	live := func(o *api.ReadReq_Options) { o.CountOption = &api.ReadReq_Options_Subscription{} }
	for _, number := range numbers {
		for kind, c := range map[string]struct {
			change func(*api.ReadReq_Options)
			holds  func(at uint64) bool
			most   uint64 // the largest number that is answered
		}{
			"forwards":     {func(*api.ReadReq_Options) {}, func(at uint64) bool { return at >= number }, math.MaxUint64},
			"backwards":    {backwards, func(at uint64) bool { return at < number }, head + 1},
			"subscription": {live, func(at uint64) bool { return at > number }, math.MaxUint64},
		} {
			for _, prefix := range []string{"", "a"} {
				t.Run(fmt.Sprintf("%s from %d, prefix %q", kind, number, prefix), func(t *testing.T) {
					t.Parallel()
					request := atPosition(number, c.change)
					if prefix != "" {
						request.Options.FilterOption = &api.ReadReq_Options_Filter{Filter: byStream([]string{prefix}, "")}
					}
					var want []uint64
					for _, r := range all {
						if number <= c.most && c.holds(uint64(r.Position)) && strings.HasPrefix(string(r.Stream), prefix) {
							want = append(want, uint64(r.Position))
						}
					}
					if kind == "backwards" {
						slices.Reverse(want)
					}
					ends := ""
					if number > c.most {
						ends = "InvalidArgument: Trying to read from an invalid position."
					}
					client := dialStreams(t, served(t, log, options())) // of a server that has given no position yet
					for range 2 {
						got, checkpoints, end := answers(t, client, request)
						if !slices.Equal(got, want) || end != ends {
							t.Errorf("answered %v %q, want %v %q", got, end, want, ends)
						}
						for _, at := range checkpoints {
							if !slices.ContainsFunc(all, func(r eventstore.Record) bool { return uint64(r.Position) == at }) {
								t.Errorf("a checkpoint at %d, where no event is", at)
							}
						}
						if kind == "subscription" && prefix != "" && end == "" && number < head && len(checkpoints) == 0 {
							t.Error("no checkpoint")
						}
					}
				})
			}
		}
	}
}

// lookedBack counts what is read backwards.
type lookedBack struct {
	eventstore.Log

	times atomic.Int64
}

func (l *lookedBack) ReadBackwards(ctx context.Context, before eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	l.times.Add(1)
	return l.Log.ReadBackwards(ctx, before, f)
}

// A client that goes on where it was, as nearly all do, costs no search; another costs one.
func TestPositionsThatWereGivenAreRemembered(t *testing.T) {
	t.Parallel()
	log := &lookedBack{Log: eventstoretest.NewSparse(t, newLog(t), 100)}
	streams := dialStreams(t, served(t, log, options()))
	appended, _ := sendAppend(t, streams, beginAny("s"), proposal(propose(1, 10)), proposal(propose(2, 10)), proposal(propose(3, 10)))
	last := appended.GetSuccess().GetPosition().GetCommitPosition()
	searches := func(number uint64) int64 {
		t.Helper()
		before := log.times.Load()
		if _, _, end := answers(t, streams, atPosition(number, func(*api.ReadReq_Options) {})); end != "" {
			t.Errorf("from %d: %s", number, end)
		}
		return log.times.Load() - before
	}
	if n := searches(last); n != 0 {
		t.Errorf("%d searches for the position of an append, want none", n)
	}
	for _, want := range []int64{1, 0} {
		if n := searches(last - 1); n != want {
			t.Errorf("%d searches for a number that was never given, want %d", n, want)
		}
	}
	all, _, _ := answers(t, streams, readRequest(func(*api.ReadReq_Options) {}))
	for _, at := range all {
		if n := searches(at); n != 0 {
			t.Errorf("%d searches for the position of an event, want none", n)
		}
	}
}
