package eventstoretest

import (
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Open returns a new, empty log with the wall clock. Run closes it.
type Open func(t *testing.T) eventstore.Log

// AtTheSizesOfPages is the name of the longest test, for [Run].
const AtTheSizesOfPages = "Read/AtTheSizesOfPages"

// AtOnce names the tests whose outcome depends on what many do at the same time, for [RunSome].
func AtOnce() []string {
	return []string{
		"Append/RepeatedIsWrittenOnce", "Append/CancelledAtAnyMoment", "Append/ManyWriters", "Append/ManyWritersOnOneStream",
		"Append/ManyWritersOfOneBatch", "Read/NeverSeesAPartOfABatch", "Subscribe/FromCatchUpToLive", "Contents/AreThereWithTheirEvents",
		"Close/LetsAppendsComeToADefiniteEnd",
	}
}

// RunSome runs the tests of [Run] that names says: for a log whose other promises do not depend on what is behind it.
func RunSome(t *testing.T, open Open, names ...string) {
	t.Helper()
	all := tests()
	for _, name := range names {
		test, ok := all[name]
		if !ok {
			t.Errorf("there is no test %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opened(t, open))
		})
	}
}

// Run checks every promise of package eventstore on logs that open gives, and that they say want of themselves. It leaves
// out the tests without, which another run makes of the same code.
func Run(t *testing.T, want eventstore.Features, open Open, without ...string) {
	t.Helper()
	t.Run("Features", func(t *testing.T) {
		t.Parallel()
		testFeatures(t, want, open)
	})
	for name, test := range tests() {
		if slices.Contains(without, name) {
			continue
		}
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
		"Append/TakesAnyName":                 testNames,
		"Append/RefusesImpossibleNames":       testImpossibleNames,
		"Append/TakesOrRefusesDrawnNames":     testPropertyNames,
		"Append/RefusesAnotherRevision":       testConflict,
		"Append/RepeatedIsWrittenOnce":        testRepeated,
		"Append/RefusesReusedIDs":             testReusedIDs,
		"Append/ReadsStreamedBatches":         testStreamed,
		"Append/StreamedBatchIsAllOrNothing":  testStreamedFails,
		"Append/StreamedBatchIsOneBatch":      testStreamedChanges,
		"Append/StreamedBatchIsLeftAlone":     testStreamedIsLeft,
		"Append/SurvivesALostAnswer":          testLostAnswer,
		"Append/TakesHugeBatches":             testHugeBatch,
		"Append/Cancelled":                    testCancelledAppend,
		"Append/CancelledAtAnyMoment":         testCancelledAnywhere,
		"Append/TakesBatchesInOrder":          testEnqueue,
		"Append/ManyWriters":                  testManyWriters,
		"Append/ManyWritersOnOneStream":       testManyWritersOnOneStream,
		"Append/ManyWritersOfOneBatch":        testManyWritersOfOneBatch,
		"Read/FromAnyPosition":                testReadFromAnyPosition,
		"Read/At":                             testAt,
		"Read/AtCancelled":                    testCancelledAt,
		"Read/Backwards":                      testReadBackwards,
		"Read/Filtered":                       testReadFiltered,
		"Read/EndsAtTheHeadOfTheCall":         testReadEndsAtHead,
		"Read/TheBodyMayAppendAndBreak":       testBodyAppends,
		"Read/OneStream":                      testReadStream,
		AtTheSizesOfPages:                     testSizes,
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
