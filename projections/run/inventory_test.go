package run_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

func TestRebuiltTablesEqualLiveOnes(t *testing.T) { // I6
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		projectionstest.CheckWith(t, rt, inventory(), projectionstest.NewLog(t, databasetest.History(rt)...))
	})
}

func TestRowsAreWhatTheEventsSay(t *testing.T) {
	t.Parallel()
	log := projectionstest.NewLog(t, batch(action("box", 1, "label", "x"), action("put", 1, "slot", "left", "name", "pen"), action("label", 1, "label", "tools")),
		batch(action("box", 2), action("put", 2, "slot", "top", "name", "cup"), action("drop", 2)))
	story := projectionstest.Given(t, inventory(), log)
	story.Then("boxes", []string{"number", "label", "open", "since", "detail"},
		projectionstest.Row{1, "tools", false, "2026-01-02T03:04:06.000000Z", `{"label":"x"}`})
	story.Then("items", []string{"box", "slot", "name"}, projectionstest.Row{1, "left", "pen"})
	story.Then("moves", []string{"position", "action"}, projectionstest.Row{1, "box"}, projectionstest.Row{2, "put"},
		projectionstest.Row{3, "label"}, projectionstest.Row{4, "box"}, projectionstest.Row{5, "put"}, projectionstest.Row{6, "drop"})
}
