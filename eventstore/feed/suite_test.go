package feed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	feedsqlite "github.com/gxpledger/gxpledger/eventstore/feed/sqlite"
	logsqlite "github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// published is a message of the suite as an event holds it.
type published struct {
	UUID     string            `json:"uuid"`
	Payload  []byte            `json:"payload"`
	Metadata map[string]string `json:"metadata"`
}

const publishedType = "suite.message.v1"

// publisher appends messages to a log, which nobody but this suite does: a log is not published to.
type publisher struct {
	log eventstore.Log
	mu  *sync.Mutex // appends of this process, one after the other
}

func streamOfTopic(topic string) eventstore.StreamID {
	return eventstore.RepositoryStream(domain.RepositoryID(uuid.NewSHA1(uuid.Nil, []byte(topic)).String()))
}

func (p publisher) Publish(topic string, messages ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, stream := context.Background(), streamOfTopic(topic)
	for _, m := range messages {
		data, err := json.Marshal(published{m.UUID, m.Payload, m.Metadata})
		if err != nil {
			return err
		}
		expected := eventstore.NoStream()
		for r, err := range p.log.ReadStreamBackwards(ctx, stream) {
			if err != nil {
				return err
			}
			expected = eventstore.AtRevision(r.Revision)
			break
		}
		id := uuid.Must(uuid.NewV7()) // the suite publishes one UUID to several topics, which a log refuses (I4)
		if _, err := p.log.Append(ctx, eventstore.Batch{
			Stream: stream, Expected: expected, Meta: eventstore.Meta{Actor: "suite", Scan: id.String(), Attempt: 1},
			Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(id, 0), Type: publishedType, Data: data}},
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p publisher) Close() error { return nil }

// TestWatermillsOwnSuite runs the suite that Watermill has for every implementation. ExactlyOnceDelivery is not claimed: nobody has it, and the claim
// would leave out two tests.
func TestWatermillsOwnSuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := logsqlite.Open(t.Context(), filepath.Join(dir, "log.db"), logsqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	cursors, err := feedsqlite.Create(t.Context(), filepath.Join(dir, feedsqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var appending, opening sync.Mutex
	var opened []*feed.Subscriber // not each test of the suite closes what it opened
	t.Cleanup(func() {
		for _, s := range opened {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(cursors.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	open := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		s, err := feed.NewSubscriber(log, feed.Config{
			Cursors: cursors, Cursor: group, Start: feed.FromBeginning(), MaxBackoff: 100 * time.Millisecond,
			Stream: func(_ context.Context, topic string) (eventstore.StreamID, error) {
				return streamOfTopic("repository." + topic), nil
			},
			Message: func(_ context.Context, r eventstore.Record) (*message.Message, error) {
				var p published
				if err := json.Unmarshal(r.Data, &p); err != nil {
					return nil, err
				}
				m := message.NewMessage(p.UUID, p.Payload)
				m.Metadata = p.Metadata
				return m, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		opening.Lock()
		opened = append(opened, s)
		opening.Unlock()
		if group == "" {
			return publisher{log, &appending}, s
		}
		return publisher{log, &appending}, initialized{s}
	}
	topic := func(tctx tests.TestContext) string { return fmt.Sprintf("repository.%s", tctx.TestID) }
	t.Run("with a cursor", func(t *testing.T) {
		t.Parallel()
		// A subscriber whose cursor was used before gets no old messages: that is what a cursor is.
		tests.TestPubSub(t, tests.Features{
			ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ForceShort: true, GenerateTopicFunc: topic,
		}, func(t *testing.T) (message.Publisher, message.Subscriber) { t.Helper(); return open(t, "all") }, open)
	})
	t.Run("without a cursor", func(t *testing.T) {
		t.Parallel()
		tests.TestPubSub(t, tests.Features{
			GuaranteedOrder: true, GuaranteedOrderWithSingleSubscriber: true, Persistent: true, NewSubscriberReceivesOldMessages: true,
			ForceShort: true, GenerateTopicFunc: topic,
		}, func(t *testing.T) (message.Publisher, message.Subscriber) { t.Helper(); return open(t, "") }, open)
	})
}

// initialized creates a cursor before it subscribes, as a consumer does once.
type initialized struct{ *feed.Subscriber }

func (i initialized) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := i.SubscribeInitialize(topic); err != nil { //nolint:contextcheck // the interface has none
		return nil, err
	}
	return i.Subscriber.Subscribe(ctx, topic)
}
