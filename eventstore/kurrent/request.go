package kurrent

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore"
)

// direction is the order in which events are read.
type direction = api.ReadReq_Options_ReadDirection

const (
	forwards  = api.ReadReq_Options_Forwards
	backwards = api.ReadReq_Options_Backwards
)

// readStream asks for up to count events of a stream, from a revision on; nil is the stream's end.
func readStream(stream string, way direction, from *uint64, count uint64) *api.ReadReq {
	o := &api.ReadReq_Options_StreamOptions{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
		RevisionOption:   &api.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}},
	}
	if from != nil {
		o.RevisionOption = &api.ReadReq_Options_StreamOptions_Revision{Revision: *from}
	}
	return request(&api.ReadReq_Options{
		StreamOption: &api.ReadReq_Options_Stream{Stream: o}, ReadDirection: way,
		CountOption: &api.ReadReq_Options_Count{Count: count},
	}, nil)
}

// readAll asks for up to count events of $all: forwards from a position on, 0 being the beginning, backwards from before
// it, 0 being the end. The position must be one that the server gave.
func readAll(way direction, from eventstore.Position, f *filter, count uint64) *api.ReadReq {
	return request(&api.ReadReq_Options{
		StreamOption: allFrom(way, from), ReadDirection: way, CountOption: &api.ReadReq_Options_Count{Count: count},
	}, f)
}

// subscribe asks for all that comes after a position in $all, 0 being before everything.
func subscribe(after eventstore.Position, f *filter) *api.ReadReq {
	return request(&api.ReadReq_Options{
		StreamOption: allFrom(forwards, after), ReadDirection: forwards,
		CountOption: &api.ReadReq_Options_Subscription{Subscription: &api.ReadReq_Options_SubscriptionOptions{}},
	}, f)
}

func allFrom(way direction, at eventstore.Position) *api.ReadReq_Options_All {
	o := &api.ReadReq_Options_AllOptions{}
	switch {
	case at != 0:
		o.AllOption = &api.ReadReq_Options_AllOptions_Position{Position: &api.ReadReq_Options_Position{
			CommitPosition: uint64(at), PreparePosition: uint64(at),
		}}
	case way == backwards:
		o.AllOption = &api.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	default:
		o.AllOption = &api.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	}
	return &api.ReadReq_Options_All{All: o}
}

func request(o *api.ReadReq_Options, f *filter) *api.ReadReq {
	o.UuidOption = &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
	o.FilterOption = &api.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
	if f != nil {
		o.FilterOption = &api.ReadReq_Options_Filter{Filter: f.option()}
	}
	return &api.ReadReq{Options: o}
}

// filter chooses events of $all on the server: by the name of their stream, or by their type.
type filter struct {
	byType   bool
	prefixes []string // any of them
	regex    string   // or this
}

// window is how many events the server looks at between two checkpoints.
const window = 1000

func (f *filter) option() *api.ReadReq_Options_FilterOptions {
	expression := &api.ReadReq_Options_FilterOptions_Expression{Prefix: f.prefixes, Regex: f.regex}
	o := &api.ReadReq_Options_FilterOptions{
		Filter:                       &api.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: expression},
		Window:                       &api.ReadReq_Options_FilterOptions_Max{Max: window},
		CheckpointIntervalMultiplier: 1,
	}
	if f.byType {
		o.Filter = &api.ReadReq_Options_FilterOptions_EventType{EventType: expression}
	}
	return o
}

// appendTo begins an append to a stream.
func appendTo(stream string, expected eventstore.Expected) *api.AppendReq {
	o := &api.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
		ExpectedStreamRevision: &api.AppendReq_Options_NoStream{NoStream: &shared.Empty{}},
	}
	if next := expected.Next(); next > 0 {
		o.ExpectedStreamRevision = &api.AppendReq_Options_Revision{Revision: uint64(next) - 1}
	}
	return &api.AppendReq{Content: &api.AppendReq_Options_{Options: o}}
}
