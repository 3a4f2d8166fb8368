package esdbserver

import (
	"math"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// query is a checked request to read.
type query struct {
	all       bool // of $all, else of stream
	stream    string
	backwards bool
	from      place
	limit     uint64
	live      bool    // continue with new events; then from is exclusive and limit means nothing
	filter    *filter // nil for none; of $all only
	textIDs   bool    // event ids as text
	// endings asks for a message at the end of a page of a stream, which says where the stream ends.
	endings bool
}

// place is where reading begins.
type place struct {
	kind placeKind
	at   uint64 // position or revision of placeExact
}

type placeKind int

const (
	placeStart placeKind = iota
	placeEnd
	placeExact
)

// parseQuery checks a request. It refuses what is not stated, rather than guess.
func parseQuery(request *wire.ReadReq) (query, error) {
	o := request.GetOptions()
	q := query{textIDs: o.GetUuidOption().GetString_() != nil, endings: o.GetControlOption().GetCompatibility() > 0}
	switch o.GetReadDirection() {
	case wire.ReadReq_Options_Forwards:
	case wire.ReadReq_Options_Backwards:
		q.backwards = true
	default:
		return query{}, malformed("unknown read direction")
	}
	switch count := o.GetCountOption().(type) {
	case *wire.ReadReq_Options_Count:
		q.limit = count.Count
	case *wire.ReadReq_Options_Subscription:
		q.live = true
	default:
		return query{}, malformed("neither a count nor a subscription is asked for")
	}
	if q.live && q.backwards {
		return query{}, malformed("a subscription cannot run backwards")
	}
	if err := q.parseSource(o); err != nil {
		return query{}, err
	}
	return q, q.parseFilter(o)
}

func (q *query) parseSource(o *wire.ReadReq_Options) error {
	switch source := o.GetStreamOption().(type) {
	case *wire.ReadReq_Options_Stream:
		q.stream = string(source.Stream.GetStreamIdentifier().GetStreamName())
		if q.stream == "" {
			return malformed("no stream is named")
		}
		return q.parseRevision(source.Stream)
	case *wire.ReadReq_Options_All:
		q.all = true
		return q.parsePosition(source.All)
	default:
		return malformed("neither a stream nor $all is asked for")
	}
}

func (q *query) parseRevision(o *wire.ReadReq_Options_StreamOptions) error {
	switch from := o.GetRevisionOption().(type) {
	case *wire.ReadReq_Options_StreamOptions_Start:
		q.from = place{kind: placeStart}
	case *wire.ReadReq_Options_StreamOptions_End:
		q.from = place{kind: placeEnd}
	case *wire.ReadReq_Options_StreamOptions_Revision:
		q.from = exactly(from.Revision)
	default:
		return malformed("no revision to begin at")
	}
	return nil
}

func (q *query) parsePosition(o *wire.ReadReq_Options_AllOptions) error {
	switch from := o.GetAllOption().(type) {
	case *wire.ReadReq_Options_AllOptions_Start:
		q.from = place{kind: placeStart}
	case *wire.ReadReq_Options_AllOptions_End:
		q.from = place{kind: placeEnd}
	case *wire.ReadReq_Options_AllOptions_Position:
		commit, prepare := from.Position.GetCommitPosition(), from.Position.GetPreparePosition()
		if commit != prepare {
			return invalidPosition()
		}
		if q.from = exactly(commit); commit == 0 {
			q.from = place{kind: placeStart}
		}
	default:
		return malformed("no position to begin at")
	}
	return nil
}

// exactly is the place at, or the end: some clients say -1 for it.
func exactly(at uint64) place {
	if at == math.MaxUint64 {
		return place{kind: placeEnd}
	}
	return place{kind: placeExact, at: at}
}

func (q *query) parseFilter(o *wire.ReadReq_Options) error {
	option, ok := o.GetFilterOption().(*wire.ReadReq_Options_Filter)
	if !ok {
		return nil // some clients send no_filter, some nothing
	}
	if !q.all {
		return malformed("a filter is for $all, not for a stream")
	}
	var err error
	q.filter, err = parseFilter(option.Filter, q.live)
	return err
}

func invalidPosition() *refusal { return malformed("Trying to read from an invalid position.") }
