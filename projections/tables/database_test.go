package tables_test

import (
	"fmt"
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
	for seed := range 6 {
		h := rapid.Custom(drawStory).Example(seed)
		m := h.tables(wholeBatches)
		for _, p := range tables.All() {
			t.Run(fmt.Sprintf("%s of story %d", p.Name, seed), func(t *testing.T) {
				t.Parallel()
				log := stored(t, h.story)
				projectionstest.Check(t, p, log)
				story := projectionstest.Given(t, p, log)
				for _, table := range p.Tables {
					compareRows(t, story, m.tables[table.Name])
				}
			})
		}
	}
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
