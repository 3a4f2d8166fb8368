package esdbtest_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// patience bounds what a test waits for. It is reached only by a server that hangs.
const patience = time.Minute

// client calls one node through the generated stubs. Events have labels, by which answers are told.
type client struct {
	t      *testing.T
	conn   *grpc.ClientConn
	stubs  api.StreamsClient
	leader bool // each call requires the leader
	header []string
	labels map[uint64]string
	at     map[string]uint64
}

func dial(t *testing.T, n *esdbtest.Node) *client {
	t.Helper()
	conn, err := grpc.NewClient(n.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn, stubs: api.NewStreamsClient(conn), labels: map[uint64]string{}, at: map[string]uint64{}}
}

func (c *client) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	if c.leader {
		ctx = metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
	}
	return metadata.AppendToOutgoingContext(ctx, c.header...), cancel
}

// oneNode starts a cluster of one node with a client.
func oneNode(t *testing.T, set ...func(*esdbtest.ClusterOptions)) (*esdbtest.Cluster, *client) {
	t.Helper()
	o := esdbtest.ClusterOptions{Nodes: 1}
	for _, change := range set {
		change(&o)
	}
	cluster := esdbtest.StartCluster(t, o)
	return cluster, dial(t, cluster.Node(0))
}

// with returns a client whose calls have a header, names and values in turn.
func (c *client) with(header ...string) *client {
	other := *c
	other.header = header
	return &other
}

// ids are fixed by label.
func id(label string) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewSHA1(uuid.NameSpaceURL, []byte(label)).String()}}
}

// structuredID is id in its other form.
func structuredID(label string) *shared.UUID {
	u := uuid.NewSHA1(uuid.NameSpaceURL, []byte(label))
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: int64(binary.BigEndian.Uint64(u[:8])), LeastSignificantBits: int64(binary.BigEndian.Uint64(u[8:])),
	}}}
}

func identifier(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func expecting(stream, expected string) *api.AppendReq_Options {
	o := &api.AppendReq_Options{StreamIdentifier: identifier(stream)}
	switch expected {
	case "unset":
	case "any":
		o.ExpectedStreamRevision = &api.AppendReq_Options_Any{Any: &shared.Empty{}}
	case "exists":
		o.ExpectedStreamRevision = &api.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	case "no_stream":
		o.ExpectedStreamRevision = &api.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	default:
		o.ExpectedStreamRevision = &api.AppendReq_Options_Revision{Revision: number(expected)}
	}
	return o
}

func number(text string) (n uint64) {
	if _, err := fmt.Sscan(text, &n); err != nil {
		panic(err) // of a test's own table
	}
	return n
}

func proposed(label, kind string, data []byte) *api.AppendReq_ProposedMessage {
	return &api.AppendReq_ProposedMessage{
		Id: id(label), Metadata: map[string]string{"type": kind, "content-type": "application/json"}, Data: data, CustomMetadata: []byte(label),
	}
}

// append appends events of some labels.
func (c *client) append(stream, expected string, labels ...string) (*api.AppendResp, error) {
	messages := make([]*api.AppendReq_ProposedMessage, len(labels))
	for i, label := range labels {
		messages[i] = proposed(label, "T", []byte("{}"))
	}
	return c.propose(expecting(stream, expected), messages...)
}

func (c *client) propose(o *api.AppendReq_Options, messages ...*api.AppendReq_ProposedMessage) (*api.AppendResp, error) {
	ctx, cancel := c.context()
	defer cancel()
	trailers := metadata.MD{}
	call, err := c.stubs.Append(ctx, grpc.Trailer(&trailers))
	if err != nil {
		return nil, err
	}
	err = call.Send(&api.AppendReq{Content: &api.AppendReq_Options_{Options: o}})
	for _, m := range messages {
		if err == nil {
			err = call.Send(&api.AppendReq{Content: &api.AppendReq_ProposedMessage_{ProposedMessage: m}})
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // which says that the answer came already
		return nil, err
	}
	answer, err := call.CloseAndRecv()
	return answer, told(err, call.Trailer())
}

// refusal is an error with its trailers.
type refusal struct {
	error

	trailers metadata.MD
}

func (r refusal) Unwrap() error { return r.error }

func told(err error, trailers metadata.MD) error {
	if err == nil {
		return nil
	}
	return refusal{err, trailers}
}

func (c *client) must(answer *api.AppendResp, err error) *api.AppendResp {
	c.t.Helper()
	if err != nil || answer.GetSuccess() == nil {
		c.t.Fatalf("append is answered %v, %v", answer, err)
	}
	return answer
}

// open makes a call of Read.
func (c *client) open(ctx context.Context, o *api.ReadReq_Options) api.Streams_ReadClient {
	c.t.Helper()
	if o.GetUuidOption() == nil {
		o.UuidOption = &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	}
	if o.GetFilterOption() == nil {
		o.FilterOption = &api.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
	}
	call, err := c.stubs.Read(ctx, &api.ReadReq{Options: o})
	if err != nil {
		c.t.Fatal(err)
	}
	return call
}

// read reads until the answer ends, or stop says so.
func (c *client) read(o *api.ReadReq_Options, stop func(said []string) bool) (said []string, err error) {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	call := c.open(ctx, o)
	for {
		m, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return said, nil
		case err != nil:
			return said, told(err, call.Trailer())
		}
		said = append(said, c.say(m))
		if stop != nil && stop(said) {
			return said, errOpen
		}
	}
}

// errOpen stands for a call that the client ended.
var errOpen = errors.New("still open")

// caughtUp stops a read when a subscription is caught up.
func caughtUp(said []string) bool { return said[len(said)-1] == "caught_up" }

// say puts a message as the facts do.
func (c *client) say(m *api.ReadResp) string {
	switch x := m.GetContent().(type) {
	case *api.ReadResp_Event:
		e := x.Event.GetEvent()
		label := string(e.GetCustomMetadata())
		switch {
		case label != "":
		case e.GetMetadata()["type"] == "$metadata":
			label = "$$:$metadata"
		default:
			label = "other"
		}
		c.labels[e.GetCommitPosition()], c.at[label] = label, e.GetCommitPosition()
		return "event " + label
	case *api.ReadResp_Confirmation:
		return "confirmation"
	case *api.ReadResp_Checkpoint_:
		at := x.Checkpoint
		text := fmt.Sprintf("checkpoint @%s", c.labels[at.GetCommitPosition()])
		if at.GetCommitPosition() == 0 {
			text = "checkpoint 0"
		} else if at.GetPreparePosition() == 0 {
			text += " (prepare 0)"
		}
		return text
	case *api.ReadResp_CaughtUp_:
		return "caught_up"
	case *api.ReadResp_StreamNotFound_:
		return "stream_not_found"
	case *api.ReadResp_FirstStreamPosition:
		return fmt.Sprintf("first_stream_position %d", x.FirstStreamPosition)
	case *api.ReadResp_LastStreamPosition:
		return fmt.Sprintf("last_stream_position %d", x.LastStreamPosition)
	default:
		return fmt.Sprintf("%T", x)
	}
}

func count(n uint64) *api.ReadReq_Options_Count { return &api.ReadReq_Options_Count{Count: n} }

func subscribing() *api.ReadReq_Options_Subscription {
	return &api.ReadReq_Options_Subscription{Subscription: &api.ReadReq_Options_SubscriptionOptions{}}
}

var directions = map[bool]api.ReadReq_Options_ReadDirection{true: api.ReadReq_Options_Backwards}

// ofStream begins a read of a stream: "start", "end" or a revision.
func ofStream(stream, from string, back bool, n uint64) *api.ReadReq_Options {
	at := &api.ReadReq_Options_StreamOptions{StreamIdentifier: identifier(stream)}
	switch from {
	case "start":
		at.RevisionOption = &api.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}
	case "end":
		at.RevisionOption = &api.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
	default:
		at.RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: number(from)}
	}
	return &api.ReadReq_Options{StreamOption: &api.ReadReq_Options_Stream{Stream: at}, ReadDirection: directions[back], CountOption: count(n)}
}

// ofAll begins a read of $all at a position, or at the start or the end.
func ofAll(back bool, n uint64, position ...uint64) *api.ReadReq_Options {
	at := &api.ReadReq_Options_AllOptions{}
	switch {
	case len(position) == 2:
		at.AllOption = &api.ReadReq_Options_AllOptions_Position{Position: &api.ReadReq_Options_Position{
			CommitPosition: position[0], PreparePosition: position[1],
		}}
	case back:
		at.AllOption = &api.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	default:
		at.AllOption = &api.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	}
	return &api.ReadReq_Options{StreamOption: &api.ReadReq_Options_All{All: at}, ReadDirection: directions[back], CountOption: count(n)}
}

// fromEnd subscribes to what is new.
func fromEnd() *api.ReadReq_Options {
	o := ofAll(true, 1)
	o.ReadDirection, o.CountOption = api.ReadReq_Options_Forwards, subscribing()
	return o
}

func following(o *api.ReadReq_Options) *api.ReadReq_Options {
	o.CountOption = subscribing()
	return o
}

// filtered chooses streams by prefix.
func filtered(o *api.ReadReq_Options, window, multiplier uint32, prefixes ...string) *api.ReadReq_Options {
	o.FilterOption = &api.ReadReq_Options_Filter{Filter: &api.ReadReq_Options_FilterOptions{
		Filter: &api.ReadReq_Options_FilterOptions_StreamIdentifier{
			StreamIdentifier: &api.ReadReq_Options_FilterOptions_Expression{Prefix: prefixes},
		},
		Window: &api.ReadReq_Options_FilterOptions_Max{Max: window}, CheckpointIntervalMultiplier: multiplier,
	}}
	return o
}

// code is the name that the facts have for the status of an error.
func code(err error) string {
	if errors.Is(err, errOpen) {
		return "still open"
	}
	var b strings.Builder
	c := status.Code(errors.Unwrap(err))
	if err == nil {
		c = codes.OK
	}
	if c == codes.OK {
		return "OK"
	}
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// sayRefusal puts an error with its trailers as the table has it.
func sayRefusal(err error, stream string) string {
	text := code(err)
	var r refusal
	if !errors.As(err, &r) {
		return text
	}
	text += " " + strings.ReplaceAll(status.Convert(r.error).Message(), stream, "S")
	for _, key := range slices.Sorted(maps.Keys(r.trailers)) {
		if key != "content-type" {
			text += fmt.Sprintf(" [%s=%s]", key, strings.ReplaceAll(strings.Join(r.trailers[key], ","), stream, "S"))
		}
	}
	return text
}

// catcher is a test that notes its errors.
type catcher struct {
	testing.TB

	errors atomic.Int64
}

func (c *catcher) Errorf(string, ...any) { c.errors.Add(1) }
func (c *catcher) Error(...any)          { c.errors.Add(1) }
