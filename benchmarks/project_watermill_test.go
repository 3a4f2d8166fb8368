package benchmarks_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

const watermillTopic = "story"

func watermillSchema() watermillsql.DefaultPostgreSQLSchema {
	return watermillsql.DefaultPostgreSQLSchema{
		GeneratePayloadType: func(string) string { return "BYTEA" }, SubscribeBatchSize: 100,
	}
}

// watermillProjector subscribes as a consumer group that has seen nothing yet and upserts each message in the transaction
// that delivers it: rows and offset commit together, a hundred messages at a time. Position, stream and time of an event
// travel as metadata.
func watermillProjector(b *testing.B, story *story) *projector {
	b.Helper()
	pool := server(b, 2)
	publishStory(b, story, pool)
	analyzeAndFlush(b, pool.Config().ConnString())
	group := 0
	return &projector{name: "watermill-sql", turn: func(b *testing.B) turn {
		b.Helper()
		emptied(b, pool, postgresIndexes()...)
		group++
		begins := &countingBeginner{Beginner: watermillsql.BeginnerFromPgx(pool), want: story.n, committed: make(chan struct{})}
		subscriber, err := watermillsql.NewSubscriber(begins, watermillsql.SubscriberConfig{
			ConsumerGroup: fmt.Sprintf("group-%d", group), SchemaAdapter: watermillSchema(),
			OffsetsAdapter: watermillsql.DefaultPostgreSQLOffsetsAdapter{},
		}, watermill.NopLogger{})
		if err != nil {
			b.Fatal(err)
		}
		return turn{table: postgresQuery(stdlib.OpenDBFromPool(pool)), fill: func(ctx context.Context) error {
			return errors.Join(begins.consume(ctx, subscriber), subscriber.Close())
		}}
	}}
}

func publishStory(b *testing.B, story *story, pool *pgxpool.Pool) {
	b.Helper()
	setup, err := watermillsql.NewSubscriber(watermillsql.BeginnerFromPgx(pool), watermillsql.SubscriberConfig{
		SchemaAdapter: watermillSchema(), OffsetsAdapter: watermillsql.DefaultPostgreSQLOffsetsAdapter{},
	}, watermill.NopLogger{})
	if err == nil {
		err = setup.SubscribeInitialize(watermillTopic)
	}
	if err != nil {
		b.Fatal(err)
	}
	for c := range story.chapters() {
		messages := make([]*message.Message, len(c.events))
		for i, e := range c.events {
			messages[i] = message.NewMessage(e.ID.String(), e.Data)
			messages[i].Metadata = message.Metadata{
				"position": strconv.Itoa(c.position + i), "stream": storyStream, "type": e.Type,
				"recorded_at": story.recordedAt(c.position + i).Format(time.RFC3339Nano),
			}
		}
		err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
			publisher, err := watermillsql.NewPublisher(watermillsql.TxFromPgx(tx),
				watermillsql.PublisherConfig{SchemaAdapter: watermillSchema()}, watermill.NopLogger{})
			if err != nil {
				return err
			}
			return publisher.Publish(watermillTopic, messages...)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// countingBeginner counts the messages that were handled, and says when the transaction of the last one is committed:
// an acknowledged message may still be rolled back. Its methods are for the two goroutines of one subscription, which
// take turns.
type countingBeginner struct {
	watermillsql.Beginner
	want, handled int
	committed     chan struct{}
}

func (c *countingBeginner) consume(ctx context.Context, subscriber *watermillsql.Subscriber) error {
	messages, err := subscriber.Subscribe(ctx, watermillTopic)
	if err != nil {
		return err
	}
	for {
		select {
		case <-c.committed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case m := <-messages:
			if err := upsertMessage(m.Context(), m); err != nil { //nolint:contextcheck // the message's has the transaction
				return err
			}
			c.handled++ // before Ack lets the subscriber go on
			m.Ack()
		}
	}
}

// upsertMessage upserts in the transaction that ctx, the context of m, holds.
func upsertMessage(ctx context.Context, m *message.Message) error {
	a, err := decodeArtifact(m.Metadata.Get("type"), m.Payload)
	if err != nil {
		return err
	}
	position, err := strconv.ParseInt(m.Metadata.Get("position"), 10, 64)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, m.Metadata.Get("recorded_at"))
	if err != nil {
		return err
	}
	tx, ok := watermillsql.TxFromContext(ctx)
	if !ok {
		return fmt.Errorf("message %d came without its transaction", position)
	}
	r := rowOf(position, m.Metadata.Get("stream"), at, a)
	_, err = tx.ExecContext(ctx, upsertRow, r.values(r.recordedAt)...)
	return err
}

// BeginTx implements [watermillsql.Beginner].
func (c *countingBeginner) BeginTx(ctx context.Context, options *sql.TxOptions) (watermillsql.Tx, error) {
	tx, err := c.Beginner.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &countingTx{tx, c}, nil
}

type countingTx struct {
	watermillsql.Tx
	counter *countingBeginner
}

// Commit implements [watermillsql.Tx].
func (t *countingTx) Commit() error {
	err := t.Tx.Commit()
	if c := t.counter; err == nil && c.handled == c.want {
		c.want = -1 // once
		close(c.committed)
	}
	return err
}
