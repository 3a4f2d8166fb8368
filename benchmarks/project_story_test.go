package benchmarks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	storyStream = "repository-1"
	storyBatch  = 50
	// longBatch is used for millions of events, so that they are stored in minutes. It does not matter to who reads them.
	longBatch = 1000
	// storySamples is how many different events there are. They come again and again, at other positions and times.
	storySamples = 1000
)

// story is n events in one stream, in batches, the same for everybody. Positions count from 1 and revisions from 0.
type story struct {
	n, batch int
	samples  []sample
}

// sample is one event in each of its forms.
type sample struct {
	stored eventstore.NewEvent // without an id
	row    row                 // without number and time
}

func newStory(b *testing.B, n int) *story {
	b.Helper()
	s := &story{n: n, batch: storyBatch}
	if n >= 1_000_000 {
		s.batch = longBatch
	}
	for i := range min(n, storySamples) {
		typ, data, err := eventstore.Encode(requirement(i))
		if err != nil {
			b.Fatal(err)
		}
		decoded, err := decodeArtifact(typ, data)
		if err != nil {
			b.Fatal(err)
		}
		s.samples = append(s.samples, sample{
			stored: eventstore.NewEvent{Type: typ, Data: data}, row: rowOf(0, storyStream, time.Time{}, decoded),
		})
	}
	return s
}

// requirement is about 1 KB of JSON when it is stored.
func requirement(i int) domain.ArtifactParsed {
	const title = "The system keeps a record of every change to every artifact"
	id, hash := fmt.Sprintf("REQ-%04d", i), fmt.Sprintf("%064x", i)
	term := func(s string) *domain.Term { return &domain.Term{Raw: strings.ToUpper(s), Normal: s} }
	return domain.ArtifactParsed{
		Artifact: domain.Artifact{
			Key:  domain.Key{Path: ".gxp/requirements/" + id + ".md"},
			Kind: domain.KindRequirement, GxPID: id, Title: title,
			Risk: term("high"), Tier: term("oq"), Status: term("approved"), ValidationStatus: term("validated"),
			Fields: json.RawMessage(`{"gxp_id":"` + id + `","title":"` + title + `","risk_level":"HIGH","status":"APPROVED",` +
				`"owner":"quality","tags":["audit","record","part 11"],"description":"` + strings.Repeat("Records are kept. ", 12) + `"}`),
			Content: domain.Content{SHA256: hash, Blob: hash[:40], Size: 1200}, Digest: hash,
			Links: []domain.Link{{
				Edge: domain.EdgeParentID, Target: "REQ-0000", To: &domain.Ref{Number: 1, Kind: domain.KindRequirement},
			}},
		},
		Number: i + 1, Version: 1, Change: domain.ChangeNew, Stamp: "rosie/1", Source: hash[:40],
	}
}

// decodeArtifact is how every contender that reads events decodes them, but for those that have a decoder of their own.
func decodeArtifact(typ string, data []byte) (domain.ArtifactParsed, error) {
	event, err := eventstore.Decode(eventstore.Record{Type: typ, Data: data})
	if err != nil {
		return domain.ArtifactParsed{}, err
	}
	parsed, ok := event.(domain.ArtifactParsed)
	if !ok {
		return domain.ArtifactParsed{}, fmt.Errorf("event is a %T, want an ArtifactParsed", event)
	}
	return parsed, nil
}

func (s *story) sample(position int) *sample { return &s.samples[(position-1)%len(s.samples)] }

// recordedAt is in whole seconds, since there is a peer that stores no less. All events of a batch have the same.
func (s *story) recordedAt(position int) time.Time {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return begun.Add(time.Duration((position-1)/s.batch) * time.Second)
}

// row is the row that the event at position becomes.
func (s *story) row(position int) row {
	r := s.sample(position).row
	r.number, r.recordedAt = int64(position), s.recordedAt(position)
	return r
}

// chapter is one batch of a story, whose first event is at position.
type chapter struct {
	position int
	events   []eventstore.NewEvent
}

// chapters yields the batches in order. A chapter is valid until the next.
func (s *story) chapters() iter.Seq[chapter] {
	return func(yield func(chapter) bool) {
		for first := 1; first <= s.n; first += s.batch {
			scan := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "scan %d", first))
			c := chapter{position: first}
			for p := first; p < min(first+s.batch, s.n+1); p++ {
				e := s.sample(p).stored
				e.ID = eventstore.DeriveEventID(scan, p-first)
				c.events = append(c.events, e)
			}
			if !yield(c) {
				return
			}
		}
	}
}

// record appends the story to an empty log of gxpledger.
func (s *story) record(ctx context.Context, log eventstore.Appender) error {
	for c := range s.chapters() {
		expected := eventstore.NoStream()
		if c.position > 1 {
			expected = eventstore.AtRevision(eventstore.Revision(c.position - 2))
		}
		_, err := log.Append(ctx, eventstore.Batch{
			Stream: storyStream, Expected: expected, Events: c.events, RecordedAt: s.recordedAt(c.position),
			Meta: eventstore.Meta{Actor: "ada@example.com", Reason: "release 1.2", Scan: "scan", Attempt: 1},
		})
		if err != nil {
			return fmt.Errorf("record position %d: %w", c.position, err)
		}
	}
	return nil
}
