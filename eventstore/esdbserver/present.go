package esdbserver

import (
	"context"
	"encoding/json"

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

// clientMeta is the metadata of a record as clients read it: what the log holds, and the two names by which tools of the
// protocol know correlation and causation.
type clientMeta struct {
	eventstore.Meta

	CorrelationID string `json:"$correlationId,omitempty"`
	CausationID   string `json:"$causationId,omitempty"`
}

func encodeMeta(meta eventstore.Meta) ([]byte, error) {
	return json.Marshal(clientMeta{Meta: meta, CorrelationID: meta.Correlation, CausationID: meta.Causation})
}
