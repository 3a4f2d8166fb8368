package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// batch is a message that is a whole append, expecting any revision unless o says another.
func batch(stream string, o *api.BatchAppendReq_Options, events ...*api.AppendReq_ProposedMessage) *api.BatchAppendReq {
	if o == nil {
		o = &api.BatchAppendReq_Options{ExpectedStreamPosition: &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}}
	}
	o.StreamIdentifier = identifier(stream)
	m := &api.BatchAppendReq{CorrelationId: correlation(), Options: o, IsFinal: true}
	for _, e := range events {
		m.ProposedMessages = append(m.ProposedMessages, &api.BatchAppendReq_ProposedMessage{
			Id: e.Id, Metadata: e.Metadata, CustomMetadata: e.CustomMetadata, Data: e.Data,
		})
	}
	return m
}

func correlation() *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}}
}

// batches opens a call of BatchAppend.
func batches(t *testing.T, client api.StreamsClient) api.Streams_BatchAppendClient {
	t.Helper()
	call, err := client.BatchAppend(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// exchange sends messages and returns the one answer to them.
func exchange(t *testing.T, call api.Streams_BatchAppendClient, messages ...*api.BatchAppendReq) *api.BatchAppendResp {
	t.Helper()
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	response, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := response.GetCorrelationId().GetString_(), messages[0].GetCorrelationId().GetString_(); got != want {
		t.Errorf("the answer is for %s, want %s", got, want)
	}
	return response
}

func TestManyAppendsShareACall(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	call := batches(t, client)
	for i := range 5 {
		first := propose(100+2*i, 10)
		response := exchange(t, call, batch("s", nil, first, propose(101+2*i, 10)))
		s := response.GetSuccess()
		if s.GetCurrentRevision() != uint64(2*i+1) || s.GetPosition().GetCommitPosition() != uint64(2*i+2) ||
			string(response.GetStreamIdentifier().GetStreamName()) != "s" || response.GetAny() == nil {
			t.Errorf("answered %+v", response)
		}
	}
	a, b := batch("a", nil, propose(1, 10)), batch("b", nil, propose(2, 10))
	a.IsFinal, b.IsFinal = false, false
	rest := &api.BatchAppendReq{CorrelationId: a.CorrelationId, ProposedMessages: batch("", nil, propose(3, 10)).ProposedMessages}
	last := &api.BatchAppendReq{CorrelationId: a.CorrelationId, IsFinal: true}
	for _, m := range []*api.BatchAppendReq{b, a, rest} {
		if err := call.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if s := exchange(t, call, last).GetSuccess(); s.GetCurrentRevision() != 1 {
		t.Errorf("the append in three messages is answered %+v", s)
	}
	if s := exchange(t, call, &api.BatchAppendReq{CorrelationId: b.CorrelationId, IsFinal: true}).GetSuccess(); s.GetPosition().GetCommitPosition() != 13 {
		t.Errorf("the append that was finished last is answered %+v", s)
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err == nil {
		t.Error("the call goes on")
	}
}

// failed writes an answer of BatchAppend as one line: code, text, and the type and fields of the detail.
func failed(t *testing.T, r *api.BatchAppendResp) string {
	t.Helper()
	s := r.GetError()
	if len(s.GetDetails()) != 1 {
		t.Fatalf("an error has one detail: %+v", r)
	}
	detail, err := s.Details[0].UnmarshalNew() // by the type that its URL names: the client's own
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s: %s | %s %v", codes.Code(uint32(s.GetCode())), s.GetMessage(), proto.MessageName(detail), detail)
}

func TestBatchesAreRefusedAsClientsKnowIt(t *testing.T) {
	t.Parallel()
	o := options()
	o.MaxAppendSize = 1000
	client := dialStreams(t, served(t, newLog(t), o))
	call := batches(t, client)
	exchange(t, call, batch("held", nil, propose(99, 10)))
	at := func(revision uint64) *api.BatchAppendReq_Options {
		return &api.BatchAppendReq_Options{ExpectedStreamPosition: &api.BatchAppendReq_Options_StreamPosition{StreamPosition: revision}}
	}
	noStream := &api.BatchAppendReq_Options{ExpectedStreamPosition: &api.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}}
	exists := &api.BatchAppendReq_Options{ExpectedStreamPosition: &api.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}}
	odd := propose(1, 10)
	delete(odd.Metadata, "type")
	for name, c := range map[string]struct {
		message *api.BatchAppendReq
		want    string
	}{
		"no stream, but there is": {
			batch("held", noStream, propose(1, 10)),
			"AlreadyExists: WrongExpectedVersion | event_store.client.WrongExpectedVersion current_stream_revision:0 expected_no_stream:{}",
		},
		"another revision": {
			batch("held", at(4), propose(1, 10)),
			"AlreadyExists: WrongExpectedVersion | event_store.client.WrongExpectedVersion current_stream_revision:0 expected_stream_position:4",
		},
		"a revision of none": {
			batch("none", at(4), propose(1, 10)),
			"AlreadyExists: WrongExpectedVersion | event_store.client.WrongExpectedVersion current_no_stream:{} expected_stream_position:4",
		},
		"a stream, but is none": {
			batch("none", exists, propose(1, 10)),
			"AlreadyExists: WrongExpectedVersion | event_store.client.WrongExpectedVersion current_no_stream:{} expected_stream_exists:{}",
		},
		"too large": {
			batch("s", nil, propose(1, 600), propose(2, 600)),
			"InvalidArgument: Maximum Append Size of 1000 Exceeded. | event_store.client.MaximumAppendSizeExceeded maxAppendSize:1000",
		},
		"not allowed": {
			batch("engine", nil, propose(1, 10)),
			`PermissionDenied: stream "engine" is written by the engine alone | event_store.client.BadRequest` +
				` message:"stream \"engine\" is written by the engine alone"`,
		},
		"malformed": {
			batch("s", nil, odd),
			`InvalidArgument: Required Metadata Property is missing: type and content-type are required. | event_store.client.BadRequest` +
				` message:"Required Metadata Property is missing: type and content-type are required."`,
		},
		"options without a stream": {
			batch("", nil, propose(1, 10)), `InvalidArgument: no stream is named | event_store.client.BadRequest message:"no stream is named"`,
		},
		"an id that is held": {
			batch("s", nil, propose(99, 10)),
			"AlreadyExists: an event id was used for another event, or at another place: ids are for ever, and a repeated append must be" +
				" the same | event_store.client.BadRequest message:\"an event id was used for another event, or at another place: ids are" +
				" for ever, and a repeated append must be the same\"",
		},
		"late already": {
			batch("s", &api.BatchAppendReq_Options{
				ExpectedStreamPosition: &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
				DeadlineOption:         &api.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-time.Second)},
			}, propose(1, 10)),
			"DeadlineExceeded: Operation timed out. | event_store.client.Timeout ",
		},
		"late for long": {
			batch("s", &api.BatchAppendReq_Options{
				ExpectedStreamPosition: &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
				DeadlineOption:         &api.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Unix(0, 0))},
			}, propose(1, 10)),
			"DeadlineExceeded: Operation timed out. | event_store.client.Timeout ",
		},
	} {
		// The text of a message has its blanks doubled at random, so that nobody parses it.
		if got := squeeze(failed(t, exchange(t, call, c.message))); got != c.want {
			t.Errorf("%s: answered\n %s\nwant\n %s", name, got, c.want)
		}
	}
	if s := exchange(t, call, batch("held", at(0), propose(2, 10))).GetSuccess(); s.GetCurrentRevision() != 1 {
		t.Errorf("after refusals, the call answers %+v", s)
	}
}

func squeeze(text string) string {
	b := []byte(text)
	return string(slices.CompactFunc(b, func(x, y byte) bool { return x == ' ' && y == ' ' }))
}

// An append of a batch that the log does not answer is told as a timeout: its outcome is open.
func TestABatchThatTheLogDoesNotAnswer(t *testing.T) {
	t.Parallel()
	log := &eventstoretest.Faulty{Log: newLog(t)}
	log.Next(eventstoretest.LoseAnswer(nil))
	call := batches(t, dialStreams(t, served(t, log, options())))
	message := batch("s", nil, propose(1, 10))
	want := "DeadlineExceeded: Operation timed out: the log did not answer. Try again with the same event ids. | event_store.client.Timeout "
	if got := squeeze(failed(t, exchange(t, call, message))); got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
	if s := exchange(t, call, message).GetSuccess(); s.GetPosition().GetCommitPosition() != 1 {
		t.Errorf("again, it is answered %+v", s)
	}
}

func TestABatchNeedsACorrelation(t *testing.T) {
	t.Parallel()
	call := batches(t, dialStreams(t, served(t, newLog(t), options())))
	for _, id := range []*shared.UUID{nil, {}, {Value: &shared.UUID_String_{String_: "x"}}, {Value: &shared.UUID_Structured_{}}} {
		message := batch("s", nil, propose(1, 10))
		message.CorrelationId = id
		if err := call.Send(message); err != nil {
			t.Fatal(err)
		}
		response, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := failed(t, response); !strings.HasPrefix(got, "InvalidArgument: ") || response.GetCorrelationId().GetString_() != id.GetString_() {
			t.Errorf("answered %s for %v, want InvalidArgument for %v", got, response.GetCorrelationId(), id)
		}
	}
	if s := exchange(t, call, batch("s", nil, propose(1, 10))).GetSuccess(); s == nil {
		t.Error("the call does not go on")
	}
	for { // on a machine so slow that some are too late, more than 129
		message := batch("s", nil)
		message.IsFinal = false
		if err := call.Send(message); err != nil {
			break
		}
	}
	var err error
	for err == nil {
		_, err = call.Recv()
	}
	if got, want := answered(err, nil), "ResourceExhausted: this call has too many unfinished appends"; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
}

// An append that is not finished in time is answered, and nothing that comes of it later is written.
func TestAnUnfinishedBatchIsAnswered(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	call := batches(t, dialStreams(t, served(t, log, options())))
	begun := batch("s", &api.BatchAppendReq_Options{
		ExpectedStreamPosition: &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		DeadlineOption:         &api.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(50 * time.Millisecond)},
	}, propose(1, 10))
	begun.IsFinal = false
	if err := call.Send(begun); err != nil {
		t.Fatal(err)
	}
	response, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	want := "DeadlineExceeded: Operation timed out: the append was not finished. | event_store.client.Timeout "
	if got := squeeze(failed(t, response)); got != want || response.GetCorrelationId().GetStructured() == nil {
		t.Errorf("answered %s for %v, want %s for a structured id", got, response.GetCorrelationId(), want)
	}
	if err := call.Send(&api.BatchAppendReq{CorrelationId: begun.CorrelationId, IsFinal: true}); err != nil {
		t.Fatal(err)
	}
	if s := exchange(t, call, batch("t", nil, propose(2, 10))).GetSuccess(); s.GetPosition().GetCommitPosition() != 1 {
		t.Errorf("the next append is answered %+v, want the first event of the log", s)
	}
}

// The time in which the server writes another append does not count, though the clock of the options stands still: what was sent meanwhile
// finishes an append in time.
func TestAnAppendIsNotLateWhileTheServerIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &eventstoretest.Faulty{Log: newLog(t)}
		arrived, release := make(chan struct{}), make(chan struct{})
		log.Next(eventstoretest.Hold(arrived, release))
		o, began := options(), time.Now()
		o.Now = func() time.Time { return began }
		conn, _ := dialInMemory(t, log, o)
		call := batches(t, api.NewStreamsClient(conn))
		const n = 20
		var firsts, lasts []*api.BatchAppendReq
		for i := range n {
			first := batch("s", nil, propose(1+i, 10))
			first.IsFinal = false
			firsts, lasts = append(firsts, first), append(lasts, &api.BatchAppendReq{CorrelationId: first.CorrelationId, IsFinal: true})
		}
		for _, m := range slices.Concat(firsts, []*api.BatchAppendReq{batch("t", nil, propose(n+1, 10))}, lasts) {
			if err := call.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		<-arrived
		<-time.After(5 * time.Second) // longer than an append may take from its first message to its last
		close(release)
		for range n + 1 {
			response, err := call.Recv()
			if err != nil || response.GetSuccess() == nil {
				t.Errorf("answered %+v, %v", response, err)
			}
		}
	})
}

// takingLog is a log that takes batches and writes none before it is released.
type takingLog struct {
	*memory.Log
	taken   chan eventstore.StreamID
	release chan struct{}
}

// Enqueue implements [eventstore.OrderedAppender].
func (l *takingLog) Enqueue(ctx context.Context, batch eventstore.Batch) (wait func() (eventstore.Appended, error)) {
	l.taken <- batch.Stream
	return func() (eventstore.Appended, error) {
		<-l.release
		return l.Append(ctx, batch)
	}
}

// The appends of a call are in the log together, so that it may flush them together. One that goes to the end of a stream, wherever that
// is, waits for those before it that go there too.
func TestAppendsOfACallAreWrittenTogether(t *testing.T) {
	t.Parallel()
	log := &takingLog{Log: newLog(t), taken: make(chan eventstore.StreamID, 9), release: make(chan struct{})}
	call := batches(t, dialStreams(t, served(t, log, options())))
	order := []string{"a", "b", "c", "a", "d"}
	for i, stream := range order {
		if err := call.Send(batch(stream, nil, propose(i, 10))); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range order[:3] {
		select {
		case got := <-log.taken:
			if string(got) != want {
				t.Errorf("the log takes an append to %s, want %s", got, want)
			}
		case <-within(t).Done():
			t.Errorf("the log does not take the append to %s", want)
		}
	}
	close(log.release)
	for i, stream := range order {
		response, err := call.Recv()
		if s := response.GetSuccess(); err != nil || string(response.GetStreamIdentifier().GetStreamName()) != stream ||
			s.GetPosition().GetCommitPosition() != uint64(i+1) {
			t.Errorf("answer %d is %+v, %v, want that of stream %s", i, response, err, stream)
		}
	}
}

// However many appends a client sends ahead, they are written and answered in their order.
func TestAppendsOfACallAreWrittenInOrder(t *testing.T) {
	t.Parallel()
	log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	call := batches(t, dialStreams(t, served(t, log, options())))
	const appends = 300
	sent := make(chan error, 1)
	go func() {
		for i := range appends {
			if err := call.Send(batch(fmt.Sprintf("s-%d", i%7*i%11), nil, propose(i, 10+i%3*100_000))); err != nil {
				sent <- err
				return
			}
		}
		sent <- call.CloseSend()
	}()
	for i := range appends {
		response, err := call.Recv()
		if err != nil || response.GetSuccess().GetPosition().GetCommitPosition() != uint64(i+1) {
			t.Fatalf("answer %d is %+v, %v", i, response, err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := call.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the call ends with %v", err)
	}
}

// A refused append is answered when it is refused, once, whatever comes of it later.
func TestARefusedBatchIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	o := options()
	o.MaxAppendSize = 1000
	call := batches(t, dialStreams(t, served(t, newLog(t), o)))
	begun := batch("s", nil, propose(1, 600), propose(2, 600))
	begun.IsFinal = false
	if got := failed(t, exchange(t, call, begun)); !strings.HasPrefix(got, "InvalidArgument: Maximum Append Size of 1000 Exceeded.") {
		t.Errorf("answered %s", got)
	}
	rest := &api.BatchAppendReq{CorrelationId: begun.CorrelationId, ProposedMessages: batch("", nil, propose(3, 10)).ProposedMessages, IsFinal: true}
	if err := call.Send(rest); err != nil {
		t.Fatal(err)
	}
	if s := exchange(t, call, batch("t", nil, propose(4, 10))).GetSuccess(); s.GetPosition().GetCommitPosition() != 1 {
		t.Errorf("the next append is answered %+v, want the first event of the log", s)
	}
}

// Two writers race for one stream, and the one that names no revision finds the new end.
func TestALooseAppendIsOvertaken(t *testing.T) {
	t.Parallel()
	inner := newLog(t)
	log := &eventstoretest.Faulty{Log: inner}
	log.Next(eventstoretest.Overtake(inner, eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 2)))
	client := dial(t, served(t, log, options()))
	if written := mustAppend(t, client, "s", made("e", 1)...); written.NextExpectedVersion != 2 {
		t.Errorf("written at %+v", written)
	}
	faults := make([]eventstoretest.Fault, 16)
	for i := range faults {
		faults[i] = eventstoretest.Conflict()
	}
	log.Next(faults...)
	_, err := client.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{}, made("e", 1)...)
	hasCode(t, err, esdb.ErrorAborted)
}

// A stream that comes to where an append expects it, while its conflict is looked at, takes the append: its ids were never used.
func TestAConflictThatIsOverIsNone(t *testing.T) {
	t.Parallel()
	log := &eventstoretest.Faulty{Log: newLog(t)}
	client := dial(t, served(t, log, options()))
	mustAppend(t, client, "s", made("e", 1)...)
	log.Next(eventstoretest.Conflict())
	written, err := client.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0)}, made("e", 1)...)
	if err != nil || written.NextExpectedVersion != 1 {
		t.Errorf("written %+v, %v, want it at revision 1", written, err)
	}
}
