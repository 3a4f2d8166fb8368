package esdbserver

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// sender sends what a call of Read yields, in the form that the client asked for.
type sender struct {
	call
	*pace
	textIDs bool
	next    eventstore.Revision // behind the highest that was sent
	begun   []byte              // the begin of the last event that was sent
}

func (s *sender) send(response *wire.ReadResp) error {
	return s.SendMsg(counted{generated{response}, s.flow})
}

// sendPage sends what of found passes the query, up to its limit.
func (s *sender) sendPage(ctx context.Context, found records, q query) error {
	left := q.limit
	if left == 0 {
		return nil
	}
	for r, err := range found {
		if err != nil {
			return err
		}
		if !q.filter.match(r) {
			continue
		}
		if err := s.sendRecord(ctx, r); err != nil {
			return err
		}
		if left--; left == 0 {
			break
		}
	}
	return nil
}

// sendEnding tells where a stream ends, once a page of it is sent. Clients that ask for it wait for it: a page without events would
// otherwise be an answer without a message. A page that begins behind the next revision is told first where the stream goes on.
func (s *sender) sendEnding(ctx context.Context, end streamEnd, q query) error {
	if err := s.rest(ctx, nil); err != nil {
		return err
	}
	if !q.backwards && q.from.kind == placeExact && q.from.at > uint64(end) {
		next := &wire.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(end)}
		if err := s.send(&wire.ReadResp{Content: next}); err != nil {
			return err
		}
	}
	return s.send(&wire.ReadResp{Content: &wire.ReadResp_LastStreamPosition{LastStreamPosition: uint64(end) - 1}})
}

// sendRecord sends r as clients see it.
func (s *sender) sendRecord(ctx context.Context, r eventstore.Record) error {
	e, err := s.present(ctx, r)
	if err != nil {
		return err
	}
	s.give(r.Position)
	s.next = max(s.next, r.Revision+1)
	s.begun = appendBegin(s.begun[:0], r, e.contentType(), s.textIDs)
	return s.SendMsg(counted{recorded{begin: s.begun, metadata: e.metadata, data: e.data, position: uint64(r.Position)}, s.flow})
}

// sendConfirmation tells that a subscription began. It comes before everything else.
func (s *sender) sendConfirmation() error {
	return s.send(&wire.ReadResp{Content: &wire.ReadResp_Confirmation{
		Confirmation: &wire.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
}

// sendCheckpoint tells how far the log was considered.
func (s *sender) sendCheckpoint(at eventstore.Position) error {
	s.give(at)
	return s.send(&wire.ReadResp{Content: &wire.ReadResp_Checkpoint_{Checkpoint: &wire.ReadResp_Checkpoint{
		CommitPosition: uint64(at), PreparePosition: uint64(at), Timestamp: timestamppb.New(s.options.Now()),
	}}})
}

// sendCaughtUp tells that what follows is new. Older clients know neither of its fields.
func (s *sender) sendCaughtUp(caughtUp *wire.ReadResp_CaughtUp) error {
	caughtUp.Timestamp = timestamppb.New(s.options.Now())
	return s.send(&wire.ReadResp{Content: &wire.ReadResp_CaughtUp_{CaughtUp: caughtUp}})
}

// id is an event id in the form that the client asked for.
func (s *sender) id(id uuid.UUID) *wire.UUID {
	if s.textIDs {
		return uuidText(id)
	}
	return structured(id)
}

func structured(id uuid.UUID) *wire.UUID {
	return &wire.UUID{Value: &wire.UUID_Structured_{Structured: &wire.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])), //nolint:gosec // the bits matter, not the sign
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])), //nolint:gosec // likewise
	}}}
}

func uuidText(id uuid.UUID) *wire.UUID {
	return &wire.UUID{Value: &wire.UUID_String_{String_: id.String()}}
}

func streamIdentifier(name string) *wire.StreamIdentifier {
	return &wire.StreamIdentifier{StreamName: []byte(name)}
}

// ticks is t in the unit of the protocol: 100 ns since 1970.
func ticks(t time.Time) int64 { return t.UnixNano() / 100 }

// noPosition is how the protocol says that an event has none.
const noPosition = math.MaxUint64

// systemMetadata is what the protocol tells of an event beside its own metadata. Clients end themselves when "created"
// is no number.
func (e event) systemMetadata(name string, recordedAt time.Time) map[string]string {
	return map[string]string{
		keyType: name, keyContentType: e.contentType(), keyCreated: strconv.FormatInt(ticks(recordedAt), 10),
	}
}

func (e event) contentType() string {
	if e.json {
		return contentTypeJSON
	}
	return contentTypeBinary
}

// Names and values of the metadata of events.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"

	contentTypeJSON   = "application/json"
	contentTypeBinary = "application/octet-stream"
)

// event is what clients see and say of an event beside its id, type and place.
type event struct {
	json     bool   // the content type of data is JSON; else it is binary
	data     []byte // any bytes
	metadata []byte // any bytes
}

// present returns r as clients see it: what a client wrote as it wrote it, all else with the metadata of the log.
func (s *sender) present(ctx context.Context, r eventstore.Record) (event, error) {
	if e, ok := unwrap(r.Data); ok {
		return e, nil
	}
	metadata, err := encodeMeta(r.Meta)
	if err != nil {
		return event{}, err
	}
	if p, ok := contentPartOf(r); ok {
		data, err := p.bytes(ctx, s.log)
		return event{data: data, metadata: metadata}, err
	}
	return event{json: true, data: r.Data, metadata: metadata}, nil
}

// clientMeta is the metadata of a record as clients read it: what the log holds, and the names by which tools of the protocol know
// correlation, causation and trace.
type clientMeta struct {
	eventstore.Meta
	knownNames
}

type knownNames struct {
	CorrelationID string `json:"$correlationId,omitempty"`
	CausationID   string `json:"$causationId,omitempty"`
	TraceID       string `json:"$traceId,omitempty"`
	SpanID        string `json:"$spanId,omitempty"`
}

func namesOf(meta eventstore.Meta) knownNames {
	names := knownNames{CorrelationID: meta.Correlation, CausationID: meta.Causation}
	if parts := traceParent.FindStringSubmatch(meta.TraceParent); parts != nil {
		names.TraceID, names.SpanID = parts[1], parts[2]
	}
	return names
}

// traceParent is the form of a traceparent of W3C Trace Context, of any version.
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)`)

func encodeMeta(meta eventstore.Meta) ([]byte, error) {
	return json.Marshal(clientMeta{Meta: meta, knownNames: namesOf(meta)})
}
