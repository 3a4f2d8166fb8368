package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/relaytest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clock() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }

// tb is what a rapid test and an ordinary one have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// story is a log and what is appended to it.
type story struct {
	tb
	*memory.Log
}

func newStory(t tb) *story { return &story{t, memory.New(clock)} }

// add appends an event to a stream, as a batch of its own.
func (s *story) add(stream eventstore.StreamID, typ string, data any) eventstore.Record {
	s.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		s.Fatalf("%v", err)
	}
	expected := eventstore.NoStream()
	for r, err := range s.ReadStreamBackwards(context.Background(), stream) {
		if err != nil {
			s.Fatalf("%v", err)
		}
		expected = eventstore.AtRevision(r.Revision)
		break
	}
	id := uuid.Must(uuid.NewV7())
	at, err := s.Append(context.Background(), eventstore.Batch{
		Stream: stream, Expected: expected, Meta: eventstore.Meta{Actor: "tester", Reason: "to see", Scan: id.String(), Attempt: 1},
		Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(id, 0), Type: typ, Data: raw}},
	})
	if err != nil {
		s.Fatalf("%v", err)
	}
	record, err := s.At(context.Background(), at.Last)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return record
}

// act appends an action of an administrator.
func (s *story) act(name string, action relay.Action) {
	s.Helper()
	s.add(eventstore.EngineStream, eventstore.TypeAdminActed, domain.AdminActed{
		ID: uuid.NewString(), Action: action.Name, Target: name, Arguments: action.Arguments(), Actor: "tester", Reason: "to see", Outcome: "succeeded", At: clock(),
	})
}

func (s *story) all() []eventstore.Record {
	s.Helper()
	var out []eventstore.Record
	for r, err := range s.Read(context.Background(), 0, eventstore.Filter{}) {
		if err != nil {
			s.Fatalf("%v", err)
		}
		out = append(out, r)
	}
	return out
}

func repository(n int) eventstore.StreamID {
	return eventstore.RepositoryStream(domain.RepositoryID(uuid.NewSHA1(uuid.Nil, []byte{byte(n)}).String()))
}

// plain encodes a record as its id and data.
type plain struct{}

func (plain) Encode(_ context.Context, r eventstore.Record) (relay.Message, error) {
	return relay.Message{ID: r.ID.String(), Key: string(r.Stream), Type: r.Type, Body: r.Data}, nil
}

// receiver is a target that keeps what it was sent, and answers as answer says.
type receiver struct {
	mu       sync.Mutex
	received []relay.Message
	answer   func(relay.Message) (accept bool, err error)
}

func (r *receiver) Send(_ context.Context, m relay.Message) error {
	accept, err := true, error(nil)
	if r.answer != nil {
		accept, err = r.answer(m)
	}
	if accept {
		r.mu.Lock()
		r.received = append(r.received, m)
		r.mu.Unlock()
	}
	return err
}

func (*receiver) Close() error { return nil }

func (r *receiver) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, len(r.received))
	for i, m := range r.received {
		ids[i] = m.ID
	}
	return ids
}

// mortal is a store of cursors as one process sees it: once the process is dead, it writes nothing.
type mortal struct {
	feed.Cursors

	dead func() bool
}

var errDead = errors.New("the process is dead")

func (m mortal) Save(ctx context.Context, lease feed.Lease, cursor feed.Cursor) error {
	if m.dead() {
		return errors.Join(errDead, feed.ErrLeaseLost) // which ends its tries
	}
	return m.Cursors.Save(ctx, lease, cursor)
}

func (m mortal) Release(ctx context.Context, lease feed.Lease) error {
	return m.Cursors.Release(ctx, lease) // as if it had expired
}

// running is a relay that runs in the background.
type running struct {
	test  tb
	steps chan struct{} // receives after steps
	ended chan error
	stop  context.CancelFunc

	mu   sync.Mutex
	seen []relay.Progress
}

// run starts a relay. Change changes how it is configured.
func run(t tb, s *story, cursors feed.Cursors, target relay.Target, change func(*relay.Config)) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{test: t, steps: make(chan struct{}, 1), ended: make(chan error, 1), stop: cancel}
	c := relay.Config{
		Name: "lims", Holder: "test", Log: s, Cursors: cursors, Encoder: plain{}, Target: target,
		Backoff: relay.Backoff{First: time.Microsecond, Most: time.Microsecond, MostAsked: time.Microsecond},
		Now:     clock, Random: func() float64 { return 0 }, SaveAfter: time.Millisecond, LeaseTTL: 10 * time.Second,
		Observe: func(p relay.Progress) {
			r.mu.Lock()
			r.seen = append(r.seen, p)
			r.mu.Unlock()
			select {
			case r.steps <- struct{}{}:
			default:
			}
		},
	}
	if change != nil {
		change(&c)
	}
	go func() { r.ended <- relay.Run(ctx, c) }()
	return r
}

// until waits until something is true, which is asked after each step. It returns the error of a relay that ended before.
func (r *running) until(what string, is func() bool) error {
	r.test.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for !is() {
		select {
		case <-r.steps:
		case err := <-r.ended:
			r.ended <- err
			return err
		case <-limit.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.test.Fatalf("the relay did not come so far: %s; its last steps: %+v", what, r.seen[max(0, len(r.seen)-5):])
		}
	}
	return nil
}

// end stops the relay and returns its error.
func (r *running) end() error {
	r.stop()
	return <-r.ended
}

func (r *running) stepsOf(step relay.Step) []relay.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.seen), func(p relay.Progress) bool { return p.Step != step })
}

// newCursors returns a store with a cursor for the relay of these tests, at the beginning of the log.
func newCursors(t tb, log relay.Log) *relaytest.Cursors {
	t.Helper()
	cursors := relaytest.NewCursors()
	if err := cursors.Create(context.Background(), feed.Cursor{Name: "relay/lims", LogID: log.ID()}); err != nil {
		t.Fatalf("%v", err)
	}
	return cursors
}

// stateOf returns the state as it was saved.
func stateOf(t tb, cursors feed.Cursors) relay.State {
	t.Helper()
	held, err := cursors.List(context.Background())
	if err != nil || len(held) != 1 {
		t.Fatalf("%d cursors: %v", len(held), err)
	}
	state, err := relay.DecodeState(held[0].State)
	if err != nil {
		t.Fatalf("%v", err)
	}
	state.Position, state.EventID = held[0].Position, held[0].EventID
	return state
}

// caughtUp reports whether all of the log was handled, actions included, and nothing is being sent again.
func caughtUp(t tb, s *story, cursors feed.Cursors) bool {
	t.Helper()
	state := stateOf(t, cursors)
	records := s.all()
	if len(records) > 0 && state.Position != records[len(records)-1].Position {
		return false
	}
	for _, r := range records {
		if r.Stream != eventstore.EngineStream || r.Revision < state.Actions || r.Type != eventstore.TypeAdminActed {
			continue
		}
		event, err := eventstore.Decode(r)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if acted, ok := event.(domain.AdminActed); ok && acted.Target == "lims" {
			return false
		}
	}
	_, retrying := state.Retrying()
	return !retrying && state.Failure == nil
}
