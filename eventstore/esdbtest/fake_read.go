package esdbtest

import (
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
	strange, gone, events := f.strange, f.tombstoned[stream], f.of(stream)
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
	from := o.GetStream().GetRevision()
	if o.GetReadDirection() == api.ReadReq_Options_Backwards {
		slices.Reverse(events)
		if o.GetStream().GetEnd() != nil {
			from = math.MaxUint64
		}
		events = slices.DeleteFunc(events, func(e *event) bool { return e.GetStreamRevision() > from })
	} else {
		events = slices.DeleteFunc(events, func(e *event) bool { return e.GetStreamRevision() < from })
	}
	return send(call, events, o.GetCount())
}

func send(call api.Streams_ReadServer, events []*event, count uint64) error {
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

func (f *Fake) readAll(o *api.ReadReq_Options, call api.Streams_ReadServer) error {
	events := f.Of("")
	backwards := o.GetReadDirection() == api.ReadReq_Options_Backwards
	if o.GetAll().GetPosition() != nil {
		at, err := place(events, o)
		switch {
		case err != nil:
			return err
		case backwards:
			events = events[:at]
		default:
			events = events[at:]
		}
	}
	if backwards {
		slices.Reverse(events)
	}
	return send(call, events, o.GetCount())
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
		fresh, grown := slices.Clone(f.all[min(next, len(f.all)):]), f.grown
		f.mu.Unlock()
		if err := send(call, fresh, math.MaxUint64); err != nil {
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
