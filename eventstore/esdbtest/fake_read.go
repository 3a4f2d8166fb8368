package esdbtest

import (
	"fmt"
	"iter"
	"math"
	"slices"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Read reads a stream or $all, or follows $all. It takes no filter: a client must not rely on one.
func (f *Fake) Read(request *api.ReadReq, call api.Streams_ReadServer) error {
	f.see(call.Context())
	o := request.GetOptions()
	if o.GetAll() != nil {
		if o.GetSubscription() != nil {
			return f.follow(o, call)
		}
		return f.readAll(o, call)
	}
	stream := string(o.GetStream().GetStreamIdentifier().GetStreamName())
	f.mu.Lock()
	strange, gone, events := f.strange, f.tombstoned[stream], f.streams[stream]
	f.strange = false
	f.mu.Unlock()
	switch {
	case gone:
		return deleted(call.SetTrailer, stream)
	case strange:
		return call.Send(&api.ReadResp{Content: &api.ReadResp_CaughtUp_{CaughtUp: &api.ReadResp_CaughtUp{}}})
	case len(events) == 0:
		return call.Send(&api.ReadResp{Content: &api.ReadResp_StreamNotFound_{StreamNotFound: &api.ReadResp_StreamNotFound{
			StreamIdentifier: o.GetStream().GetStreamIdentifier(),
		}}})
	}
	at := slices.IndexFunc(events, func(e *event) bool { return e.GetStreamRevision() >= o.GetStream().GetRevision() })
	if at < 0 || o.GetStream().GetEnd() != nil {
		at = len(events)
	}
	if o.GetReadDirection() != api.ReadReq_Options_Backwards {
		return send(call, slices.Values(events[at:]), o.GetCount())
	}
	if at < len(events) && events[at].GetStreamRevision() == o.GetStream().GetRevision() {
		at++ // it begins with that one
	}
	return send(call, backwards(events[:at]), o.GetCount())
}

func backwards(events []*event) iter.Seq[*event] {
	return func(yield func(*event) bool) {
		for _, e := range slices.Backward(events) {
			if !yield(e) {
				return
			}
		}
	}
}

func send(call api.Streams_ReadServer, events iter.Seq[*event], count uint64) error {
	for e := range events {
		if count == 0 {
			break
		}
		count--
		if err := call.Send(&api.ReadResp{Content: &api.ReadResp_Event{Event: &api.ReadResp_ReadEvent{Event: e}}}); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fake) readAll(o *api.ReadReq_Options, call api.Streams_ReadServer) error {
	events := f.Of("")
	back := o.GetReadDirection() == api.ReadReq_Options_Backwards
	at := 0
	if back {
		at = len(events)
	}
	if o.GetAll().GetPosition() != nil {
		var err error
		if at, err = place(events, o); err != nil {
			return err
		}
	}
	if back {
		return send(call, backwards(events[:at]), o.GetCount())
	}
	return send(call, slices.Values(events[at:]), o.GetCount())
}

// place returns the index of the event at the position that a call names. Only those of events can be read from.
func place(events []*event, o *api.ReadReq_Options) (int, error) {
	at, found := slices.BinarySearchFunc(events, o.GetAll().GetPosition().GetCommitPosition(), func(e *event, position uint64) int {
		return int(int64(e.GetCommitPosition() - position))
	})
	if !found {
		return 0, status.Error(codes.InvalidArgument, "Trying to read from an invalid position.")
	}
	return at, nil
}

// follow sends what comes after a position, and goes on with what is added.
func (f *Fake) follow(o *api.ReadReq_Options, call api.Streams_ReadServer) error {
	f.mu.Lock()
	f.filters = append(f.filters, fmt.Sprint(o.GetFilter()))
	f.mu.Unlock()
	next := 0
	if o.GetAll().GetPosition() != nil {
		at, err := place(f.Of(""), o)
		if err != nil {
			return err
		}
		next = at + 1
	}
	if err := call.Send(&api.ReadResp{Content: &api.ReadResp_Confirmation{
		Confirmation: &api.ReadResp_SubscriptionConfirmation{SubscriptionId: "s"},
	}}); err != nil {
		return err
	}
	for live := false; ; live = true {
		f.mu.Lock()
		fresh, grown := f.all[min(next, len(f.all)):], f.grown
		f.mu.Unlock()
		if err := send(call, slices.Values(fresh), math.MaxUint64); err != nil {
			return err
		}
		next += len(fresh)
		if !live {
			if err := call.Send(&api.ReadResp{Content: &api.ReadResp_CaughtUp_{CaughtUp: &api.ReadResp_CaughtUp{}}}); err != nil {
				return err
			}
		}
		select {
		case <-grown:
		case <-call.Context().Done():
			return status.FromContextError(call.Context().Err()).Err()
		}
	}
}
