package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

// answered writes what a call ended with as one line: code, text and trailers.
func answered(err error, trailer metadata.MD) string {
	s := status.Convert(err)
	line := fmt.Sprintf("%s: %s", s.Code(), s.Message())
	for _, name := range slices.Sorted(maps.Keys(trailer)) {
		if name != "content-type" {
			line += fmt.Sprintf(" | %s=%s", name, strings.Join(trailer[name], ","))
		}
	}
	return line
}

// sendAppend sends messages, all of them, and returns what the client sees at the end.
func sendAppend(t *testing.T, client api.StreamsClient, messages ...*api.AppendReq) (*api.AppendResp, string) {
	t.Helper()
	var trailer metadata.MD
	call, err := client.Append(within(t), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range messages {
		err := call.Send(m)
		if errors.Is(err, io.EOF) {
			break // the server has answered already: CloseAndRecv returns what
		}
		if err != nil {
			t.Fatalf("message %d of %d was not taken: %v", i, len(messages), err)
		}
	}
	response, err := call.CloseAndRecv()
	return response, answered(err, trailer)
}

func identifier(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func beginAny(stream string) *api.AppendReq {
	return &api.AppendReq{Content: &api.AppendReq_Options_{Options: &api.AppendReq_Options{
		StreamIdentifier: identifier(stream), ExpectedStreamRevision: &api.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

// propose is an event with an id that ends in n, and data of a size.
func propose(n, size int) *api.AppendReq_ProposedMessage {
	return &api.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: fmt.Sprintf("00000000-0000-4000-8000-%012d", n)}},
		Metadata: map[string]string{"type": "e", "content-type": "application/json"},
		Data:     []byte(`"` + strings.Repeat("x", max(size, 4)-4) + `"`), // with 2 for the type
	}
}

func proposal(m *api.AppendReq_ProposedMessage) *api.AppendReq {
	return &api.AppendReq{Content: &api.AppendReq_ProposedMessage_{ProposedMessage: m}}
}

// proposing is an append of one event that change made.
func proposing(change func(*api.AppendReq_ProposedMessage)) []*api.AppendReq {
	m := propose(1, 10)
	change(m)
	return []*api.AppendReq{beginAny("s"), proposal(m)}
}

// Clients tell refusals apart by status and trailers, word for word.
func TestAppendsAreRefusedAsClientsKnowIt(t *testing.T) {
	t.Parallel()
	o := options()
	o.MaxAppendSize, o.MaxEventSize = 1000, 600
	client := dialStreams(t, served(t, newLog(t), o))
	if _, got := sendAppend(t, client, beginAny("held"), proposal(propose(99, 10))); got != "OK: " {
		t.Fatal(got)
	}
	for name, c := range map[string]struct {
		messages []*api.AppendReq
		want     string
	}{
		"as large as allowed": {[]*api.AppendReq{beginAny("s2"), proposal(propose(11, 600)), proposal(propose(12, 400))}, "OK: "},
		"too large": {
			[]*api.AppendReq{beginAny("s"), proposal(propose(1, 500)), proposal(propose(2, 501)), proposal(propose(3, 10))},
			"InvalidArgument: Maximum Append Size of 1000 Exceeded. | exception=maximum-append-size-exceeded | maximum-append-size=1000",
		},
		"too large an event": {
			[]*api.AppendReq{beginAny("s"), proposal(propose(1, 601)), proposal(propose(2, 10))},
			"InvalidArgument: Event with id 00000000-0000-4000-8000-000000000001 of 601 bytes is above the limit of 600." +
				" | event-id=00000000-0000-4000-8000-000000000001 | exception=maximum-append-event-size-exceeded" +
				" | maximum-append-event-size=600 | proposed-append-event-size=601",
		},
		"no type": {
			proposing(func(m *api.AppendReq_ProposedMessage) { delete(m.Metadata, "type") }),
			"InvalidArgument: Required Metadata Property is missing: type and content-type are required." +
				" | exception=missing-required-metadata-property | required-metadata-properties=type,content-type",
		},
		"no content type": {
			proposing(func(m *api.AppendReq_ProposedMessage) { delete(m.Metadata, "content-type") }),
			"InvalidArgument: Required Metadata Property is missing: type and content-type are required." +
				" | exception=missing-required-metadata-property | required-metadata-properties=type,content-type",
		},
		"not allowed": {
			[]*api.AppendReq{beginAny("engine"), proposal(propose(1, 10)), proposal(propose(2, 10))},
			`PermissionDenied: stream "engine" is written by the engine alone | exception=access-denied`,
		},
		"an id that is held": {
			[]*api.AppendReq{beginAny("s"), proposal(propose(99, 10))},
			"AlreadyExists: an event id was used for another event, or at another place: ids are for ever, and a repeated" +
				" append must be the same | exception=event-id-reused",
		},
		"no id":   {proposing(func(m *api.AppendReq_ProposedMessage) { m.Id = nil }), "InvalidArgument: an id that is not the zero UUID is required"},
		"zero id": {proposing(func(m *api.AppendReq_ProposedMessage) { m.Id = &shared.UUID{Value: &shared.UUID_Structured_{}} }), "InvalidArgument: an id that is not the zero UUID is required"},
		"odd id": {
			proposing(func(m *api.AppendReq_ProposedMessage) {
				m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: "x\n"}}
			}),
			"InvalidArgument: \"x\\n\" is not a UUID",
		},
		"odd type": {
			proposing(func(m *api.AppendReq_ProposedMessage) { m.Metadata["type"] = "a\tb" }),
			`InvalidArgument: invalid argument: batch for stream "s": event 0: type "a\tb": want UTF-8 text without control characters`,
		},
		"odd stream": {
			[]*api.AppendReq{beginAny("a\xff"), proposal(propose(1, 10))},
			`InvalidArgument: invalid argument: batch for stream "a\xff": stream name "a\xff": want UTF-8 text without control characters`,
		},
		"odd stream, no events": {
			[]*api.AppendReq{beginAny("a\nb")}, `InvalidArgument: stream name "a\nb": want UTF-8 text without control characters`,
		},
		"long stream": {
			[]*api.AppendReq{beginAny(strings.Repeat("s", 64<<10)), proposal(propose(1, 10))}, `InvalidArgument: invalid argument: batch for stream "` +
				strings.Repeat("s", 200) + `": stream name of 65536 bytes: want 1 to 1024`,
		},
		"no stream": {[]*api.AppendReq{beginAny(""), proposal(propose(1, 10))}, "InvalidArgument: no stream is named"},
		"nothing expected": {
			[]*api.AppendReq{{Content: &api.AppendReq_Options_{Options: &api.AppendReq_Options{StreamIdentifier: identifier("s")}}}},
			"InvalidArgument: the append expects no revision",
		},
		"nothing at all": {nil, "InvalidArgument: the append has no options"},
		"empty":          {[]*api.AppendReq{beginAny("s"), {}}, "InvalidArgument: a message of the append has neither options nor an event"},
		"event first":    {[]*api.AppendReq{proposal(propose(1, 10)), beginAny("s")}, "InvalidArgument: an event comes before the options"},
		"options twice":  {[]*api.AppendReq{beginAny("s"), beginAny("s")}, "InvalidArgument: the append has options twice"},
		"one id twice": {
			[]*api.AppendReq{beginAny("s"), proposal(propose(1, 10)), proposal(propose(1, 10))},
			`InvalidArgument: invalid argument: batch for stream "s": event 1: id 00000000-0000-4000-8000-000000000001 repeats`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := sendAppend(t, client, c.messages...); got != c.want {
				t.Errorf("answered\n %s\nwant\n %s", got, c.want)
			}
		})
	}
}

// A conflict is told in the form of old clients and of new ones.
func TestAConflictIsReportedInBothForms(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	exact := beginAny("s")
	exact.GetOptions().ExpectedStreamRevision = &api.AppendReq_Options_Revision{Revision: 7}
	response, _ := sendAppend(t, client, exact, proposal(propose(1, 10)))
	w := response.GetWrongExpectedVersion()
	if w.GetCurrentNoStream() == nil || w.GetNoStream_20_6_0() == nil || w.GetExpectedRevision() != 7 || w.GetExpectedRevision_20_6_0() != 7 {
		t.Errorf("the conflict is %+v", w)
	}
	sendAppend(t, client, beginAny("s"), proposal(propose(2, 10)), proposal(propose(3, 10)))
	response, _ = sendAppend(t, client, exact, proposal(propose(1, 10)))
	if w = response.GetWrongExpectedVersion(); w.GetCurrentRevision() != 1 || w.GetCurrentRevision_20_6_0() != 1 {
		t.Errorf("the conflict is %+v", w)
	}
}

// A client that sends much after its append was refused still learns why: an early answer would break its sending, and
// the official client then looks at neither status nor trailers.
func TestARefusedAppendIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	o := options()
	o.MaxAppendSize = 1 << 20
	client := dialStreams(t, served(t, newLog(t), o))
	messages := []*api.AppendReq{beginAny("s")}
	for i := range 40 {
		messages = append(messages, proposal(propose(i+1, 512<<10)))
	}
	_, got := sendAppend(t, client, messages...)
	if want := "InvalidArgument: Maximum Append Size of 1048576 Exceeded. | exception=maximum-append-size-exceeded | maximum-append-size=1048576"; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
}

func readRequest(change func(*api.ReadReq_Options)) *api.ReadReq {
	o := &api.ReadReq_Options{
		StreamOption: &api.ReadReq_Options_All{All: &api.ReadReq_Options_AllOptions{
			AllOption: &api.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption: &api.ReadReq_Options_Count{Count: 10},
	}
	change(o)
	return &api.ReadReq{Options: o}
}

func filtered(f *api.ReadReq_Options_FilterOptions) *api.ReadReq {
	return readRequest(func(o *api.ReadReq_Options) { o.FilterOption = &api.ReadReq_Options_Filter{Filter: f} })
}

func byStream(prefixes []string, regex string) *api.ReadReq_Options_FilterOptions {
	return &api.ReadReq_Options_FilterOptions{
		Filter: &api.ReadReq_Options_FilterOptions_StreamIdentifier{
			StreamIdentifier: &api.ReadReq_Options_FilterOptions_Expression{Prefix: prefixes, Regex: regex},
		},
		Window: &api.ReadReq_Options_FilterOptions_Count{Count: &shared.Empty{}}, CheckpointIntervalMultiplier: 1,
	}
}

func TestReadsAreRefusedAsClientsKnowIt(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	lookaround := "InvalidArgument: the regular expression is not of RE2 syntax, which has neither lookaround (but for (?!...) after a leading ^) " +
		"nor backreferences: "
	noWindow := byStream([]string{"a"}, "")
	noWindow.Window = nil
	noInterval := filtered(byStream([]string{"a"}, ""))
	noInterval.Options.CountOption = &api.ReadReq_Options_Subscription{}
	noInterval.Options.GetFilter().CheckpointIntervalMultiplier = 0
	for name, c := range map[string]struct {
		request *api.ReadReq
		want    string
	}{
		"nothing": {&api.ReadReq{}, "InvalidArgument: neither a count nor a subscription is asked for"},
		"no source": {
			readRequest(func(o *api.ReadReq_Options) { o.StreamOption = nil }), "InvalidArgument: neither a stream nor $all is asked for",
		},
		"no stream": {
			readRequest(func(o *api.ReadReq_Options) { o.StreamOption = &api.ReadReq_Options_Stream{} }), "InvalidArgument: no stream is named",
		},
		"no revision": {
			readRequest(func(o *api.ReadReq_Options) {
				o.StreamOption = &api.ReadReq_Options_Stream{Stream: &api.ReadReq_Options_StreamOptions{StreamIdentifier: identifier("s")}}
			}), "InvalidArgument: no revision to begin at",
		},
		"no position": {
			readRequest(func(o *api.ReadReq_Options) { o.StreamOption = &api.ReadReq_Options_All{} }), "InvalidArgument: no position to begin at",
		},
		"backwards from beyond the end": {
			readRequest(func(o *api.ReadReq_Options) {
				o.ReadDirection = api.ReadReq_Options_Backwards
				o.GetAll().AllOption = &api.ReadReq_Options_AllOptions_Position{
					Position: &api.ReadReq_Options_Position{CommitPosition: 9, PreparePosition: 9},
				}
			}), "InvalidArgument: Trying to read from an invalid position.",
		},
		"an odd direction": {
			readRequest(func(o *api.ReadReq_Options) { o.ReadDirection = 7 }), "InvalidArgument: unknown read direction",
		},
		"a subscription backwards": {
			readRequest(func(o *api.ReadReq_Options) {
				o.ReadDirection, o.CountOption = api.ReadReq_Options_Backwards, &api.ReadReq_Options_Subscription{}
			}), "InvalidArgument: a subscription cannot run backwards",
		},
		"a filtered stream": {
			readRequest(func(o *api.ReadReq_Options) {
				o.FilterOption = &api.ReadReq_Options_Filter{Filter: byStream([]string{"a"}, "")}
				o.StreamOption = &api.ReadReq_Options_Stream{Stream: &api.ReadReq_Options_StreamOptions{
					StreamIdentifier: identifier("s"), RevisionOption: &api.ReadReq_Options_StreamOptions_Start{},
				}}
			}), "InvalidArgument: a filter is for $all, not for a stream",
		},
		"an empty filter":   {filtered(&api.ReadReq_Options_FilterOptions{}), "InvalidArgument: the filter says neither stream nor event type"},
		"a double choice":   {filtered(byStream([]string{"a"}, "a")), "InvalidArgument: the filter has both prefixes and a regular expression"},
		"no window":         {filtered(noWindow), "InvalidArgument: the filter has no window"},
		"no interval":       {noInterval, "InvalidArgument: the window or the checkpoint interval multiplier of the filter is 0"},
		"an open group":     {filtered(byStream(nil, "(")), lookaround + "error parsing regexp: missing closing ): `(`"},
		"an open lookahead": {filtered(byStream(nil, "^(?!a")), lookaround + "error parsing regexp: invalid or unsupported Perl syntax: `(?!`"},
		"a lookahead of one alternative": {
			filtered(byStream(nil, "^(?!a).*|b")), lookaround + "error parsing regexp: invalid or unsupported Perl syntax: `(?!`",
		},
		"lookahead":        {filtered(byStream(nil, "a(?=b)")), lookaround + "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		"a back reference": {filtered(byStream(nil, `(a)\1`)), lookaround + "error parsing regexp: invalid escape sequence: `\\1`"},
		"a long expression": {
			filtered(byStream(nil, strings.Repeat("a", 5000))), "InvalidArgument: the regular expression has 5000 bytes: the limit is 4096",
		},
		"many prefixes": {filtered(byStream(make([]string, 1001), "")), "InvalidArgument: the filter has 1001 prefixes: the limit is 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call, err := client.Read(within(t), c.request)
			if err != nil {
				t.Fatal(err)
			}
			_, err = call.Recv()
			if got := answered(err, call.Trailer()); got != c.want {
				t.Errorf("answered\n %s\nwant\n %s", got, c.want)
			}
		})
	}
}

func TestNothingIsDeleted(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	sendAppend(t, client, beginAny("s"), proposal(propose(1, 10)))
	want := "PermissionDenied: the log is append-only: streams are neither deleted nor tombstoned | exception=access-denied"
	var trailer metadata.MD
	_, err := client.Delete(within(t), &api.DeleteReq{Options: &api.DeleteReq_Options{StreamIdentifier: identifier("s")}}, grpc.Trailer(&trailer))
	if got := answered(err, trailer); got != want {
		t.Errorf("Delete: %s, want %s", got, want)
	}
	_, err = client.Tombstone(within(t), &api.TombstoneReq{Options: &api.TombstoneReq_Options{StreamIdentifier: identifier("s")}}, grpc.Trailer(&trailer))
	if got := answered(err, trailer); got != want {
		t.Errorf("Tombstone: %s, want %s", got, want)
	}
}

// What goes wrong in the log is told as what a client can do about it. The text is for the operator.
func TestFailuresOfTheLogAreTranslated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failure error
		want    string
		told    bool // to the operator
	}{
		{eventstore.ErrTransient, "Aborted: Operation timed out: the log did not answer. Try again with the same event ids.", true},
		{eventstore.ErrCorrupt, "DataLoss: the log is corrupt: ask its operator to run verify", true},
		{eventstore.ErrClosed, "Unavailable: the log is closed", false},
		{eventstore.ErrTooLarge, "InvalidArgument: Maximum Append Size of 16777216 Exceeded. | exception=maximum-append-size-exceeded | maximum-append-size=16777216", false},
		{context.DeadlineExceeded, "Aborted: Operation timed out.", false},
		{errors.New("disk /dev/x is full"), "Unknown: the log failed: the operator's log has the cause", true},
	} {
		failed := make(chan error, 1)
		o := options()
		o.Failed = func(err error) { failed <- err }
		log := &eventstoretest.Faulty{Log: newLog(t)}
		log.Next(eventstoretest.FailBefore(c.failure))
		_, got := sendAppend(t, dialStreams(t, served(t, log, o)), beginAny("s"), proposal(propose(1, 10)))
		if got != c.want {
			t.Errorf("%v: answered %s, want %s", c.failure, got, c.want)
		}
		select {
		case err := <-failed:
			if !c.told || !errors.Is(err, c.failure) {
				t.Errorf("%v: the operator is told %v", c.failure, err)
			}
		default:
			if c.told {
				t.Errorf("%v: the operator is told nothing", c.failure)
			}
		}
	}
}
