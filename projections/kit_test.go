package projections_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

// open opens durable tables in a file, which outlives the handle.
func open(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	return openAt(t, path, time.Now)
}

func openAt(t *testing.T, path string, now func() time.Time) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func file(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "tables.db")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func catchUp(t *testing.T, r *projections.Runner) {
	t.Helper()
	must(t, r.CatchUp(t.Context(), 0))
}

// tamper runs SQL behind the engine's back.
func tamper(t *testing.T, db *sqlite.DB, statements ...string) {
	t.Helper()
	handle := raw(t, db.Path())
	for _, s := range statements {
		if _, err := handle.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// equalToLog fails the test unless the tables are what a replay of the whole log gives.
func equalToLog(t *testing.T, db *sqlite.DB, log *counted) {
	t.Helper()
	into := projectionstest.Open(t)
	_, err := projectionstest.Runner(t, log, into, shelf(), counting).AsOf(t.Context(), log.head, into)
	must(t, err)
	got, want := projectionstest.Dump(t.Context(), t, db, shelf()), projectionstest.Dump(t.Context(), t, into, shelf())
	if got != want || got == "" {
		t.Fatalf("tables are not what the log says\n got: %s\nwant: %s", got, want)
	}
}

// spy is a database that sees every page, and fails on cue.
type spy struct {
	projections.Database
	mu    sync.Mutex
	pages []projections.Page
	// before and after may fail a write that was not, or was, done. They get the number of the write, from 1.
	before, after func(int) error
}

func (s *spy) WritePage(ctx context.Context, page projections.Page) error {
	s.mu.Lock()
	s.pages = append(s.pages, page)
	n := len(s.pages)
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(n); err != nil {
			return err
		}
	}
	if err := s.Database.WritePage(ctx, page); err != nil {
		return err
	}
	if s.after != nil {
		return s.after(n)
	}
	return nil
}

// counted is a log of which every process can make the same n events: batches of a few acts, whose number says what they
// are. What is behind head is not there yet.
type counted struct {
	id   uuid.UUID
	mu   sync.Mutex
	head eventstore.Position
	more chan struct{}
	// acts are what administrators did. They stand beside the events that are counted.
	acts []domain.AdminActed
}

const countedBatch = 4

func newCounted(head eventstore.Position) *counted {
	return &counted{id: uuid.MustParse("00000000-0000-4000-8000-000000000001"), head: head, more: make(chan struct{})}
}

func (c *counted) ID() uuid.UUID { return c.id }

func (c *counted) Head(context.Context) (eventstore.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, nil
}

// grow adds a batch.
func (c *counted) grow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head += countedBatch
	close(c.more)
	c.more = make(chan struct{})
}

func (c *counted) Read(ctx context.Context, after eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		head, err := c.Head(ctx)
		for p := after + 1; p <= head; p++ {
			if !yield(c.record(p), err) {
				return
			}
		}
	}
}

func (c *counted) Subscribe(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for {
			c.mu.Lock()
			more := c.more
			c.mu.Unlock()
			for r, err := range c.Read(ctx, after, f) {
				if !yield(r, err) {
					return
				}
				after = r.Position
			}
			select {
			case <-more:
			case <-ctx.Done():
				yield(eventstore.Record{}, ctx.Err())
				return
			}
		}
	}
}

// ReadStream yields the acts, whatever the stream.
func (c *counted) ReadStream(context.Context, eventstore.StreamID, eventstore.Revision) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		c.mu.Lock()
		acts := slices.Clone(c.acts)
		c.mu.Unlock()
		for i, act := range acts {
			typ, data, err := eventstore.Encode(act)
			if !yield(eventstore.Record{Type: typ, Data: data, Revision: eventstore.Revision(i)}, err) {
				return
			}
		}
	}
}

func (c *counted) record(p eventstore.Position) eventstore.Record {
	n := int(p)
	r := eventstore.Record{
		Position: p, Stream: eventstore.EngineStream, Revision: eventstore.Revision(p - 1), Type: eventstore.TypeAdminActed,
		RecordedAt: projectionstest.Epoch().Add(time.Duration((n-1)/countedBatch) * time.Second),
		Meta:       eventstore.Meta{Actor: "ann", Index: (n - 1) % countedBatch, Size: countedBatch, Attempt: 1},
		Data:       []byte(fmt.Sprint(n)),
	}
	binary.BigEndian.PutUint64(r.ID[8:], uint64(n))
	return r
}

// decodeCounted is the decoder of counted: each batch makes a box, fills it, and drops one of those before.
func decodeCounted(r eventstore.Record) (domain.Event, error) {
	if r.Position == 0 {
		return eventstore.Decode(r) // an act
	}
	n := int(r.Position)
	box := (n - 1) / countedBatch
	switch r.Meta.Index {
	case 0:
		return act("box", box, "label", fmt.Sprint(box)), nil
	case 1:
		return act("put", box, "slot", "left", "name", fmt.Sprint(n)), nil
	case 2:
		return act("label", box, "label", "number "+fmt.Sprint(box)), nil
	default:
		return act("drop", box-box%7-1), nil
	}
}

func counting(c *projections.Config) { c.Decode = decodeCounted }

// eventually waits for a condition that another goroutine or process brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: did not happen", what)
		case <-tick.C:
		}
	}
}

var errBroken = errors.New("broken")

// renamed is a log whose third event is of another type.
type renamed struct {
	*counted
	typ string
}

func (r *renamed) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for record, err := range r.counted.Read(ctx, after, f) {
			_, data, encoded := eventstore.Encode(act("none", 1))
			record.Data, err = data, errors.Join(err, encoded)
			if record.Position == 3 {
				record.Type = r.typ
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// forged is a log in which every event has another id.
type forged struct{ *counted }

func (f *forged) forge(p eventstore.Position) eventstore.Record {
	r := f.record(p)
	r.ID[0] = 0xff
	return r
}

func (f *forged) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range f.counted.Read(ctx, after, filter) {
			if !yield(f.forge(r.Position), err) {
				return
			}
		}
	}
}
