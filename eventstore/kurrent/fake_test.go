package kurrent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
)

// fake is a server that holds what a test says, whatever a log would make of it. As on an EventStoreDB, positions have
// gaps, only those of events can be read from, and nothing looks at ids.
type fake struct {
	api.UnimplementedStreamsServer

	mu      sync.Mutex // guards all below
	all     []*api.ReadResp_ReadEvent_RecordedEvent
	deleted map[string]bool // tombstoned
	leader  map[string]int  // calls by what they say of requires-leader
	strange bool            // the next read of a stream answers what no client expects
}

const gap = 100 // between positions

func newFake(t *testing.T) (f *fake, url string) {
	t.Helper()
	f = &fake{deleted: map[string]bool{}, leader: map[string]int{}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	api.RegisterStreamsServer(server, f)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f, fmt.Sprintf("esdb://%s?tls=false", listener.Addr())
}

// see counts what a call says of requires-leader.
func (f *fake) see(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader[fmt.Sprint(md.Get("requires-leader"))]++
}

// put adds an event behind all others.
func (f *fake) put(stream string, revision uint64, name string, data, meta []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(&api.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Metadata: map[string]string{"type": name, "content-type": "application/json"}, Data: data, CustomMetadata: meta,
	}, stream, revision)
}

// add needs mu.
func (f *fake) add(m *api.AppendReq_ProposedMessage, stream string, revision uint64) {
	position := uint64(len(f.all)+1) * gap
	m.Metadata["created"] = strconv.FormatInt(time.Now().UnixNano()/100, 10)
	f.all = append(f.all, &api.ReadResp_ReadEvent_RecordedEvent{
		Id: m.Id, StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, StreamRevision: revision,
		CommitPosition: position, PreparePosition: position, Metadata: m.Metadata, Data: m.Data, CustomMetadata: m.CustomMetadata,
	})
}

// putBatch adds events of a batch as the adapter would, those whose index is in indexes.
func (f *fake) putBatch(stream string, first uint64, size int, indexes ...int) {
	for _, i := range indexes {
		meta, err := json.Marshal(eventstore.Meta{Actor: "a", Index: i, Size: size, Attempt: 1})
		if err != nil {
			panic(err) // it is always JSON
		}
		f.put(stream, first+uint64(i), "test.v1", []byte("{}"), meta)
	}
}

// forget makes the server as if it never had, or had scavenged, the first n events of a stream.
func (f *fake) forget(stream string, n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = slices.DeleteFunc(f.all, func(e *api.ReadResp_ReadEvent_RecordedEvent) bool {
		return string(e.StreamIdentifier.StreamName) == stream && e.StreamRevision < n
	})
}

// of returns the events of a stream, "" for all.
func (f *fake) of(stream string) []*api.ReadResp_ReadEvent_RecordedEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.all), func(e *api.ReadResp_ReadEvent_RecordedEvent) bool {
		return stream != "" && string(e.StreamIdentifier.StreamName) != stream
	})
}

func (f *fake) Append(call api.Streams_AppendServer) error {
	f.see(call.Context())
	var options *api.AppendReq_Options
	var messages []*api.AppendReq_ProposedMessage
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if o := m.GetOptions(); o != nil {
			options = o
			continue
		}
		messages = append(messages, m.GetProposedMessage())
	}
	stream := string(options.GetStreamIdentifier().GetStreamName())
	f.mu.Lock()
	defer f.mu.Unlock()
	next := uint64(0)
	for _, e := range f.all {
		if string(e.StreamIdentifier.StreamName) == stream {
			next = e.StreamRevision + 1
		}
	}
	want := uint64(0)
	if options.GetNoStream() == nil {
		want = options.GetRevision() + 1
	}
	if next != want {
		return call.SendAndClose(&api.AppendResp{Result: &api.AppendResp_WrongExpectedVersion_{
			WrongExpectedVersion: &api.AppendResp_WrongExpectedVersion{},
		}})
	}
	for i, m := range messages {
		f.add(m, stream, next+uint64(i))
	}
	return call.SendAndClose(&api.AppendResp{Result: &api.AppendResp_Success_{Success: &api.AppendResp_Success{
		CurrentRevisionOption: &api.AppendResp_Success_CurrentRevision{CurrentRevision: next + uint64(len(messages)) - 1},
	}}})
}

func (f *fake) Read(request *api.ReadReq, call api.Streams_ReadServer) error {
	f.see(call.Context())
	o := request.GetOptions()
	if o.GetAll() != nil {
		return f.readAll(o, call)
	}
	stream := string(o.GetStream().GetStreamIdentifier().GetStreamName())
	f.mu.Lock()
	strange, deleted := f.strange, f.deleted[stream]
	f.strange = false
	f.mu.Unlock()
	if deleted {
		call.SetTrailer(metadata.Pairs("exception", "stream-deleted", "stream-name", stream))
		return status.Error(codes.FailedPrecondition, "Event stream is deleted.")
	}
	if strange {
		return call.Send(&api.ReadResp{Content: &api.ReadResp_CaughtUp_{CaughtUp: &api.ReadResp_CaughtUp{}}})
	}
	events := f.of(stream)
	if len(events) == 0 {
		return call.Send(&api.ReadResp{Content: &api.ReadResp_StreamNotFound_{StreamNotFound: &api.ReadResp_StreamNotFound{
			StreamIdentifier: o.GetStream().GetStreamIdentifier(),
		}}})
	}
	from := o.GetStream().GetRevision()
	if o.GetReadDirection() == api.ReadReq_Options_Backwards {
		slices.Reverse(events)
		if o.GetStream().GetEnd() != nil {
			from = math.MaxUint64
		}
		events = slices.DeleteFunc(events, func(e *api.ReadResp_ReadEvent_RecordedEvent) bool { return e.StreamRevision > from })
	} else {
		events = slices.DeleteFunc(events, func(e *api.ReadResp_ReadEvent_RecordedEvent) bool { return e.StreamRevision < from })
	}
	return send(call, events, o.GetCount())
}

func send(call api.Streams_ReadServer, events []*api.ReadResp_ReadEvent_RecordedEvent, count uint64) error {
	for i, e := range events {
		if uint64(i) == count {
			break
		}
		if err := call.Send(&api.ReadResp{Content: &api.ReadResp_Event{Event: &api.ReadResp_ReadEvent{Event: e}}}); err != nil {
			return err
		}
	}
	return nil
}

// readAll takes no filter: the adapter must not rely on it.
func (f *fake) readAll(o *api.ReadReq_Options, call api.Streams_ReadServer) error {
	events := f.of("")
	backwards := o.GetReadDirection() == api.ReadReq_Options_Backwards
	subscription := o.GetSubscription() != nil
	if p := o.GetAll().GetPosition(); p != nil {
		i := slices.IndexFunc(events, func(e *api.ReadResp_ReadEvent_RecordedEvent) bool { return e.CommitPosition == p.CommitPosition })
		switch {
		case i < 0:
			return status.Error(codes.InvalidArgument, "Trying to read from an invalid position.")
		case backwards:
			events = events[:i]
		case subscription:
			events = events[i+1:]
		default:
			events = events[i:]
		}
	}
	if backwards {
		slices.Reverse(events)
	}
	if !subscription {
		return send(call, events, o.GetCount())
	}
	if err := call.Send(&api.ReadResp{Content: &api.ReadResp_Confirmation{
		Confirmation: &api.ReadResp_SubscriptionConfirmation{SubscriptionId: "s"},
	}}); err != nil {
		return err
	}
	if err := send(call, events, math.MaxUint64); err != nil {
		return err
	}
	if err := call.Send(&api.ReadResp{Content: &api.ReadResp_CaughtUp_{CaughtUp: &api.ReadResp_CaughtUp{}}}); err != nil {
		return err
	}
	<-call.Context().Done()
	return status.FromContextError(call.Context().Err()).Err()
}
