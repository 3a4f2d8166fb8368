// Package projectionstest tests projections in a real SQLite database.
//
//	log := projectionstest.NewLog(t, projectionstest.Batch{Events: []domain.Event{...}})
//	projectionstest.Check(t, tables.Audit(), log)
//	projectionstest.Given(t, tables.Audit(), log).Then("audit_log", []string{"sequence", "actor"}, projectionstest.Row{1, "ann"})
//
// [Check] is the promise that every projection keeps (I6): whatever the size of pages, live or rebuilt or as-of, once or
// twice, the rows are the same to the byte.
package projectionstest
