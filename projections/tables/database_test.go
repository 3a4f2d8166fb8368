package tables_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// TestADatabaseShowsWhatTheModelShows: in a real database, with its foreign keys and guards, by every way to fold a log.
func TestADatabaseShowsWhatTheModelShows(t *testing.T) {
	t.Parallel()
	told, m := shortStoryOfAll(t)
	for _, p := range tables.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			log := stored(t, told)
			projectionstest.Check(t, p, log)
			story := projectionstest.Given(t, p, log)
			for _, table := range p.Tables {
				compareRows(t, story, m.tables[table.Name])
			}
		})
	}
}

// shortStoryOfAll draws until a short story fills every table. The draws are the same in every run.
func shortStoryOfAll(t *testing.T) (*story, *model) {
	t.Helper()
	for seed := range 1000 {
		h := rapid.Custom(drawStory).Example(seed)
		m := h.tables(wholeBatches)
		if len(h.log) <= 40 && !slices.ContainsFunc(m.order, func(name string) bool { return len(m.tables[name].rows) == 0 }) {
			return h.story, m
		}
	}
	t.Fatal("no short story fills every table")
	return nil, nil
}

// stored is the story in a log, batch by batch.
func stored(t *testing.T, s *story) *projectionstest.Log {
	t.Helper()
	log := projectionstest.NewLog(t)
	var events []domain.Event
	for _, e := range s.log {
		events = append(events, e.Event)
		if e.EndsBatch() {
			log.Add(t, projectionstest.Batch{
				Stream: e.Stream, Actor: e.Meta.Actor, Reason: e.Meta.Reason, Scan: e.Meta.Scan, Events: events,
			})
			events = nil
		}
	}
	return log
}

// compareRows compares all columns but those of times, which the two clocks tell differently, and of truth values.
func compareRows(t *testing.T, story *projectionstest.Story, want *modelTable) {
	t.Helper()
	var columns []string
	for _, c := range want.Columns {
		if c.Type != projections.Timestamp && c.Type != projections.Boolean {
			columns = append(columns, c.Name)
		}
	}
	var wanted, got []string
	for _, row := range want.sorted() {
		wanted = append(wanted, line(want.pick(row, columns)))
	}
	for _, row := range story.Rows(want.Name, columns...) {
		got = append(got, line(row))
	}
	slices.Sort(wanted)
	slices.Sort(got)
	if !slices.Equal(got, wanted) {
		t.Errorf("%s\n  got  %v\n  want %v", want.Name, got, wanted)
	}
}
