package databasetest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
)

// Database is a database as an adapter opens it.
type Database interface {
	projections.Database
	projections.SchemaChecker
	// Query returns a handle for queries over the views and the catalogue.
	Query() *sql.DB
	Close() error
}

// Adapter is a kind of database, to be put to the test.
type Adapter struct {
	// New makes a place for new tables, which belongs to t, and returns its address, for this process and others.
	New func(t testing.TB) string
	// Open opens the tables at an address for writing, with a clock that decides about leases; nil is the one that decides
	// otherwise. Who opens them closes them.
	Open func(ctx context.Context, address string, now func() time.Time) (Database, error)
	// OpenReader opens the tables at an address as somebody would who only queries the views.
	OpenReader func(ctx context.Context, address string) (*sql.DB, error)
	// Admin opens a handle at an address that may do everything, behind the engine's back.
	Admin func(ctx context.Context, address string) (*sql.DB, error)
	// Failing are statements that make the move of every checkpoint fail, saying "disk on fire"; fixing takes them back.
	Failing, Mending []string
	// Unguarded are the statements that let rows of build 1 of the table moves be deleted.
	Unguarded []string
	// Attacks are statements that try to change the table log_lines of build 1 and the account of builds.
	Attacks []string
	// Objects counts everything that belongs to build 2.
	Objects string
	// Broken are what may stand wrongly around the rows of build 1 of a inventory, in groups that can be so together.
	Broken [][]Breakage
	// Histories bounds how many histories of administration are drawn, where each step takes long; 0 for as many as rapid
	// wants.
	Histories int
}

// Breakage is something that was changed around rows: [projections.SchemaChecker] finds it, and a rebuild fixes it.
type Breakage struct {
	Edit []string // done by Admin
	Want string   // a part of what is found
}

// BrokenCatalogue is what may be wrong with what a database stores about build 1 of an inventory, in any database; own
// makes the tables items and boxes__b2 those of whoever projects.
func BrokenCatalogue(own ...string) [][]Breakage {
	return [][]Breakage{
		{
			{Edit: []string{"UPDATE build_tables SET doc = 'x' WHERE name = 'boxes'"}, Want: "catalogue: table 1, boxes, is not what gxpledger stored: boxes__b1, append-only false: x"},
			{Edit: []string{"UPDATE build_columns SET doc = 'x' WHERE physical = 'items__b1' AND ordinal = 1"}, Want: "catalogue: column 1, items__b1."},
			{Edit: []string{"DELETE FROM build_digests"}, Want: "catalogue: it lacks digest 2, items,"},
		},
		{{Edit: []string{"DELETE FROM build_columns"}, Want: "catalogue: it lacks column 1, boxes__b1."}},
		{{Edit: []string{"DELETE FROM build_columns", "DELETE FROM build_tables"}, Want: "catalogue: it lacks table 1, boxes,"}},
		{
			{
				Edit: append([]string{
					"DROP VIEW items", "CREATE TABLE items (mine integer)", "CREATE TABLE boxes__b2 (mine integer)",
					"DELETE FROM build_columns", "DELETE FROM build_tables",
				}, own...),
				Want: "catalogue: it lacks table 2, items,",
			},
		},
	}
}

// Run checks every promise on databases of the adapter.
func (a Adapter) Run(t *testing.T) {
	t.Helper()
	for name, test := range a.tests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func (a Adapter) tests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"Rows/ComeBackAsTheyWere":          a.testValues,
		"Rows/RefuseWhatDoesNotFit":        a.testMisfits,
		"Rows/KeepTheRulesOfTheirTable":    a.testRules,
		"Rows/KeepClosedSetsAndMinima":     a.testClosedSets,
		"Rows/MayBreakAReferenceForAWhile": a.testBrokenReference,
		"Rows/AppendOnlyForOthersToo":      a.testAppendOnly,
		"Builds/ComeAndGo":                 a.testBuilds,
		"Builds/AreCatalogued":             a.testCatalogue,
		"Builds/OwnTheirNames":             a.testNames,
		"Builds/RevivedByAnOlderVersion":   a.testABuildThatWasRevivedIsRetired,
		"Inspect/SeesOneState":             a.testInspect,

		"ACancelledContextEndsEverything":             a.testACancelledContextEndsEverything,
		"ACancelledRebuildStopsAndLeavesTheOldTables": a.testACancelledRebuildStopsAndLeavesTheOldTables,
		"AFreshRebuildBeginsAnew":                     a.testAFreshRebuildStartsOver,
		"AKilledProcessLosesAndDoublesNothing":        a.testAKilledProcessLosesAndDoublesNothing,
		"ALeaseThatEndsTooLateRunsOut":                a.testALeaseThatEndsTooLateRunsOut,
		"ALeaseThatWasGivenUpIsFreeByEveryClock":      a.testALeaseThatWasGivenUpIsFreeByEveryClock,
		"ANewVersionIsBuiltBesideTheOld":              a.testANewVersionIsBuiltBesideTheOld,
		"APausedProjectionStaysAsItIs":                a.testAPausedProjectionStaysAsItIs,
		"APoisonEventStopsItsProjectionAlone":         a.testAFaultStopsItsProjectionAlone,
		"ARebuildOutlivesALostAnswer":                 a.testARebuildOutlivesALostAnswer,
		"ARebuildSaysWhatTheOldTablesShowedWrongly":   a.testARebuildSaysWhatTheOldTablesShowedWrongly,
		"ARebuildThatWasStoppedIsGoneOnWith":          a.testAnInterruptedRebuildIsResumed,
		"ARefusedFirstBuildIsShownAsFarAsItIs":        a.testARefusedFirstBuildIsShownAsFarAsItIs,
		"ARetiredBuildIsNotWritten":                   a.testARetiredBuildIsNotWritten,
		"ASkippedEventIsPassedOverInEveryWay":         a.testASkippedEventIsSkippedByRebuildsAndViewsToo,
		"AStoppedProcessDoesNotWriteWhenItWakesUp":    a.testAStoppedProcessDoesNotWriteWhenItWakesUp,
		"AnActOfADeadProcessIsInterrupted":            a.testAnActionOfADeadProcessIsInterrupted,
		"TheZeroLogIsNoOther":                         a.testTheZeroLogIsNoOther,
		"AnotherLogIsRefused":                         a.testAnotherLogIsRefused,
		"AsOfShowsAWholeBatch":                        a.testAsOfShowsAWholeBatch,
		"CatchUpStopsWhereItWasToldTo":                a.testCatchUpStopsAtTheGivenPosition,
		"DigestsAreKeptWithTheBuild":                  a.testDigestsAreStoredWithTheBuild,
		"LeasesUnderAnyClocks":                        a.testLeasesUnderAnyClocks,
		"OnlyItsOwnSkipCounts":                        a.testOnlyItsOwnSkipCounts,
		"OnlyOneProcessRebuilds":                      a.testOnlyOneProcessRebuilds,
		"ProjectionsAtDifferentPositionsShareAPass":   a.testProjectionsAtDifferentPositionsShareAPass,
		"PruningKeepsTheActWithItsBuilds":             a.testPruningRecordsTheActionWithItsBuilds,
		"ReadersSeeWholeTablesDuringRebuilds":         a.testReadersSeeWholeTablesDuringRebuilds,
		"RowsAndCheckpointCommitTogether":             a.testRowsAndCheckpointCommitTogether,
		"PartsOfAPageCommitTogether":                  a.testPartsOfAPageCommitTogether,
		"RunEndsWhenNoProjectionIsLeft":               a.testRunEndsWhenNoProjectionIsLeft,
		"RunFollowsTheLog":                            a.testRunFollowsTheLog,
		"RunOutlivesADatabaseThatDoesNotAnswer":       a.testRunOutlivesADatabaseThatDoesNotAnswer,
		"RunWaitsWhileItsProjectionIsPaused":          a.testRunWaitsWhileItsProjectionIsPaused,
		"SmallLogs":                                   a.testSmallLogs,
		"StatusTellsAStallFromWork":                   a.testStatusTellsAStallFromWork,
		"TheActOfACancelledBuildIsCancelled":          a.testTheActionOfACancelledBuildIsCancelled,
		"TheDatabaseRefusesAStaleToken":               a.testTheDatabaseRefusesAStaleToken,
		"TransientErrorsAreTriedAgain":                a.testTransientErrorsAreTriedAgain,
		"TwoProcessesWriteOneBuildInTurn":             a.testTwoProcessesWriteOneBuildInTurn,
		"VerifyFindsWhatStandsBetweenReadersAndRows":  a.testVerifyFindsBrokenViewsKeysAndGuards,
		"VerifyNamesTheFirstDifference":               a.testVerifyNamesTheFirstDifference,
		"WhatCannotBeGoneOnWithIsClearedAway":         a.testABuildThatCannotBeResumedIsDropped,
		"TablesUnderAnyHistoryOfAdministration":       a.testTablesUnderAnyHistoryOfAdministration,
	}
}

// The parts that a child process plays are told to it by these.
const (
	partEnv    = "GXPLEDGER_DATABASETEST_PART"
	addressEnv = "GXPLEDGER_DATABASETEST_ADDRESS"
)

// Child plays the part that a test has started this process for, and ends it. In any other process it does nothing.
// TestMain calls it first.
func (a Adapter) Child() {
	part, ok := os.LookupEnv(partEnv)
	if !ok {
		return
	}
	if err := a.play(part, os.Getenv(addressEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:revive // a child ends here
	}
	os.Exit(0) //nolint:revive // a child ends here
}

// open opens tables for a test.
func (a Adapter) open(tb testing.TB, address string) Database {
	tb.Helper()
	return a.openAt(tb, address, nil)
}

func (a Adapter) openAt(tb testing.TB, address string, now func() time.Time) Database {
	tb.Helper()
	db, err := a.Open(tb.Context(), address, now)
	must(tb, err)
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return db
}

// tamper runs SQL behind the engine's back.
func (a Adapter) tamper(tb testing.TB, address string, statements ...string) {
	tb.Helper()
	handle := a.admin(tb, address)
	for _, s := range statements {
		if _, err := handle.ExecContext(tb.Context(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

func (a Adapter) admin(tb testing.TB, address string) *sql.DB {
	tb.Helper()
	handle, err := a.Admin(tb.Context(), address)
	must(tb, err)
	tb.Cleanup(func() { must(tb, handle.Close()) })
	return handle
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func count(t *testing.T, db *sql.DB, query string) int {
	t.Helper()
	var n int
	must(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}
