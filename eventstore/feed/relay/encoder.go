package relay

import (
	"context"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// NewEncoder returns an encoder that makes CloudEvents in structured mode of the records of a log.
func NewEncoder(log cloudevents.Log) Encoder { return structured{cloudevents.NewEncoder(log)} }

type structured struct{ events *cloudevents.Encoder }

// Encode implements [Encoder].
func (s structured) Encode(ctx context.Context, r eventstore.Record) (Message, error) {
	event, err := s.events.Encode(ctx, r)
	if err != nil {
		return Message{}, err
	}
	body, err := event.Structured()
	if err != nil {
		return Message{}, err
	}
	return Message{
		ID: event.ID, Key: event.Extensions[cloudevents.ExtensionPartitionKey], Type: event.Type, ContentType: cloudevents.MediaType, Body: body,
	}, nil
}
