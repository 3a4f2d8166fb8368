package benchmarks_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/hallgren/eventsourcing"
	"github.com/hallgren/eventsourcing/aggregate"
	"github.com/hallgren/eventsourcing/core"
	hallgrensql "github.com/hallgren/eventsourcing/eventstore/sql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// repository is what hallgren/eventsourcing finds its types of events by.
type repository struct{ aggregate.Root }

// Transition implements the interface of aggregates. None is loaded here.
func (*repository) Transition(eventsourcing.Event) {}

// Register implements the interface of aggregates.
func (*repository) Register(register aggregate.RegisterFunc) { register(&domain.ArtifactParsed{}) }

// storedForm decodes events with the decoder that the others use, which takes a fraction of the time of the default.
type storedForm struct{}

// Serialize implements [eventsourcing.Encoder]. The events are encoded already.
func (storedForm) Serialize(any) ([]byte, error) { return nil, errors.ErrUnsupported }

// Deserialize implements [eventsourcing.Encoder]. It is given a pointer to an interface that holds a new event.
func (storedForm) Deserialize(data []byte, into any) error {
	held, ok := into.(*any)
	if !ok {
		return fmt.Errorf("cannot decode into a %T", into)
	}
	event, ok := (*held).(*domain.ArtifactParsed)
	if !ok {
		return fmt.Errorf("cannot decode into a %T", *held)
	}
	var err error
	*event, err = decodeArtifact(eventstore.TypeArtifactParsed, data)
	return err
}

// hallgrenProjector runs a projection over all events to their end. Its callback gets one event, and there is no page, no
// transaction and no checkpoint around it: each row is a commit of its own.
func hallgrenProjector(b *testing.B, story *story) *projector {
	b.Helper()
	pool := server(b, 1)
	db, err := sql.Open("pgx", pool.Config().ConnString())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closing(b, db.Close) })
	store, err := hallgrensql.NewPostgres(db)
	if err != nil {
		b.Fatal(err)
	}
	aggregate.Register(&repository{})
	eventsourcing.SetEventEncoder(storedForm{})
	if err := saveStory(story, store); err != nil {
		b.Fatal(err)
	}
	analyzeAndFlush(b, pool.Config().ConnString())
	return &projector{name: "hallgren", turn: func(b *testing.B) turn {
		b.Helper()
		emptied(b, pool, postgresIndexes()...)
		return turn{table: postgresQuery(db), fill: func(ctx context.Context) error {
			upsert, err := db.PrepareContext(ctx, upsertRow)
			if err != nil {
				return err
			}
			defer func() { _ = upsert.Close() }() // all was answered
			projection := eventsourcing.NewProjection(store.All(0), func(e eventsourcing.Event) error {
				a, ok := e.Data().(*domain.ArtifactParsed)
				if !ok {
					return fmt.Errorf("event %d is a %T", e.GlobalVersion(), e.Data())
				}
				r := rowOf(int64(e.GlobalVersion()), e.AggregateID(), e.Timestamp(), *a)
				_, err := upsert.ExecContext(ctx, r.values(r.recordedAt)...)
				return err
			})
			return projection.RunToEnd(ctx).Error
		}}
	}}
}

func saveStory(story *story, store *hallgrensql.Postgres) error {
	for c := range story.chapters() {
		events := make([]core.Event, len(c.events))
		for i, e := range c.events {
			events[i] = core.Event{
				AggregateID: storyStream, AggregateType: "repository", Version: core.Version(c.position + i),
				Reason: "ArtifactParsed", Timestamp: story.recordedAt(c.position), Data: e.Data,
			}
		}
		if err := store.Save(events); err != nil {
			return fmt.Errorf("save position %d: %w", c.position, err)
		}
	}
	return nil
}
