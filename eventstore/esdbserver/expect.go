package esdbserver

import (
	"context"
	"math"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// expectation is where an append expects its stream.
type expectation struct {
	kind     expectationKind
	revision uint64 // of expectRevision
}

type expectationKind int

const (
	expectNothing expectationKind = iota // nothing was given
	expectRevision
	expectNoStream
	expectAny
	expectExists
)

func expectationOf(o *wire.AppendReq_Options) expectation {
	switch e := o.GetExpectedStreamRevision().(type) {
	case *wire.AppendReq_Options_Revision:
		return atRevision(e.Revision)
	case *wire.AppendReq_Options_NoStream:
		return expectation{kind: expectNoStream}
	case *wire.AppendReq_Options_Any:
		return expectation{kind: expectAny}
	case *wire.AppendReq_Options_StreamExists:
		return expectation{kind: expectExists}
	default:
		return expectation{}
	}
}

// atRevision expects the last event at a revision. Some clients write -1 for no stream.
func atRevision(revision uint64) expectation {
	if revision == math.MaxUint64 {
		return expectation{kind: expectNoStream}
	}
	return expectation{kind: expectRevision, revision: revision}
}

// loose reports whether e leaves open where the stream ends.
func (e expectation) loose() bool { return e.kind == expectAny || e.kind == expectExists }

// holds reports whether a stream that ends at end is as expected.
func (e expectation) holds(end streamEnd) bool {
	switch e.kind {
	case expectRevision:
		return end > 0 && uint64(end)-1 == e.revision
	case expectNoStream:
		return end == 0
	case expectAny:
		return true
	case expectExists:
		return end > 0
	case expectNothing:
	}
	return false
}

// at is what the log is told for a stream that ends at end.
func (e expectation) at(end streamEnd) eventstore.Expected {
	switch {
	case e.kind == expectRevision:
		return eventstore.AtRevision(eventstore.Revision(e.revision))
	case e.kind == expectNoStream, end == 0:
		return eventstore.NoStream()
	default:
		return eventstore.AtRevision(eventstore.Revision(end - 1))
	}
}

// endOf returns where a stream ends, 0 if there is none.
func (v *service) endOf(ctx context.Context, stream eventstore.StreamID) (streamEnd, error) {
	for r, err := range v.log.ReadStreamBackwards(ctx, stream) {
		if err != nil {
			return 0, err
		}
		return streamEnd(r.Revision) + 1, nil
	}
	return 0, nil
}

// appendResponse tells a client of an outcome. A conflict is no error in the protocol; it is told in the old form and in
// the new one, and clients read either.
func (o outcome) appendResponse(e expectation) *wire.AppendResp {
	if !o.conflict {
		return &wire.AppendResp{Result: &wire.AppendResp_Success{Success: o.success()}}
	}
	w := &wire.AppendResp_WrongExpectedVersion{}
	if o.end == 0 {
		w.CurrentRevisionOption = &wire.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &wire.Empty{}}
		w.CurrentRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &wire.Empty{}}
	} else {
		last := uint64(o.end) - 1
		w.CurrentRevisionOption = &wire.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: last}
		w.CurrentRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: last}
	}
	e.tell(w)
	return &wire.AppendResp{Result: &wire.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}

// tell fills in what was expected.
func (e expectation) tell(w *wire.AppendResp_WrongExpectedVersion) {
	switch e.kind {
	case expectRevision:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: e.revision}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: e.revision}
	case expectNoStream:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &wire.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64}
	case expectExists:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &wire.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &wire.Empty{}}
	case expectAny, expectNothing:
		w.ExpectedRevisionOption = &wire.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &wire.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &wire.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &wire.Empty{}}
	}
}

// success tells where the last event of an append stands.
func (o outcome) success() *wire.AppendSuccess {
	s := &wire.AppendSuccess{
		CurrentRevisionOption: &wire.AppendSuccess_NoStream{NoStream: &wire.Empty{}},
		PositionOption:        &wire.AppendSuccess_NoPosition{NoPosition: &wire.Empty{}},
	}
	if o.end > 0 {
		s.CurrentRevisionOption = &wire.AppendSuccess_CurrentRevision{CurrentRevision: uint64(o.end) - 1}
	}
	if o.position > 0 {
		s.PositionOption = &wire.AppendSuccess_Position{Position: &wire.Position{
			CommitPosition: uint64(o.position), PreparePosition: uint64(o.position),
		}}
	}
	return s
}
