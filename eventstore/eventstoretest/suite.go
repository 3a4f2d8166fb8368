package eventstoretest

import (
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Open returns a new, empty log with the wall clock. Run closes it.
type Open func(t *testing.T) eventstore.Log

// Run checks every promise of package eventstore on logs that open gives, and that they say want of themselves.
func Run(t *testing.T, want eventstore.Features, open Open) {
	t.Helper()
	t.Run("Features", func(t *testing.T) {
		t.Parallel()
		testFeatures(t, want, open)
	})
	for name, test := range tests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opened(t, open))
		})
	}
}

func tests() map[string]func(*testing.T, eventstore.Log) {
	return map[string]func(*testing.T, eventstore.Log){
		"Append/ComesBackAsItWas":             testComesBack,
		"Append/KeepsNoReference":             testKeepsNoReference,
		"Append/RefusesWhatIsInvalid":         testRefusesInvalid,
		"Append/RefusesAnotherRevision":       testConflict,
		"Append/RepeatedIsWrittenOnce":        testRepeated,
		"Append/RefusesReusedIDs":             testReusedIDs,
		"Append/SurvivesALostAnswer":          testLostAnswer,
		"Append/TakesHugeBatches":             testHugeBatch,
		"Append/Cancelled":                    testCancelledAppend,
		"Append/CancelledAtAnyMoment":         testCancelledAnywhere,
		"Append/ManyWriters":                  testManyWriters,
		"Append/ManyWritersOnOneStream":       testManyWritersOnOneStream,
		"Append/ManyWritersOfOneBatch":        testManyWritersOfOneBatch,
		"Read/FromAnyPosition":                testReadFromAnyPosition,
		"Read/Backwards":                      testReadBackwards,
		"Read/Filtered":                       testReadFiltered,
		"Read/EndsAtTheHeadOfTheCall":         testReadEndsAtHead,
		"Read/TheBodyMayAppendAndBreak":       testBodyAppends,
		"Read/OneStream":                      testReadStream,
		"Read/Cancelled":                      testCancelledReads,
		"Read/NeverSeesAPartOfABatch":         testNeverAPart,
		"Subscribe/FromCatchUpToLive":         testSubscribe,
		"Subscribe/Filtered":                  testSubscribeFiltered,
		"Subscribe/EndsWithItsContext":        testSubscribeCancelled,
		"Subscribe/EndsWithTheLog":            testSubscribeClosed,
		"Subscribe/WaitsForASlowLoop":         testSubscribeSlow,
		"Contents/ComeBackAsTheyWere":         testContents,
		"Contents/AreKeptOnce":                testContentsOnce,
		"Contents/AreThereWithTheirEvents":    testContentsWithEvents,
		"Snapshots/AreReplaced":               testSnapshots,
		"Snapshots/RefuseWhatIsInvalid":       testInvalidSnapshots,
		"Close/EndsEverything":                testClose,
		"Close/LetsAppendsComeToADefiniteEnd": testCloseWhileAppending,
	}
}

func opened(t *testing.T, open Open) eventstore.Log {
	t.Helper()
	log := open(t)
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return log
}

func testFeatures(t *testing.T, want eventstore.Features, open Open) {
	t.Helper()
	one, other := opened(t, open), opened(t, open)
	if got := one.Features(); got != want {
		t.Errorf("features are %+v, want %+v", got, want)
	}
	if want.Name == "" {
		t.Error("the log has no name")
	}
	if one.ID() == other.ID() || one.ID() == (eventstore.EventID{}) {
		t.Errorf("two logs have the ids %s and %s", one.ID(), other.ID())
	}
}
