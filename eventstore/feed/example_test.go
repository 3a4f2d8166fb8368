package feed_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/feedtest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// recordOne records one event, for examples. A log is otherwise written by scans alone.
func recordOne(log eventstore.Log) eventstore.Record {
	id := uuid.Must(uuid.NewV7())
	_, err := log.Append(context.Background(), eventstore.Batch{
		Stream: eventstore.EngineStream, Expected: eventstore.NoStream(), Meta: eventstore.Meta{Actor: "ada", Scan: id.String(), Attempt: 1},
		Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(id, 0), Type: "admin.acted.v1", Data: []byte(`{"action":"x"}`)}},
	})
	if err != nil {
		panic(err)
	}
	record, err := log.At(context.Background(), 1)
	if err != nil {
		panic(err)
	}
	return record
}

// A consumer with a cursor: killed at any time, it resumes after the last message that it acknowledged.
func ExampleSubscriber() {
	log := memory.New(time.Now)
	defer func() { _ = log.Close() }()
	recordOne(log)
	subscriber, err := feed.NewSubscriber(log, feed.Config{Cursors: feedtest.NewCursors(), Cursor: "mail", Start: feed.FromBeginning()})
	if err != nil {
		panic(err)
	}
	if err := subscriber.SubscribeInitialize("scans"); err != nil { // once: creates the cursor
		panic(err)
	}
	router, err := feed.NewRouter(feed.RouterConfig{})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	router.AddConsumerHandler("mail", "scans", subscriber, func(m *message.Message) error {
		fmt.Println(m.Metadata.Get("type"), string(m.Payload))
		go stop() // a consumer runs until it is stopped
		return nil
	})
	if err := router.Run(ctx); err != nil {
		panic(err)
	}
	// Output: admin.acted.v1 {"action":"x"}
}

// A consumer that writes rows of its own moves its cursor in the same transaction: its rows are there exactly once.
func ExampleOwnCursor() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	log := memory.New(time.Now)
	defer func() { _ = log.Close() }()
	recordOne(log)

	own := feed.OwnCursor{Table: "cursors", Name: "mail"}
	schema, err := own.Schema()
	if err != nil {
		panic(err)
	}
	for _, statement := range []string{schema, "CREATE TABLE mails (event text PRIMARY KEY)"} { // once
		if _, err := db.ExecContext(ctx, statement); err != nil {
			panic(err)
		}
	}
	transact := func(work func(*sql.Tx) error) {
		tx, err := db.BeginTx(ctx, nil)
		if err == nil {
			err = work(tx)
		}
		if err == nil {
			err = tx.Commit()
		}
		if err != nil {
			panic(err) // a consumer rolls back
		}
	}
	var at feed.Cursor
	transact(func(tx *sql.Tx) (err error) {
		at = feed.Cursor{Name: own.Name, LogID: log.ID(), UpdatedAt: time.Now()} // once, at the beginning of the log
		if err := own.Create(ctx, feed.SQLTx(tx), at); err != nil {
			return err
		}
		at, err = own.Load(ctx, feed.SQLTx(tx))
		return err
	})
	for record, err := range log.Read(ctx, at.Position, eventstore.Filter{}) { // or Subscribe, to go with new events
		if err != nil {
			panic(err)
		}
		transact(func(tx *sql.Tx) (err error) {
			if _, err := tx.ExecContext(ctx, "INSERT INTO mails VALUES ($1)", record.ID.String()); err != nil {
				return err
			}
			at, err = own.Move(ctx, feed.SQLTx(tx), at, record, time.Now())
			return err
		})
	}
	var mails int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM mails").Scan(&mails); err != nil {
		panic(err)
	}
	fmt.Println("mails:", mails, "at position", at.Position)
	// Output: mails: 1 at position 1
}
