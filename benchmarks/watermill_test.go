package benchmarks_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
)

// watermillPublish publishes each batch with one call in one transaction, which is watermill-sql's best case: one INSERT
// of many rows. The payload is BYTEA, which its documentation names for payloads whose bytes matter; its default, JSON,
// would be parsed by the server.
func watermillPublish(b *testing.B, producers int) *contender {
	b.Helper()
	const topic = "events"
	pool := server(b, producers)
	schema := watermillsql.DefaultPostgreSQLSchema{GeneratePayloadType: func(string) string { return "BYTEA" }}
	setup, err := watermillsql.NewPublisher(watermillsql.BeginnerFromPgx(pool),
		watermillsql.PublisherConfig{SchemaAdapter: schema, AutoInitializeSchema: true}, watermill.NopLogger{})
	if err != nil {
		b.Fatal(err)
	}
	if err := setup.Publish(topic, message.NewMessage(watermill.NewUUID(), nil)); err != nil { // makes the table
		b.Fatal(err)
	}
	if _, err := pool.Exec(b.Context(), "TRUNCATE "+schema.MessagesTable(topic)); err != nil {
		b.Fatal(err)
	}
	return &contender{
		name: "watermill-sql", count: countRows(pool, "watermill_"+topic),
		append: func(ctx context.Context, w work) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				publisher, err := watermillsql.NewPublisher(watermillsql.TxFromPgx(tx),
					watermillsql.PublisherConfig{SchemaAdapter: schema}, watermill.NopLogger{})
				if err != nil {
					return err
				}
				return publisher.Publish(topic, messages(ctx, w)...)
			})
		},
	}
}

// messages carries what the other contenders store in columns as metadata.
func messages(ctx context.Context, w work) []*message.Message {
	list := make([]*message.Message, len(w.events))
	for i, e := range w.events {
		m := message.NewMessageWithContext(ctx, e.ID.String(), e.Data)
		m.Metadata = message.Metadata{
			"stream": w.stream, "revision": strconv.Itoa(w.at + i), "type": e.Type,
			"actor": w.meta.Actor, "reason": w.meta.Reason, "scan": w.meta.Scan,
		}
		list[i] = m
	}
	return list
}
