package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore"
)

// What clients of other languages send and the official Go client does not: .NET, Java, Node and Python.

// received are the messages of a read, until the server ends it.
func received(t *testing.T, client api.StreamsClient, request *api.ReadReq) []string {
	t.Helper()
	call, err := client.Read(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for {
		response, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, message(response))
	}
}

// message writes one message of a read as one line.
func message(response *api.ReadResp) string {
	switch c := response.GetContent().(type) {
	case *api.ReadResp_Event:
		e := c.Event.GetEvent()
		return fmt.Sprintf("%s@%d", e.GetStreamIdentifier().GetStreamName(), e.GetStreamRevision())
	case *api.ReadResp_FirstStreamPosition:
		return fmt.Sprintf("first %d", c.FirstStreamPosition)
	case *api.ReadResp_LastStreamPosition:
		return fmt.Sprintf("last %d", c.LastStreamPosition)
	case *api.ReadResp_Checkpoint_:
		return fmt.Sprintf("checkpoint %d", c.Checkpoint.GetCommitPosition())
	case *api.ReadResp_StreamNotFound_:
		return "not found"
	case *api.ReadResp_Confirmation:
		return "confirmation"
	case *api.ReadResp_CaughtUp_:
		return "caught up"
	default:
		return fmt.Sprintf("%T", c)
	}
}

// streamPage asks for a page of a stream as .NET and Java do, with the version of the protocol that tells where the stream ends.
func streamPage(stream string, change func(o *api.ReadReq_Options, s *api.ReadReq_Options_StreamOptions)) *api.ReadReq {
	s := &api.ReadReq_Options_StreamOptions{
		StreamIdentifier: identifier(stream), RevisionOption: &api.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
	}
	return readRequest(func(o *api.ReadReq_Options) {
		o.StreamOption = &api.ReadReq_Options_Stream{Stream: s}
		o.ControlOption = &api.ReadReq_Options_ControlOption{Compatibility: 1}
		change(o, s)
	})
}

// A page of a stream ends with the last revision of the stream, so that no page is an answer without a message: a service that polls
// asks for what is behind its last event, and waits for the first message.
func TestAPageOfAStreamEndsWithItsLastRevision(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), engineOptions()))
	for i := range 4 {
		sendAppend(t, client, beginAny("s"), proposal(propose(i+1, 10)))
	}
	at := func(revision uint64) func(*api.ReadReq_Options, *api.ReadReq_Options_StreamOptions) {
		return func(_ *api.ReadReq_Options, s *api.ReadReq_Options_StreamOptions) {
			s.RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: revision}
		}
	}
	end := func(_ *api.ReadReq_Options, s *api.ReadReq_Options_StreamOptions) {
		s.RevisionOption = &api.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
	}
	back := func(then func(*api.ReadReq_Options, *api.ReadReq_Options_StreamOptions)) func(*api.ReadReq_Options, *api.ReadReq_Options_StreamOptions) {
		return func(o *api.ReadReq_Options, s *api.ReadReq_Options_StreamOptions) {
			o.ReadDirection = api.ReadReq_Options_Backwards
			then(o, s)
		}
	}
	count := func(n uint64) func(*api.ReadReq_Options, *api.ReadReq_Options_StreamOptions) {
		return func(o *api.ReadReq_Options, _ *api.ReadReq_Options_StreamOptions) {
			o.CountOption = &api.ReadReq_Options_Count{Count: n}
		}
	}
	compatibility := func(n uint32) func(*api.ReadReq_Options, *api.ReadReq_Options_StreamOptions) {
		return func(o *api.ReadReq_Options, _ *api.ReadReq_Options_StreamOptions) { o.ControlOption.Compatibility = n }
	}
	for name, c := range map[string]struct {
		request *api.ReadReq
		want    []string
	}{
		"from the start":              {streamPage("s", count(10)), []string{"s@0", "s@1", "s@2", "s@3", "last 3"}},
		"to the count":                {streamPage("s", count(2)), []string{"s@0", "s@1", "last 3"}},
		"nothing":                     {streamPage("s", count(0)), []string{"last 3"}},
		"from the next revision":      {streamPage("s", at(4)), []string{"last 3"}},
		"from behind it":              {streamPage("s", at(5)), []string{"first 4", "last 3"}},
		"from far behind it":          {streamPage("s", at(1<<63)), []string{"first 4", "last 3"}},
		"from the end":                {streamPage("s", end), []string{"last 3"}},
		"back from the end":           {streamPage("s", back(end)), []string{"s@3", "s@2", "s@1", "s@0", "last 3"}},
		"back from a revision":        {streamPage("s", back(at(1))), []string{"s@1", "s@0", "last 3"}},
		"back from behind the end":    {streamPage("s", back(at(9))), []string{"s@3", "s@2", "s@1", "s@0", "last 3"}},
		"missing":                     {streamPage("none", count(10)), []string{"not found"}},
		"as older clients ask":        {streamPage("s", compatibility(0)), []string{"s@0", "s@1", "s@2", "s@3"}},
		"as newer clients may ask":    {streamPage("s", compatibility(99)), []string{"s@0", "s@1", "s@2", "s@3", "last 3"}},
		"as older, from the next one": {readRequest(func(o *api.ReadReq_Options) { o.StreamOption = streamPage("s", at(4)).Options.StreamOption }), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := received(t, client, c.request); !slices.Equal(got, c.want) {
				t.Errorf("answered %v, want %v", got, c.want)
			}
		})
	}
}

// Filters are those of the protocol, with the one lookahead that clients use: at the start, for what is to be left out.
func TestFiltersOfOtherClients(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	all := []string{"a-1", "b-1", "a.2", "order(3", "ab"}
	for i, stream := range all {
		sendAppend(t, client, beginAny(stream), proposal(propose(i+1, 10)))
	}
	for name, c := range map[string]struct {
		prefixes []string
		regex    string
		want     string
	}{
		"prefixes":                     {prefixes: []string{"b", "order"}, want: "b-1 order(3"},
		"the empty prefix":             {prefixes: []string{""}, want: strings.Join(all, " ")},
		"no expression":                {want: ""},
		"an expression":                {regex: "1$", want: "a-1 b-1"},
		"not of the system":            {regex: `^(?!\$).*`, want: strings.Join(all, " ")},
		"none of these":                {regex: `^(?!a-|b-)`, want: "a.2 order(3 ab"},
		"none of these, in a group":    {regex: `^(?!(a-|order\())`, want: "b-1 a.2 ab"},
		"none of these, to their ends": {regex: `^(?!(\$.+$|PersistentConfig\d+$|ab$))`, want: "a-1 b-1 a.2 order(3"},
		"a class":                      {regex: `^(?![)ab])`, want: "order(3"},
		"a negated class":              {regex: `^(?![^])ab])`, want: "a-1 b-1 a.2 ab"},
		"and something":                {regex: `^(?!a-)a`, want: "a.2 ab"},
		"twice":                        {regex: `^(?!a-)(?!b)(a|b|o).*`, want: "a.2 order(3 ab"},
		"alternatives in a group":      {regex: `^(?!a-)(?:a|o)`, want: "a.2 order(3 ab"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := byStream(c.prefixes, c.regex)
			f.CheckpointIntervalMultiplier = 0 // .NET sends it with every read
			var got []string
			for _, e := range received(t, client, filtered(f)) {
				got = append(got, strings.TrimSuffix(e, "@0"))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("read %v, want %s", got, c.want)
			}
		})
	}
}

// Pages of $all may be filtered too, up to the count of what matches.
func TestAPageIsFiltered(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	for i, stream := range []string{"a-1", "b-1", "a-2", "b-2", "a-3"} {
		sendAppend(t, client, beginAny(stream), proposal(propose(i+1, 10)))
	}
	request := filtered(byStream([]string{"a"}, ""))
	request.Options.CountOption = &api.ReadReq_Options_Count{Count: 2}
	request.Options.UuidOption = &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	call, err := client.Read(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a-1@0 00000000-0000-4000-8000-000000000001", "a-2@0 00000000-0000-4000-8000-000000000003"} {
		response, err := call.Recv()
		if got := message(response) + " " + response.GetEvent().GetEvent().GetId().GetString_(); err != nil || got != want {
			t.Errorf("read %s (%v), want %s", got, err, want)
		}
	}
	if _, err := call.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the page ends with %v", err)
	}
}

// Checkpoints come for as many events as the client says: its window times its multiplier.
func TestCheckpointsComeAsOftenAsAsked(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	grow := func(from, n int) {
		for i := range n {
			sendAppend(t, client, beginAny("s"), proposal(propose(from+i, 10)))
		}
	}
	grow(1, 25)
	f := byStream([]string{"none"}, "")
	f.Window = &api.ReadReq_Options_FilterOptions_Max{Max: 1}
	f.CheckpointIntervalMultiplier = 10
	request := filtered(f)
	request.Options.CountOption = &api.ReadReq_Options_Subscription{}
	call, err := client.Read(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"confirmation", "checkpoint 10", "checkpoint 20", "checkpoint 25", "caught up", "checkpoint 35", "checkpoint 45"} {
		if want == "caught up" {
			grow(26, 20)
		}
		response, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := message(response); got != want {
			t.Errorf("message %d is %q, want %q", i, got, want)
		}
	}
}

// A reader that is ahead of the log is told nothing, and goes on when the log is longer than what it has read.
func TestBehindTheEndThereIsNothingYet(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	sendAppend(t, client, beginAny("s"), proposal(propose(1, 10)))
	behind := func(o *api.ReadReq_Options) {
		o.GetAll().AllOption = &api.ReadReq_Options_AllOptions_Position{Position: &api.ReadReq_Options_Position{CommitPosition: 3, PreparePosition: 3}}
	}
	if got := received(t, client, readRequest(behind)); len(got) > 0 {
		t.Errorf("a page from behind the end is %v", got)
	}
	request := readRequest(behind)
	request.Options.CountOption = &api.ReadReq_Options_Subscription{}
	call, err := client.Read(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"confirmation", "caught up", "s@3", "s@4"} {
		response, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := message(response); got != want {
			t.Errorf("message %d is %q, want %q", i, got, want)
		}
		for n := 2; want == "caught up" && n <= 5; n++ {
			sendAppend(t, client, beginAny("s"), proposal(propose(n, 10)))
		}
	}
}

// Some clients write -1 for a stream that must not be there.
func TestTheHighestRevisionMeansNoStream(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	expecting := func() *api.AppendReq {
		return &api.AppendReq{Content: &api.AppendReq_Options_{Options: &api.AppendReq_Options{
			StreamIdentifier: identifier("s"), ExpectedStreamRevision: &api.AppendReq_Options_Revision{Revision: 1<<64 - 1},
		}}}
	}
	response, got := sendAppend(t, client, expecting(), proposal(propose(1, 10)))
	if got != "OK: " || response.GetSuccess() == nil || response.GetSuccess().GetCurrentRevision() != 0 {
		t.Errorf("answered %s %v, want it written", got, response)
	}
	if response, _ = sendAppend(t, client, expecting(), proposal(propose(2, 10))); response.GetWrongExpectedVersion() == nil {
		t.Errorf("answered %v, want a conflict", response)
	}
}

// growing is a log whose stream grows as soon as a page of it was read.
type growing struct {
	eventstore.Log

	grow func()
}

func (g growing) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	found := g.Log.ReadStream(ctx, stream, from)
	return func(yield func(eventstore.Record, error) bool) {
		found(yield)
		g.grow()
	}
}

// The last revision that a page tells is one that the page reached: a reader that goes on behind it misses nothing that came meanwhile.
func TestAPageDoesNotTellOfWhatCameLater(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	writer := dialStreams(t, served(t, log, options()))
	n := 0
	grow := func() {
		n++
		if _, got := sendAppend(t, writer, beginAny("s"), proposal(propose(n, 10))); got != "OK: " {
			t.Error(got)
		}
	}
	grow()
	client := dialStreams(t, served(t, growing{log, grow}, options()))
	all := func(*api.ReadReq_Options, *api.ReadReq_Options_StreamOptions) {}
	if got, want := received(t, client, streamPage("s", all)), []string{"s@0", "last 0"}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
	next := func(_ *api.ReadReq_Options, s *api.ReadReq_Options_StreamOptions) {
		s.RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: 2}
	}
	if got, want := received(t, client, streamPage("s", next)), []string{"last 1"}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
}
