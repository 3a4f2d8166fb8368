package esdbserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore"
)

// compose makes a batch of an order that has events. What it expects is not set yet.
func (v *service) compose(user string, o *order) (batch eventstore.Batch, err error) {
	if err := v.permit(o.stream); err != nil {
		return eventstore.Batch{}, err
	}
	meta, ours := sharedMeta(o.proposals)
	ours = ours && v.options.AllowEngineStreams
	if !ours {
		meta = eventstore.Meta{Actor: actor(user), Attempt: 1}
	}
	batch = eventstore.Batch{Stream: eventstore.StreamID(o.stream), Meta: meta}
	hash, isContent := contentHash(o.stream)
	switch {
	case isContent:
		if err := contentAllowed(o, ours); err != nil {
			return eventstore.Batch{}, err
		}
		batch.Events, batch.Contents, err = storeContent(hash, o.proposals)
	case ours:
		batch.Events, err = engineEvents(o.proposals)
	case engines(o.stream):
		err = malformed("events of an engine's stream have the log's metadata, each with its index and the size of the " +
			"append, and share the rest")
	default:
		batch.Events, err = clientEvents(o.proposals)
	}
	return batch, err
}

// contentAllowed refuses an append of a content that could not be read back as it is.
func contentAllowed(o *order, ours bool) error { //nolint:revive // what the metadata is, not a switch
	if o.expected.kind != expectNoStream {
		return malformed("the stream of a content is appended once: expect no stream")
	}
	for i, p := range o.proposals {
		if !ours && len(p.metadata) > 0 {
			return malformed(fmt.Sprintf("event %d: an event of a content has the log's metadata or none", i))
		}
	}
	return nil
}

// engineEvents are what an engine proposes, as it is. An event of a client of another server, which writes to this one through an
// engine, is wrapped once more, so that it comes back as it is too.
func engineEvents(proposals []proposal) ([]eventstore.NewEvent, error) {
	events := make([]eventstore.NewEvent, len(proposals))
	for i, p := range proposals {
		if !p.json {
			return nil, malformed(fmt.Sprintf("event %d: an event of an engine is application/json", i))
		}
		events[i] = eventstore.NewEvent{ID: p.id, Type: p.name, Data: p.data}
		if _, ok := unwrap(p.data); ok {
			events[i].Data = wrap(p.event)
		}
	}
	return events, nil
}

// clientEvents are what a client proposes, wrapped where they must be.
func clientEvents(proposals []proposal) ([]eventstore.NewEvent, error) {
	events := make([]eventstore.NewEvent, len(proposals))
	for i, p := range proposals {
		if known(p.name) {
			return nil, accessDenied(fmt.Sprintf("event %d: the type %q is the engine's", i, p.name))
		}
		events[i] = eventstore.NewEvent{ID: p.id, Type: p.name, Data: wrap(p.event)}
	}
	return events, nil
}

// actor is who is recorded for the events of a client.
func actor(user string) string {
	if user == "" {
		return "esdb"
	}
	return "esdb:" + user
}

// engines reports whether a stream is written by engines alone.
func engines(stream string) bool {
	return strings.HasPrefix(stream, eventstore.RepositoryPrefix) || strings.HasPrefix(stream, contentPrefix) ||
		stream == string(eventstore.EngineStream)
}

// known reports whether the engine has events of that type. One in a client's stream could be taken for a fact that the
// engine recorded.
func known(name string) bool { return slices.Contains(eventstore.KnownTypes(), name) }

// permit refuses to write streams that are not open to clients.
func (v *service) permit(stream string) error {
	switch {
	case v.options.AllowEngineStreams && !strings.HasPrefix(stream, "$"):
		return nil
	case strings.HasPrefix(stream, "$"):
		return accessDenied("streams of the system, whose names begin with $, are not kept: a log has no metadata of streams")
	case engines(stream):
		return accessDenied(fmt.Sprintf("stream %q is written by the engine alone", stream))
	}
	for _, prefix := range v.options.Writable {
		if strings.HasPrefix(stream, prefix) {
			return nil
		}
	}
	return accessDenied(fmt.Sprintf("stream %q is not open to clients: the operator may open a prefix of names", stream))
}

// sharedMeta returns the metadata of a batch if each of its events carries it: as the log tells it, each with its own
// index and the size of the batch, and all else alike.
func sharedMeta(proposals []proposal) (eventstore.Meta, bool) {
	var shared eventstore.Meta
	for i, p := range proposals {
		meta, ok := decodeMeta(p.metadata)
		if !ok || meta.Index != i || meta.Size != len(proposals) {
			return eventstore.Meta{}, false
		}
		if meta.Index = 0; i == 0 {
			shared = meta
		}
		if meta != shared {
			return eventstore.Meta{}, false
		}
	}
	return shared, true
}

// decodeMeta reads what encodeMeta wrote. It takes nothing that the log could not give back.
func decodeMeta(text []byte) (eventstore.Meta, bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var m clientMeta
	if err := decoder.Decode(&m); err != nil || decoder.More() {
		return eventstore.Meta{}, false
	}
	if m.knownNames != (knownNames{}) && m.knownNames != namesOf(m.Meta) {
		return eventstore.Meta{}, false
	}
	return m.Meta, m.Attempt > 0
}
