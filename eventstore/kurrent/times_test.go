package kurrent_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

// A server of package esdbserver keeps the time itself. It must not be taken for one that kept that of a copy.
func TestAServerThatKeepsTheTimeTakesNoCopy(t *testing.T) {
	t.Parallel()
	log := open(t, newMemory(t).url(), options())
	b := batch("s", 0, 2)
	b.RecordedAt = time.Now().Add(time.Hour)
	if _, err := log.Append(within(t), b); !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "copy to the log that it serves") {
		t.Errorf("error is %v, want ErrInvalid and what to do", err)
	}
	if records := readAll(t, log); len(records) != 0 {
		t.Errorf("%d events were written", len(records))
	}
}

func TestARealServerKeepsTheTimesOfACopy(t *testing.T) {
	t.Parallel()
	url, ok := os.LookupEnv("GXPLEDGER_TEST_ESDB_URL")
	if !ok {
		t.Skip("NOT TESTED: a real KurrentDB. Set GXPLEDGER_TEST_ESDB_URL to the connection string of one whose MaxAppendSize is 8 MiB or more")
	}
	o := options()
	o.Prefix = "gxpledger-test-" + uuid.NewString() + "-"
	eventstoretest.KeepsRecordedTimes(t, open(t, url, o))
}
