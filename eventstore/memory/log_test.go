package memory_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLogKeepsTheContract(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, eventstore.Features{Name: "memory", DensePositions: true, OrderedTimes: true, UniqueIDs: true}, func(*testing.T) eventstore.Log {
		return memory.New(time.Now)
	})
}

func TestTimesNeverFall(t *testing.T) {
	t.Parallel()
	clock := []time.Time{time.Unix(200, 1999), time.Unix(100, 0), time.Unix(300, 0)}
	log := memory.New(func() time.Time {
		now := clock[0]
		clock = clock[1:]
		return now
	})
	eventstoretest.TimesNeverFall(t, log, []time.Time{time.Unix(200, 1000), time.Unix(200, 1000), time.Unix(300, 0)})
}

func TestRecordedTimesOfACopyAreKept(t *testing.T) {
	t.Parallel()
	eventstoretest.KeepsRecordedTimes(t, memory.New(time.Now))
}
