package esdbtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

func batchOptions(stream, expected string) *api.BatchAppendReq_Options {
	o := &api.BatchAppendReq_Options{StreamIdentifier: identifier(stream)}
	switch expected {
	case "any":
		o.ExpectedStreamPosition = &api.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
	case "unset":
	case "exists":
		o.ExpectedStreamPosition = &api.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
	case "no_stream":
		o.ExpectedStreamPosition = &api.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	default:
		o.ExpectedStreamPosition = &api.BatchAppendReq_Options_StreamPosition{StreamPosition: number(expected)}
	}
	return o
}

func batchEvent(label string, size int) *api.BatchAppendReq_ProposedMessage {
	m := proposed(label, "T", make([]byte, size))
	return &api.BatchAppendReq_ProposedMessage{Id: m.GetId(), Metadata: m.GetMetadata(), Data: m.GetData(), CustomMetadata: m.GetCustomMetadata()}
}

// say puts an answer to a batch in few words.
func sayBatch(m *api.BatchAppendResp) string {
	if s := m.GetSuccess(); s != nil {
		return fmt.Sprintf("%s: success rev=%d", m.GetCorrelationId().GetString_(), s.GetCurrentRevision())
	}
	detail := m.GetError().GetDetails()[0].GetTypeUrl()
	return fmt.Sprintf("%s: %s %s (%s)", m.GetCorrelationId().GetString_(), codes.Code(m.GetError().GetCode()), m.GetError().GetMessage(),
		detail[strings.LastIndex(detail, ".")+1:])
}

// Appends of one call are written one after the other, and each is answered as the real server answered it (facts: batch/*).
func TestBatchAppend(t *testing.T) {
	t.Parallel()
	cluster := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Nodes: 1, MaxAppendSize: 1000})
	c := dial(t, cluster.Node(0))
	if err := c.delete("tombstone", "gone", "any"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := c.context()
	defer cancel()
	call, err := c.stubs.BatchAppend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ask := func(key string, final bool, o *api.BatchAppendReq_Options, sizes ...int) {
		t.Helper()
		m := &api.BatchAppendReq{CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: key}}, Options: o, IsFinal: final}
		for _, size := range sizes {
			n++
			m.ProposedMessages = append(m.ProposedMessages, batchEvent(fmt.Sprintf("batch-%d", n), size))
		}
		if err := call.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want ...string) {
		t.Helper()
		var got []string
		for range want {
			m, err := call.Recv()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, sayBatch(m))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
	for i, expected := range []string{"no_stream", "0", "1"} { // pipelined_same_stream
		ask(fmt.Sprintf("c%d", i), true, batchOptions("s", expected), 1)
	}
	hear("c0: success rev=0", "c1: success rev=1", "c2: success rev=2")
	ask("c3", true, batchOptions("s", "0"), 1, 1)
	hear("c3: AlreadyExists WrongExpectedVersion (WrongExpectedVersion)")
	ask("c4", true, batchOptions("gone", "any"), 1)
	hear("c4: NotFound StreamDeleted (StreamDeleted)")
	ask("c5", false, batchOptions("large", "any"), 600) // too_large_continues
	ask("c5", false, nil, 600)
	hear("c5: InvalidArgument MaximumAppendSizeExceeded (MaximumAppendSizeExceeded)")
	ask("c5", true, nil, 1)
	ask("c6", false, batchOptions("two", "any"), 1) // interleaved
	ask("c7", false, batchOptions("three", "any"), 1)
	ask("c6", true, nil, 1)
	hear("c6: success rev=1")
	ask("c7", true, nil, 1, 1)
	hear("c7: success rev=2")
	cluster.NoLeader()
	ask("c8", true, batchOptions("s", "2"), 1)
	hear("c8: OK Server Is Not Ready (Empty)")
	cluster.Elect(0)
	// What is not readable yet does not hold up what comes after it, and who half-closes loses the answers.
	cluster.Lag(esdbtest.Lag{Leader: time.Second})
	ask("c9", true, batchOptions("s", "2"), 1)
	ask("d0", true, batchOptions("s", "3"), 1)
	for len(cluster.Of("s")) < 5 {
		cluster.Advance(time.Second)
	}
	hear("c9: success rev=3", "d0: success rev=4")
	if err := cluster.Judge(); err != nil {
		t.Error(err)
	}
}
