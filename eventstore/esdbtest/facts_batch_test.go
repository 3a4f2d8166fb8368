package esdbtest_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// batchOf is a batch of small events.
func batchOf(key, stream, expected string, labels ...string) *api.BatchAppendReq {
	m := &api.BatchAppendReq{CorrelationId: text(key), IsFinal: true}
	if stream != "" {
		m.Options = batchOptions(stream, expected)
	}
	for _, label := range labels {
		m.ProposedMessages = append(m.ProposedMessages, batchEvent(label, 2))
	}
	return m
}

func text(id string) *shared.UUID { return &shared.UUID{Value: &shared.UUID_String_{String_: id}} }

// answer stands for an answer that is waited for before the next batch is sent.
var answer = &api.BatchAppendReq{}

// batch sends batches in one call, and puts n answers to them as the table has them.
func (c *client) batch(n int, messages ...*api.BatchAppendReq) (said string, err error) {
	ctx, cancel := c.context()
	defer cancel()
	call, err := c.stubs.BatchAppend(ctx)
	if err != nil {
		return "", told(err, nil)
	}
	answers := []string{}
	for i := 0; len(answers) < n; {
		for ; i < len(messages) && messages[i] != answer; i++ {
			if err := call.Send(messages[i]); err != nil {
				i = len(messages) // the call is over, which Recv tells
			}
		}
		i++
		m, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return strings.Join(answers, ", "), nil
		case err != nil:
			return strings.Join(answers, ", "), told(err, call.Trailer())
		}
		answers = append(answers, sayWhole(m))
	}
	return strings.Join(answers, ", "), errOpen
}

// sayWhole puts an answer to a batch as the table has it. The streams of a test's batches are all called S.
func sayWhole(m *api.BatchAppendResp) string {
	key := "none(none)"
	switch id := m.GetCorrelationId(); {
	case id.GetStructured() != nil:
		key = "c1(structured)"
	case id != nil:
		key = strings.ReplaceAll(id.GetString_(), zeroID, "UUID") + "(string)"
	}
	stream := "S"
	if len(m.GetStreamIdentifier().GetStreamName()) == 0 {
		stream = "none"
	}
	if strings.HasPrefix(string(m.GetStreamIdentifier().GetStreamName()), "closed") {
		stream = "closed-S"
	}
	result := sayError(m.GetError())
	if s := m.GetSuccess(); s != nil {
		revision, position := fmt.Sprint(s.GetCurrentRevision()), "position"
		if s.GetNoStream() != nil {
			revision = "no_stream"
		}
		if s.GetPosition() == nil {
			position = "no_position"
		}
		result = fmt.Sprintf("success rev=%s pos=%s", revision, position)
	}
	return fmt.Sprintf("%s: %s stream=%s exp=none", key, result, stream)
}

const zeroID = "00000000-0000-0000-0000-000000000000"

// sayError puts what a batch was refused with as the table has it.
func sayError(s *status.Status) string {
	name := code(told(grpcstatus.FromProto(s).Err(), nil))
	if codes.Code(s.GetCode()) == codes.OK {
		name = "undefined"
	}
	if len(s.GetDetails()) == 0 {
		return ""
	}
	detail := s.GetDetails()[0]
	text := fmt.Sprintf("error code=%s message=%q details=%s", name, s.GetMessage(), detail.GetTypeUrl())
	m, err := detail.UnmarshalNew()
	switch {
	case err != nil || proto.Size(m) == 0:
		return text + " 0B"
	default:
		return text + " " + sayDetail(m)
	}
}

// sayDetail puts a detail as the table has it.
func sayDetail(m proto.Message) string {
	switch d := m.(type) {
	case *shared.BadRequest:
		return fields(map[string]any{"": map[string]string{"message": d.GetMessage()}})[2:]
	case *shared.MaximumAppendSizeExceeded:
		return fmt.Sprintf(`{"maxAppendSize":%d}`, d.GetMaxAppendSize())
	case *shared.StreamDeleted:
		return `{"stream_identifier":{"stream_name":"S"}}`
	case *shared.WrongExpectedVersion:
		current := `"current_no_stream":{},"current_stream_revision_option":"current_no_stream"`
		if d.GetCurrentNoStream() == nil {
			current = fmt.Sprintf(`"current_stream_revision":"%d","current_stream_revision_option":"current_stream_revision"`, d.GetCurrentStreamRevision())
		}
		expected := fmt.Sprintf(`"expected_stream_position":"%d"`, d.GetExpectedStreamPosition())
		option := "expected_stream_position"
		switch {
		case d.GetExpectedAny() != nil:
			option = "expected_any"
		case d.GetExpectedNoStream() != nil:
			option = "expected_no_stream"
		case d.GetExpectedStreamExists() != nil:
			option = "expected_stream_exists"
		}
		if option != "expected_stream_position" {
			expected = fmt.Sprintf(`%q:{}`, option)
		}
		return fmt.Sprintf(`{%s,%s,"expected_stream_position_option":%q}`, current, expected, option)
	default:
		return fmt.Sprint(m)
	}
}

// batchFacts appends in batches.
func batchFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t, func(o *esdbtest.ClusterOptions) { o.MaxAppendSize = 16_000_000 })
	ask := func(name string, answers int, messages ...*api.BatchAppendReq) {
		said, err := c.batch(answers, messages...)
		record("batch/"+name, sayRefusal(err, "\x00")+" "+said)
	}
	begin := c.states()
	for _, x := range [][2]string{
		{"existing", "no_stream"},
		{"existing", "0"},
		{"existing", "2"},
		{"existing", "9"},
		{"existing", "exists"},
		{"new", "exists"},
		{"new", "0"},
		{"new", "unset"},
		{"new", "18446744073709551615"},
		{"new", "9223372036854775807"},
		{"soft_deleted", "exists"},
		{"soft_deleted", "no_stream"},
		{"soft_deleted", "2"},
		{"tombstoned", "any"},
		{"tombstoned", "no_stream"},
	} {
		s := "batch-" + x[0] + "-" + x[1]
		begin[x[0]](s)
		ask(x[0]+"/"+x[1], 1, batchOf("c1", s, x[1], s+"new"))
	}
	n := 0
	labels := func(count int) (fresh []string) {
		for range count {
			n++
			fresh = append(fresh, fmt.Sprintf("batch-%d", n))
		}
		return fresh
	}
	of := func(key, stream, expected string, events int) *api.BatchAppendReq {
		return batchOf(key, stream, expected, labels(events)...)
	}
	open := func(m *api.BatchAppendReq) *api.BatchAppendReq { m.IsFinal = false; return m }
	changed := func(m *api.BatchAppendReq, change func(m *api.BatchAppendReq, e *api.BatchAppendReq_ProposedMessage)) *api.BatchAppendReq {
		change(m, m.GetProposedMessages()[0])
		return m
	}
	type event = api.BatchAppendReq_ProposedMessage
	ask("any", 1, of("c1", "b-any", "any", 2))
	ask("no_stream", 1, of("c1", "b-none", "no_stream", 1))
	ask("no_events", 1, of("c1", "b-nothing", "any", 0))
	ask("closed_stream", 1, of("c1", "closed-b", "any", 1))
	ask("structured_cid", 1, changed(of("c1", "b-form", "any", 1), func(m *api.BatchAppendReq, _ *event) { m.CorrelationId = structuredID("c1") }))
	ask("two_batches", 2, of("c1", "b-a", "any", 1), of("c2", "b-b", "any", 1))
	ask("interleaved", 2, open(of("c1", "b-c", "any", 1)), open(of("c2", "b-d", "any", 1)), of("c2", "", "", 1), of("c1", "", "", 1))
	ask("final_empty", 1, open(of("c1", "b-e", "any", 1)), of("c1", "", "", 0))
	ask("options_twice", 1, open(of("c1", "b-f", "any", 1)), of("c1", "b-g", "any", 1))
	ask("same_cid_again", 2, of("c1", "b-h", "any", 1), answer, of("c1", "b-h", "any", 1))
	ask("order_conflict_first", 2, of("c1", "b-i", "7", 1), of("c2", "b-i", "any", 1))
	ask("pipelined_same_stream", 5, of("c1", "b-j", "no_stream", 1), of("c2", "b-j", "0", 1), of("c3", "b-j", "1", 1), of("c4", "b-j", "2", 1), of("c5", "b-j", "3", 1))
	two := labels(2)
	ask("repeat_any", 2, batchOf("c1", "b-k", "any", two...), batchOf("c2", "b-k", "any", two...))
	one := labels(2)
	ask("partly_any", 2, batchOf("c1", "b-l", "any", one[0]), answer, batchOf("c2", "b-l", "any", one...))
	ask("too_large", 1, open(changed(of("c1", "b-m", "any", 1), sized(9e6))), changed(of("c1", "", "", 1), sized(9e6)))
	ask("too_large_continues", 2, open(changed(of("c1", "b-n", "any", 2), sized(16_100_000))), of("c1", "", "", 1), of("c2", "b-o", "any", 1))
	ask("empty_message", 1, &api.BatchAppendReq{})
	said, err := c.with("requires-leader", "true").batch(1, of("c1", "b-p", "any", 1))
	record("batch/requires_leader", sayRefusal(err, "\x00")+" "+said)
	said, err = c.with("authorization", basic("admin:nonsense")).batch(1, of("c1", "b-q", "any", 1))
	record("credentials/batch/wrong", "OK "+said)
	if code(err) != "still open" {
		t.Errorf("with credentials that nobody looks at: %v", err)
	}
}

// sized makes the first event of a batch so large.
func sized(bytes int) func(*api.BatchAppendReq, *api.BatchAppendReq_ProposedMessage) {
	return func(_ *api.BatchAppendReq, e *api.BatchAppendReq_ProposedMessage) { e.Data = make([]byte, bytes) }
}
