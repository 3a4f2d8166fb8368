package query_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// finder finds places in the log of the world. It is 13:00 of its day.
func (w *world) finder() query.Finder {
	return query.Finder{
		Log:   w.log,
		Scans: func(context.Context) (*query.Reader, error) { return w.reader(), nil },
		Now:   func() time.Time { return time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC) },
	}
}

// point is a point in time that is known to be one.
func point(t *testing.T, text string) query.Point {
	t.Helper()
	p, err := query.ParsePoint(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// twoScans is a repository that was scanned at 12:01 and 12:02, and failed at 12:03: events 1 to 4, 5 to 7, and 8.
func twoScans(t *testing.T) *world {
	t.Helper()
	return newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b")).
		scan(domaintest.Requirement("REQ-1", "A"), domaintest.Requirement("REQ-2", "B")).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"))
}

func TestEveryFormOfAPointIsFound(t *testing.T) {
	t.Parallel()
	w := twoScans(t)
	commit := func(n int) string { return domaintest.Hash(fmt.Sprint("commit ", n)) }
	for text, want := range map[string]string{
		"scan:1":                         "4 at 12:01 of 8",
		"scan:2":                         "7 at 12:02 of 8",
		"scan:3":                         "8 at 12:03 of 8",
		"pos:1":                          "4 at 12:01 of 8", // a batch is whole or not at all
		"pos:4":                          "4 at 12:01 of 8",
		"pos:6":                          "7 at 12:02 of 8",
		"pos:8":                          "8 at 12:03 of 8",
		"commit:" + commit(1)[:7]:        "4 at 12:01 of 8",
		"commit:" + commit(2)[:40]:       "7 at 12:02 of 8",
		"2026-03-01":                     "8 at 12:03 of 8",
		"2026-03-01T12:02:00Z":           "7 at 12:02 of 8",
		"2026-03-01T13:02:00+01:00":      "7 at 12:02 of 8",
		"2026-03-01T12:01:59Z":           "4 at 12:01 of 8",
		"2026-03-01T12:01:59.999999999Z": "4 at 12:01 of 8",
		"2026-03-01T12:30:00Z":           "8 at 12:03 of 8",
	} {
		point, err := w.finder().Find(t.Context(), point(t, text), "")
		got := fmt.Sprintf("%d at %s of %d", point.Position, point.RecordedAt.Format("15:04"), point.Head)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestWhatIsNotThereIsAnsweredWithWhatIs(t *testing.T) {
	t.Parallel()
	w := twoScans(t)
	for text, parts := range map[string][]string{
		"scan:9": {`"demo" has the scans 1 to 3, recorded from 2026-03-01T12:01:00Z to 2026-03-01T12:03:00Z`},
		"pos:9":  {`no position "9"`, "the first event is at position 1", "the last at position 8, recorded at 2026-03-01T12:03:00Z"},
		"2026-02-28": {
			`no event recorded at or before "2026-02-28"`, "the first event is at position 1, recorded at 2026-03-01T12:01:00Z",
		},
		"2026-03-01T12:00:59.999999Z": {"no event recorded at or before"},
		"2026-03-02":                  {"in the future", "it is 2026-03-01T13:00:00Z now", "2026-03-01T12:03:00Z"},
		"2026-03-01T13:00:01Z":        {"in the future"},
		"commit:" + domaintest.Hash("commit 3")[:9]: {
			"no completed scan of commit", `scan 3 of "demo" failed, and left what was there before`,
		},
		"commit:" + domaintest.Hash("commit 2")[:6] + "fff": {
			"nearest: \"" + domaintest.Hash("commit 2")[:40] + `"`, `the last scan of a commit is scan 2 of "demo"`,
		},
	} {
		_, err := w.finder().Find(t.Context(), point(t, text), "")
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want it to say %s", text, err, part)
			}
		}
	}
	if _, err := newWorld(t).finder().Find(t.Context(), point(t, "pos:1"), ""); !errors.Is(err, query.ErrEmpty) {
		t.Errorf("in an empty log: %v", err)
	}
}

func TestAPointOfSeveralRepositoriesIsAskedFor(t *testing.T) {
	t.Parallel()
	w := twoScans(t)
	w.scanOf("other", domaintest.Flag(), domaintest.Requirement("REQ-1", "a"))
	find := func(text, repository string) (query.ResolvedPoint, error) {
		return w.finder().Find(t.Context(), point(t, text), repository)
	}
	var several *query.AmbiguousError
	if _, err := find("scan:1", ""); !errors.As(err, &several) {
		t.Errorf("scan:1 of two repositories: %v", err)
	}
	for _, c := range []struct {
		text, repository string
		want             eventstore.Position
	}{
		{"scan:1", "other", 11},
		{"scan:1", "demo", 4},
		{"commit:" + domaintest.Hash("commit 4")[:12], "", 11},
		{"commit:" + domaintest.Hash("commit 4")[:12], "other", 11},
	} {
		if point, err := find(c.text, c.repository); err != nil || point.Position != c.want {
			t.Errorf("%s of %q: %v, %v; want position %d", c.text, c.repository, point, err, c.want)
		}
	}
	if _, err := find("commit:"+domaintest.Hash("commit 4")[:12], "demo"); !errors.Is(err, query.ErrUnknown) {
		t.Errorf("a commit of the other repository: %v", err)
	}
	if _, err := find("scan:1", "oter"); !errors.Is(err, query.ErrUnknown) || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("a misspelt repository: %v", err)
	}
}

func TestOnlyScansOfAWholeCommitCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source = func(n int, s domain.Source) domain.Source {
		s.Commit = []string{"", "aaaaaaa111", "aaaaaaa222", "bbbbbbb000", "aaaaaaa111"}[n]
		s.Worktree, s.Dirty = n == 3, n == 3
		return s
	}
	for n := range 4 {
		w.scan(domaintest.Requirement("REQ-1", fmt.Sprint(n)))
	}
	found, err := w.finder().Find(t.Context(), point(t, "commit:aaaaaaa111"), "")
	if err != nil || found.Position != 9 {
		t.Errorf("a commit that was scanned twice: %v, %v; want the last scan of it", found, err)
	}
	for text, part := range map[string]string{
		"commit:aaaaaaa": "2 scanned commits begin with that, aaaaaaa111, aaaaaaa222: give more digits",
		"commit:bbbbbbb": `scan 3 of "demo" read a work tree with other changes`,
	} {
		if _, err := w.finder().Find(t.Context(), point(t, text), ""); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want %s", text, err, part)
		}
	}
}

// sparse is a log whose positions have gaps: batches of some sizes at some times.
type sparse []eventstore.Record

func (s sparse) Head(context.Context) (eventstore.Position, error) {
	if len(s) == 0 {
		return 0, nil
	}
	return s[len(s)-1].Position, nil
}

func (sparse) Features() eventstore.Features { return eventstore.Features{OrderedTimes: true} }

func (s sparse) At(_ context.Context, at eventstore.Position) (eventstore.Record, error) {
	for _, r := range s {
		if r.Position == at {
			return r, nil
		}
	}
	return eventstore.Record{}, eventstore.ErrNotFound
}

func (s sparse) Read(_ context.Context, after eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for _, r := range s {
			if r.Position > after && !yield(r, nil) {
				return
			}
		}
	}
}

func (s sparse) ReadBackwards(_ context.Context, before eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for i := range s {
			if r := s[len(s)-1-i]; (before == 0 || r.Position < before) && !yield(r, nil) {
				return
			}
		}
	}
}

// shownBy is the position that a point shows, found by looking at every record; 0 for none.
func (s sparse) shownBy(by func(eventstore.Record) bool) eventstore.Position {
	until := -1
	for i, r := range s {
		if by(r) {
			until = i
		}
	}
	if until < 0 {
		return 0
	}
	for !s[until].EndsBatch() {
		until++
	}
	return s[until].Position
}

func drawSparse(t *rapid.T) sparse {
	var log sparse
	position, at := eventstore.Position(0), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for range rapid.IntRange(1, 12).Draw(t, "batches") {
		at = at.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 1000, 1_000_000, 5_000_000}).Draw(t, "later")) * time.Microsecond)
		size := rapid.IntRange(1, 4).Draw(t, "size")
		for i := range size {
			position += eventstore.Position(rapid.SampledFrom([]int{1, 1, 2, 97, 1 << 40}).Draw(t, "gap"))
			log = append(log, eventstore.Record{Position: position, RecordedAt: at, Meta: eventstore.Meta{Index: i, Size: size}})
		}
	}
	return log
}

// TestPropertyAPointIsWhatLookingAtEveryRecordFinds holds for positions with gaps and for batches of one time.
func TestPropertyAPointIsWhatLookingAtEveryRecordFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := drawSparse(t)
		finder := query.Finder{Log: log, Now: func() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }}
		near := rapid.SampledFrom(log).Draw(t, "near")
		when := near.RecordedAt.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "off")) * time.Microsecond)
		text := when.Format("2006-01-02T15:04:05.000000Z")
		want := log.shownBy(func(r eventstore.Record) bool { return !r.RecordedAt.After(when) })
		if rapid.Bool().Draw(t, "by position") {
			at := near.Position + eventstore.Position(rapid.IntRange(0, 1).Draw(t, "behind"))
			if head, _ := log.Head(context.Background()); at > head {
				at = head
			}
			text = fmt.Sprintf("pos:%d", at)
			want = log.shownBy(func(r eventstore.Record) bool { return r.Position <= at })
		}
		p, err := query.ParsePoint(text)
		if err != nil {
			t.Fatal(err)
		}
		point, err := finder.Find(context.Background(), p, "")
		if want == 0 {
			if !errors.Is(err, query.ErrUnknown) {
				t.Fatalf("%s of %v: %v, %v; want nothing", text, log, point, err)
			}
			return
		}
		if err != nil || point.Position != want {
			t.Fatalf("%s of %v: %v, %v; want position %d", text, log, point, err, want)
		}
	})
}
