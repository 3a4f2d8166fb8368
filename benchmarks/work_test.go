package benchmarks_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// work is one batch, encoded before the clock runs. Every contender gets the same bytes.
type work struct {
	stream string
	at     int // the revision of the first event
	events []eventstore.NewEvent
	meta   eventstore.Meta
	json   string // meta, for those that store it as it is
}

// batch is w as gxpledger takes it.
func (w work) batch() eventstore.Batch {
	expected := eventstore.NoStream()
	if w.at > 0 {
		expected = eventstore.AtRevision(eventstore.Revision(w.at - 1))
	}
	return eventstore.Batch{Stream: eventstore.StreamID(w.stream), Expected: expected, Events: w.events, Meta: w.meta}
}

// prepare makes count batches of size events. The payloads repeat after a few batches, the ids never.
func prepare(b *testing.B, count, size int) []work {
	b.Helper()
	const variants = 4
	payloads := make([][]eventstore.NewEvent, min(variants, count))
	for i := range payloads {
		payloads[i] = payload(b, size)
	}
	todo := make([]work, count)
	for k := range todo {
		scan := uuid.Must(uuid.NewV7())
		w := work{meta: eventstore.Meta{Actor: "ada@example.com", Reason: "release 1.2", Scan: scan.String(), Attempt: 1}}
		text, err := json.Marshal(map[string]any{
			"actor": w.meta.Actor, "reason": w.meta.Reason, "scan": w.meta.Scan, "attempt": w.meta.Attempt,
		})
		if err != nil {
			b.Fatal(err)
		}
		w.json = string(text)
		for i, e := range payloads[k%len(payloads)] {
			e.ID = eventstore.DeriveEventID(scan, i)
			w.events = append(w.events, e)
		}
		todo[k] = w
	}
	return todo
}

// payload is what a scan of size changed artifacts records: about 1 KB of JSON for each event.
func payload(b *testing.B, size int) []eventstore.NewEvent {
	b.Helper()
	scan := uuid.Must(uuid.NewV7())
	events := make([]eventstore.NewEvent, size)
	for i := range events {
		typ, data, err := eventstore.Encode(artifact(b, scan, i))
		if err != nil {
			b.Fatal(err)
		}
		events[i] = eventstore.NewEvent{Type: typ, Data: data}
	}
	return events
}

func artifact(b *testing.B, scan uuid.UUID, i int) domain.ArtifactParsed {
	b.Helper()
	const title = "The pump stops within two seconds after the door opens"
	id, hash := fmt.Sprintf("REQ-%04d", i), fmt.Sprintf("%x%032x", scan[:], i)
	fields, err := json.Marshal(map[string]string{
		"gxp_id": id, "title": title, "risk": "HIGH", "status": "In Review",
		"description": "When the door of the cabinet is opened while the pump runs, the controller stops the motor, " +
			"closes both valves and sounds the alarm until an operator acknowledges it.",
	})
	if err != nil {
		b.Fatal(err)
	}
	return domain.ArtifactParsed{
		Artifact: domain.Artifact{
			Key: domain.Key{Path: ".gxp/requirements/" + id + ".md"}, Kind: domain.KindRequirement, GxPID: id, Title: title,
			Risk:    &domain.Term{Raw: "HIGH", Normal: "high"},
			Status:  &domain.Term{Raw: "In Review", Normal: "in_review"},
			Fields:  fields,
			Content: domain.Content{SHA256: hash, Blob: hash[:40], Size: 1234}, Digest: hash,
			Links: []domain.Link{{
				Edge: domain.EdgeParentID, Target: "REQ-0001", To: &domain.Ref{Number: 1, Kind: domain.KindRequirement},
			}},
		},
		Number: i + 1, Version: 1, Change: domain.ChangeNew, Stamp: "rosie/1", Source: hash[:40],
	}
}
