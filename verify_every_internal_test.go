package gxpledger

import (
	"context"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// cluster is a log of several nodes, of which the one that was asked is behind.
type cluster struct{ eventstore.Log }

func (cluster) EndsBefore(context.Context, eventstore.Position) (bool, error) { return false, nil }

// A log of several nodes says itself where it ends, also while it is read at a pace: a node that is behind is no mismatch.
func TestALogThatIsReadAtAPaceSaysWhereItEnds(t *testing.T) {
	t.Parallel()
	log := memory.New(time.Now)
	t.Cleanup(func() { _ = log.Close() })
	for name, c := range map[string]struct {
		log  eventstore.Log
		want bool
	}{
		"one that says it":  {cluster{log}, false},
		"one that does not": {log, true},
	} {
		ends, err := pacedLog{Log: c.log, pace: &pace{}}.EndsBefore(t.Context(), 7)
		if ends != c.want || err != nil {
			t.Errorf("%s: ends before 7: %v, %v, want %v", name, ends, err, c.want)
		}
	}
}

// What was found of a verification that began longer ago than its period is not the present, and is found again; what was found
// since is kept.
func TestAVerificationResumesNothingThatIsOld(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	faults := map[time.Duration]int{}
	for _, age := range []time.Duration{time.Minute, time.Hour + time.Minute, -time.Minute} {
		log := memory.New(time.Now)
		ledger, err := Open(t.Context(), Config{Home: t.TempDir(), OpenedLog: log, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ledger.Close() })
		found := newVerification(ledger, VerifyOptions{}).result
		found.Faults = append(found.Faults, eventstore.Fault{Code: eventstore.FaultFile, Text: "found then"})
		err = ledger.settings.WriteVerification(verificationState{
			Log: log.ID().String(), Began: now.Add(-age), Done: []string{partAccess, partLog}, Found: found,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ledger.verifyOnce(t.Context(), VerifyEveryOptions{
			Every: time.Hour, Finished: func(_ Verification, last LastVerification) { faults[age] = last.Faults },
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fresh, old, future := faults[time.Minute], faults[time.Hour+time.Minute], faults[-time.Minute]
	if fresh != old+1 || future != old {
		t.Errorf("%d faults of what began a minute ago, %d of what is too old, %d of what begins later; want one more of the first", fresh, old, future)
	}
}
