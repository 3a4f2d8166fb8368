package esdbserver_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
)

// unreadable is a log that takes appends and cannot be read.
type unreadable struct {
	eventstore.Log
	err error
}

func (u unreadable) Head(context.Context) (eventstore.Position, error) { return 0, u.err }

func (u unreadable) ReadStreamBackwards(context.Context, eventstore.StreamID) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, u.err) }
}

func (u unreadable) Read(ctx context.Context, _ eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return u.ReadStreamBackwards(ctx, "")
}

// broken yields its records and then fails.
type broken struct {
	eventstore.Log
	err error
}

func (b broken) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return b.failing(b.Log.Read(ctx, after, f))
}

func (b broken) ReadStream(ctx context.Context, s eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return b.failing(b.Log.ReadStream(ctx, s, from))
}

func (b broken) failing(inner iter.Seq2[eventstore.Record, error]) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range inner {
			if !yield(r, err) {
				return
			}
		}
		yield(eventstore.Record{}, b.err)
	}
}

func ofStream(name string, change func(*api.ReadReq_Options)) *api.ReadReq {
	return readRequest(func(o *api.ReadReq_Options) {
		o.StreamOption = &api.ReadReq_Options_Stream{Stream: &api.ReadReq_Options_StreamOptions{
			StreamIdentifier: identifier(name), RevisionOption: &api.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}}
		change(o)
	})
}

func same(*api.ReadReq_Options) {}

func live(o *api.ReadReq_Options) { o.CountOption = &api.ReadReq_Options_Subscription{} }

// outcomeOf reads until a call ends, and returns how many events came and how it ended.
func outcomeOf(t *testing.T, client api.StreamsClient, request *api.ReadReq) (events int, code codes.Code) {
	t.Helper()
	call, err := client.Read(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for {
		response, err := call.Recv()
		if err != nil {
			return events, status.Code(err)
		}
		if response.GetEvent() != nil {
			events++
		}
	}
}

// A log that fails is never taken for one that has nothing.
func TestALogThatCannotBeReadIsNotEmpty(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	back := func(o *api.ReadReq_Options) {
		o.ReadDirection = api.ReadReq_Options_Backwards
		o.GetStream().RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: 50}
	}
	end := func(o *api.ReadReq_Options) {
		o.CountOption = &api.ReadReq_Options_Subscription{}
		o.GetStream().RevisionOption = &api.ReadReq_Options_StreamOptions_End{}
	}
	fill := dialStreams(t, served(t, log, options()))
	messages := []*api.AppendReq{beginAny("s")}
	for i := range 3 {
		messages = append(messages, proposal(propose(i+1, 10)))
	}
	if _, got := sendAppend(t, fill, messages...); got != "OK: " {
		t.Fatal(got)
	}
	client := dialStreams(t, served(t, unreadable{Log: log, err: eventstore.ErrTransient}, options()))
	for name, request := range map[string]*api.ReadReq{
		"a stream": ofStream("s", same), "a stream backwards": ofStream("s", back), "a stream, live": ofStream("s", live),
		"a stream from its end": ofStream("s", end), "$all": readRequest(same), "$all, live": readRequest(live),
	} {
		if n, code := outcomeOf(t, client, request); n != 0 || code != codes.Aborted {
			t.Errorf("%s: %d events, then %s", name, n, code)
		}
	}
	if _, got := sendAppend(t, client, beginAny("s"), proposal(propose(9, 10))); !strings.HasPrefix(got, "Aborted:") {
		t.Errorf("an append to any revision: %s", got)
	}
	client = dialStreams(t, served(t, broken{Log: log, err: eventstore.ErrCorrupt}, options()))
	for name, request := range map[string]*api.ReadReq{
		"a stream": ofStream("s", same), "a stream, live": ofStream("s", live), "$all": readRequest(same), "$all, live": readRequest(live),
	} {
		if n, code := outcomeOf(t, client, request); n != 3 || code != codes.DataLoss {
			t.Errorf("%s, broken at the end: %d events, then %s", name, n, code)
		}
	}
}

// An event that stands for bytes which the log does not have is not read as empty.
func TestAContentThatIsLostIsNotEmpty(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	hash := sum([]byte("lost"))
	for i, data := range []string{
		fmt.Sprintf(`{"sha256":%q,"offset":0,"size":4}`, hash), fmt.Sprintf(`{"sha256":%q,"offset":2,"size":%d}`, hash, math.MaxInt64),
	} {
		b := eventstore.Batch{
			Stream: eventstore.StreamID("content-" + hash), Expected: eventstore.NoStream(), Meta: eventstore.Meta{Attempt: 1},
			Events: []eventstore.NewEvent{{ID: [16]byte{1, byte(i)}, Type: "content.v1", Data: []byte(data)}},
		}
		if i == 1 {
			b.Expected = eventstore.AtRevision(0)
			b.Contents = []eventstore.Blob{{SHA256: hash, Bytes: []byte("lost")}}
		}
		if _, err := log.Append(within(t), b); err != nil {
			t.Fatal(err)
		}
		n, code := outcomeOf(t, dialStreams(t, served(t, log, options())), ofStream("content-"+hash, same))
		if n != i || code != codes.DataLoss {
			t.Errorf("data %s: %d events, then %s", data, n, code)
		}
	}
}

// Some clients say the end of $all, or of a stream, as -1.
func TestTheEndMayBeANumber(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	if _, got := sendAppend(t, client, beginAny("s"), proposal(propose(1, 10)), proposal(propose(2, 10))); got != "OK: " {
		t.Fatal(got)
	}
	backAll := readRequest(func(o *api.ReadReq_Options) {
		o.ReadDirection = api.ReadReq_Options_Backwards
		o.GetAll().AllOption = &api.ReadReq_Options_AllOptions_Position{
			Position: &api.ReadReq_Options_Position{CommitPosition: math.MaxUint64, PreparePosition: math.MaxUint64},
		}
	})
	back := ofStream("s", func(o *api.ReadReq_Options) {
		o.ReadDirection = api.ReadReq_Options_Backwards
		o.GetStream().RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: math.MaxUint64}
	})
	for name, request := range map[string]*api.ReadReq{"$all": backAll, "a stream": back} {
		if n, code := outcomeOf(t, client, request); n != 2 || code != codes.Unknown { // io.EOF has no status
			t.Errorf("%s: %d events, then %s", name, n, code)
		}
	}
}
