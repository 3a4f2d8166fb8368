package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Log is what a subscriber needs of a log.
type Log interface {
	ID() uuid.UUID
	Head(ctx context.Context) (eventstore.Position, error)
	At(ctx context.Context, at eventstore.Position) (eventstore.Record, error)
	Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error]
}

// Start is where a subscription or a new cursor begins. The zero value states none, and is refused where one is needed.
type Start struct {
	stated bool
	find   func(context.Context, Log) (eventstore.Position, error)
}

// FromBeginning starts with the first event of the log.
func FromBeginning() Start { return After(0) }

// FromNow starts with the events that are committed from now on.
func FromNow() Start {
	return Start{true, func(ctx context.Context, log Log) (eventstore.Position, error) { return log.Head(ctx) }}
}

// After starts behind the event at a position, which is 0 or one that the log gave.
func After(position eventstore.Position) Start {
	return Start{true, func(context.Context, Log) (eventstore.Position, error) { return position, nil }}
}

// The values that stand for zero ones in [Config].
const (
	DefaultTTL        = 30 * time.Second
	DefaultMaxBackoff = 30 * time.Second
)

// Config is how to subscribe.
type Config struct {
	// Cursors is the store of cursors. Required with Cursor.
	Cursors Cursors
	// Cursor begins the names of the cursors, one for each topic: see [Subscriber.CursorName]. "" for a subscription that nothing
	// remembers, which begins at Start.
	Cursor string
	// Holder says in the store who consumes. Defaults to the name of the cursor.
	Holder string
	// Start is where a subscription without a cursor begins, and where SubscribeInitialize creates one.
	Start Start
	// Stream returns the stream of a repository by its name, for the topics repository.<name>. Without it they are refused.
	Stream func(ctx context.Context, repository string) (eventstore.StreamID, error)
	// Message makes a message of a record; of topic scans, of the last one of a batch. It is called again for each delivery. Its error
	// ends the subscription, since to skip a record would be a gap. Defaults to [NewMessage].
	Message func(ctx context.Context, record eventstore.Record) (*message.Message, error)
	// TTL is how long a consumer that vanished keeps its cursor. Defaults to DefaultTTL.
	TTL time.Duration
	// MinBackoff and MaxBackoff bound the pause before a message that was refused (Nack) is delivered again; it doubles each time.
	// They default to 10 ms and DefaultMaxBackoff.
	MinBackoff, MaxBackoff time.Duration
	// Ended hears why a subscription ended, with nil when its context ended or the subscriber was closed. It must not block. Optional.
	Ended func(topic string, err error)
}

// Subscriber delivers the events of a log as messages, in order, one at a time for each subscription: the next one only after Ack, and
// with a cursor only after that moved. Delivery is at least once: what was handled and not yet saved comes again, with the same id.
// It is safe for concurrent use.
type Subscriber struct {
	log     Log
	config  Config
	closing chan struct{}
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

// NewSubscriber returns a subscriber to log. Errors wrap [eventstore.ErrInvalid].
func NewSubscriber(log Log, config Config) (*Subscriber, error) {
	config.TTL = cmp.Or(config.TTL, DefaultTTL)
	config.MinBackoff = cmp.Or(config.MinBackoff, 10*time.Millisecond)
	config.MaxBackoff = max(cmp.Or(config.MaxBackoff, DefaultMaxBackoff), config.MinBackoff)
	config.Holder = cmp.Or(config.Holder, config.Cursor)
	if config.Message == nil {
		config.Message = func(_ context.Context, r eventstore.Record) (*message.Message, error) { return NewMessage(r), nil }
	}
	var fault error
	switch {
	case config.MinBackoff < 0 || config.TTL < 0:
		fault = errors.New("durations may not be negative")
	case config.Cursor == "" && !config.Start.stated:
		fault = errors.New("without a cursor, Start is required")
	case config.Cursor != "" && config.Cursors == nil:
		fault = errors.New("a cursor needs a store")
	case config.Cursor != "":
		fault = CheckLease(config.Cursor, config.Holder, config.TTL)
	}
	if fault != nil {
		return nil, fmt.Errorf("cannot make a subscriber: %w: %w", eventstore.ErrInvalid, fault)
	}
	return &Subscriber{log: log, config: config, closing: make(chan struct{})}, nil
}

// CursorName returns the name of the cursor for a topic.
func (s *Subscriber) CursorName(topic string) string { return s.config.Cursor + "/" + topic }

// SubscribeInitialize creates the cursor of a topic at Start, which must be stated. A cursor that is there stays where it is. It waits
// for the log and the store, 30 seconds at most.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) //nolint:forbidigo // the interface has none
	defer cancel()
	if err := s.initialize(ctx, topic); err != nil && !errors.Is(err, ErrCursorExists) {
		return fmt.Errorf("cannot create a cursor for topic %.250q: %w", topic, err)
	}
	return nil
}

func (s *Subscriber) initialize(ctx context.Context, topic string) error {
	if s.config.Cursor == "" {
		return nil
	}
	if !s.config.Start.stated {
		return fmt.Errorf("%w: no Start is stated", eventstore.ErrInvalid)
	}
	if _, err := s.choose(ctx, topic); err != nil {
		return err
	}
	cursor := Cursor{Name: s.CursorName(topic), LogID: s.log.ID()}
	var err error
	if cursor.Position, err = s.config.Start.find(ctx, s.log); err != nil {
		return err
	}
	if cursor.Position > 0 {
		r, err := s.log.At(ctx, cursor.Position)
		if err != nil {
			return fmt.Errorf("position %d: %w", cursor.Position, err)
		}
		cursor.EventID = r.ID
	}
	return s.config.Cursors.Create(ctx, cursor)
}

// Subscribe implements [message.Subscriber]. The topics are scans (one message for each committed batch of the engine), events, and
// repository.<name>. While another consumer holds the cursor, the subscription waits for it. The channel is closed when ctx ends, when
// the subscriber is closed, and on an error, which Config.Ended hears.
//
// Errors: [ErrNoCursor], [ErrOtherLog], [eventstore.ErrInvalid] for a topic, [eventstore.ErrClosed], or those of the log and the store.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	run, err := s.prepare(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("cannot subscribe to %.250q: %w", topic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		run.release(ctx)
		return nil, fmt.Errorf("cannot subscribe to %.250q: %w", topic, eventstore.ErrClosed)
	}
	s.running.Go(func() {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			select {
			case <-s.closing:
				cancel(context.Canceled)
			case <-stop:
			}
		}()
		err := run.all(ctx, cancel)
		close(run.out)
		if s.config.Ended != nil {
			s.config.Ended(topic, err)
		}
	})
	return run.out, nil
}

// Close implements [message.Subscriber]: it ends all subscriptions and waits for that. Closing twice is harmless.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// NewMessage makes a message of a record: the payload is its data, the UUID its id, and the metadata what else it says. It has the
// keys position (20 digits), stream, revision, type, recorded_at (RFC 3339), actor, batch_index and batch_size, and where the record
// has them reason, scan, correlation, causation, traceparent and tracestate.
func NewMessage(r eventstore.Record) *message.Message {
	m := message.NewMessage(r.ID.String(), r.Data)
	m.Metadata = message.Metadata{
		"position": fmt.Sprintf("%020d", r.Position), "stream": string(r.Stream), "revision": fmt.Sprint(r.Revision), "type": r.Type,
		"recorded_at": r.RecordedAt.UTC().Format(time.RFC3339Nano), "actor": r.Meta.Actor,
		"batch_index": fmt.Sprint(r.Meta.Index), "batch_size": fmt.Sprint(r.Meta.Size),
	}
	for key, value := range map[string]string{
		"reason": r.Meta.Reason, "scan": r.Meta.Scan, "correlation": r.Meta.Correlation, "causation": r.Meta.Causation,
		"traceparent": r.Meta.TraceParent, "tracestate": r.Meta.TraceState,
	} {
		if value != "" {
			m.Metadata[key] = value
		}
	}
	return m
}
