package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// The fixture tries a batch 4 times, and decides 3 times.
var tries = map[string]struct {
	err error
	// once is how often what answers err is called, and rounds how often all of it is done.
	once, rounds int
}{
	"a lost connection":               {errLost, 4, 1},
	"an unknown outcome":              {errors.New("no answer"), 4, 1},
	"not written, worth another try":  {eventstore.NotWritten(errLost), 4, 1},
	"a call that something timed out": {context.DeadlineExceeded, 4, 1},
	"a conflict":                      {eventstore.ErrConflict, 1, 3},
	"an id of another event":          {eventstore.ErrIDReused, 1, 1},
	"an invalid batch":                {eventstore.ErrInvalid, 1, 1},
	"a batch that is too large":       {eventstore.ErrTooLarge, 1, 1},
	"a corrupt log":                   {eventstore.ErrCorrupt, 1, 1},
	"a closed log":                    {eventstore.ErrClosed, 1, 1},
	"a type that nobody knows":        {eventstore.ErrUnknownType, 1, 1},
	"something that is not there":     {eventstore.ErrNotFound, 1, 1},
}

func newAction() domain.AdminActed {
	return domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "admin", Reason: "why not", Outcome: "succeeded", At: clock()}
}

// What cannot help is not tried again, and what can is tried as often as was asked for, with a wait before each.
func TestEachErrorIsTriedAsOftenAsItMayHelp(t *testing.T) {
	t.Parallel()
	for name, c := range tries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.once * c.rounds
			for what, do := range map[string]func(d *fixture) error{
				"admin action": func(d *fixture) error {
					_, err := d.recorder.RecordAction(t.Context(), newAction())
					return err
				},
				"retirement": func(d *fixture) error {
					_, err := retire(t, d.recorder, domain.RepositoryRetired{Repository: request().Repository, Actor: "admin", Reason: "gone", RetiredAt: clock()})
					return err
				},
				"scan": func(d *fixture) error {
					_, err := d.record(reads(req("REQ-002")))
					return err
				},
			} {
				d := newFixture(t)
				d.mustRecord(req("REQ-001"))
				appends := map[string]int{}
				d.log.onAppend = func(int, func() (eventstore.Appended, error)) (eventstore.Appended, error) {
					appends[d.log.types]++
					return eventstore.Appended{}, fmt.Errorf("on cue: %w", c.err)
				}
				if err := do(d); !errors.Is(err, c.err) {
					t.Errorf("%s: error is %v", what, err)
				}
				for types, n := range appends { // of a scan, and of its failure
					if n != want {
						t.Errorf("%s: %d appends of %s, want %d", what, n, types, want)
					}
				}
				if waits := (c.once - 1) * c.rounds * len(appends); d.waits() != waits {
					t.Errorf("%s: waited %d times, want %d", what, d.waits(), waits)
				}
			}
		})
	}
}

// waits returns how often the recorder waited before it tried again.
func (d *fixture) waits() int {
	n := 0
	for _, r := range d.failures {
		if r.Wait > 0 {
			n++
		}
	}
	return n
}

func TestEachErrorOfReadingIsTriedAsOftenAsItMayHelp(t *testing.T) {
	t.Parallel()
	for name, c := range tries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			n := 0
			d.log.onRead = func() error {
				n++
				return fmt.Errorf("on cue: %w", c.err)
			}
			_, err := retire(t, d.recorder, domain.RepositoryRetired{Repository: request().Repository, Actor: "admin", Reason: "gone", RetiredAt: clock()})
			if !errors.Is(err, c.err) || n != c.once || d.waits() != c.once-1 || d.log.calls != 0 {
				t.Errorf("%d reads, %d waits and %d appends, %v; want %d reads", n, d.waits(), d.log.calls, err, c.once)
			}
		})
	}
}

// A file that is claimed unchanged, and is not, was read against an older state: it is read again at once.
func TestAStaleReadingIsReadAgainAtOnce(t *testing.T) {
	t.Parallel()
	for stale, want := range map[int]int{1: 2, 2: 3, 9: 3} {
		t.Run(fmt.Sprint(stale), func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			n := 0
			out, err := d.record(func(ctx context.Context, state domain.State) (recorder.Reading, error) {
				if n++; n <= stale {
					return recorder.Reading{Reader: domaintest.Stamp, Files: []domain.File{domaintest.Unchanged(req("REQ-001"))}}, nil
				}
				return reads(req("REQ-001"))(ctx, state)
			})
			if n != want || d.waits() != 0 {
				t.Errorf("read %d times with %d waits, want %d without", n, d.waits(), want)
			}
			if stale < want && (err != nil || out.Completed == nil) {
				t.Errorf("outcome %+v, %v; want a completed scan", out, err)
			}
			if stale > want && (!errors.Is(err, domain.ErrStale) || out.Failed == nil || out.Failed.Code != domain.ViolationConflict) {
				t.Errorf("outcome %+v, %v; want a recorded conflict", out, err)
			}
		})
	}
}

// Two who act at the same moment are both recorded.
func TestAnAdminActionIsRecordedBehindAnother(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first, second := newAction(), newAction()
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		d.log.onAppend = nil
		if _, err := d.recorder.RecordAction(t.Context(), first); err != nil {
			t.Error(err)
		}
		return do()
	}
	at, err := d.recorder.RecordAction(t.Context(), second)
	if err != nil || at != 2 {
		t.Fatalf("recorded at %d, %v; want 2", at, err)
	}
	var ids []string
	for _, r := range d.records() {
		if acted, ok := decoded(t, r).(domain.AdminActed); ok {
			ids = append(ids, acted.ID)
		}
	}
	if !slices.Equal(ids, []string{first.ID, second.ID}) {
		t.Errorf("the log has %v, want %s and %s", ids, first.ID, second.ID)
	}
}
