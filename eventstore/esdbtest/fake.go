package esdbtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Fake is a server that holds what a test says, whatever a log would make of it. What is cut is seen by reads of a stream
// only through its metadata: nothing is scavenged until Forget. It is safe for concurrent use.
type Fake struct {
	api.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer

	url string

	mu         sync.Mutex // guards all below
	all        []*event   // is only added to, or replaced, as are streams: whoever got a part of it may keep it
	streams    map[string][]*event
	tombstoned map[string]bool
	leader     map[string]int // calls by what they say of requires-leader
	strange    bool           // the next read of a stream answers what no client expects
	faults     []Fault        // what the next appends meet
	filters    []string       // what subscriptions asked to be chosen
	version    string         // of the server, "" for one that does not tell
	grown      chan struct{}  // closed and made anew when an event comes
}

type event = api.ReadResp_ReadEvent_RecordedEvent

// Gap is between the positions of two events of a [Fake].
const Gap = 100

// StartFake starts a fake, which runs until tb ends.
func StartFake(tb testing.TB) *Fake {
	tb.Helper()
	listener, err := listen(tb, "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := &Fake{
		url: fmt.Sprintf("esdb://%s?tls=false", listener.Addr()), streams: map[string][]*event{}, tombstoned: map[string]bool{}, leader: map[string]int{},
		grown: make(chan struct{}),
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(17 << 20))
	api.RegisterStreamsServer(server, f)
	serverfeatures.RegisterServerFeaturesServer(server, f)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	tb.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return f
}

// URL returns the connection string for package kurrent.
func (f *Fake) URL() string { return f.url }

// see counts what a call says of requires-leader.
func (f *Fake) see(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader[fmt.Sprint(md.Get("requires-leader"))]++
}

// Leader returns how many calls there were, by what they say of requires-leader.
func (f *Fake) Leader() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.leader)
}

// BeStrange makes the next read of a stream answer what no client expects.
func (f *Fake) BeStrange() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.strange = true
}

// Fault is what becomes of an append.
type Fault struct {
	Err   error // the answer
	Write bool  // the events are written all the same
	Early bool  // it is answered before the events are read, so that the client does not see why
}

// FailNext lets the next appends meet faults, in order.
func (f *Fake) FailNext(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// Filters returns what subscriptions asked the server to choose, in order.
func (f *Fake) Filters() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.filters)
}

// SayVersion makes the server tell a version of itself.
func (f *Fake) SayVersion(version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = version
}

// GetSupportedMethods tells the version, if the server has one.
func (f *Fake) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version == "" {
		return nil, status.Error(codes.Unimplemented, "an old server")
	}
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: f.version}, nil
}

// Put adds an event behind all others.
func (f *Fake) Put(stream string, revision uint64, name string, data, meta []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(&api.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Metadata: map[string]string{"type": name, "content-type": "application/json"}, Data: data, CustomMetadata: meta,
	}, stream, revision)
}

// PutBatch adds events of a batch as package kurrent would, those whose index is in indexes.
func (f *Fake) PutBatch(stream string, first uint64, size int, indexes ...int) {
	for _, i := range indexes {
		meta, err := json.Marshal(eventstore.Meta{Actor: "a", Index: i, Size: size, Attempt: 1})
		if err != nil {
			panic(err) // it is always JSON
		}
		f.Put(stream, first+uint64(i), "test.v1", []byte("{}"), meta)
	}
}

// Settings sets the metadata of a stream, such as {"$maxCount":1}, as an administrator does.
func (f *Fake) Settings(stream, settings string) {
	name := "$$" + stream
	f.Put(name, uint64(len(f.Of(name))), "$metadata", []byte(settings), nil)
}

// Forget makes the server as if it never had, or had scavenged, the first n events of a stream.
func (f *Fake) Forget(stream string, n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := func(e *event) bool { return nameOf(e) == stream && e.GetStreamRevision() < n }
	f.all = slices.DeleteFunc(slices.Clone(f.all), gone)
	f.streams[stream] = slices.DeleteFunc(slices.Clone(f.streams[stream]), gone)
}

// Bury deletes a stream for ever, as an administrator does.
func (f *Fake) Bury(stream string) {
	f.Put(stream, tombstone, "$streamDeleted", nil, nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tombstoned[stream] = true
}

// tombstone is the number of the event that ends a stream for ever.
const tombstone = 1<<63 - 1

// add needs mu.
func (f *Fake) add(m *api.AppendReq_ProposedMessage, stream string, revision uint64) {
	position := Gap * uint64(1)
	if n := len(f.all); n > 0 {
		position = f.all[n-1].GetCommitPosition() + Gap
	}
	m.Metadata["created"] = strconv.FormatInt(time.Now().UnixNano()/100, 10)
	e := &event{
		Id: m.GetId(), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, StreamRevision: revision,
		CommitPosition: position, PreparePosition: position, Metadata: m.GetMetadata(), Data: m.GetData(),
		CustomMetadata: m.GetCustomMetadata(),
	}
	f.all, f.streams[stream] = append(f.all, e), append(f.streams[stream], e)
	close(f.grown)
	f.grown = make(chan struct{})
}

// Of returns the events of a stream, "" for all. The caller does not change the slice.
func (f *Fake) Of(stream string) []*api.ReadResp_ReadEvent_RecordedEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	if stream == "" {
		return f.all
	}
	return f.streams[stream]
}

func nameOf(e *event) string { return string(e.GetStreamIdentifier().GetStreamName()) }
