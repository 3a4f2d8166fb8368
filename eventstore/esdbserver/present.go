package esdbserver

import (
	"context"
	"encoding/json"
	"regexp"

	"github.com/gxpledger/gxpledger/eventstore"
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
