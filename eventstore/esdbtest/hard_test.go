package esdbtest_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// An append that comes again while the first is not readable yet gets no answer but a timeout (facts: append/concurrent_same).
func TestARepetitionOfWhatIsNotReadableIsDropped(t *testing.T) {
	t.Parallel()
	cluster, clients := three(t, esdbtest.ClusterOptions{})
	c := clients[0]
	cluster.Lag(esdbtest.Lag{Leader: time.Hour})
	first := make(chan error, 1)
	go func() {
		_, err := c.append("s", "no_stream", "0", "1")
		first <- err
	}()
	for { // until it is written
		answer, err := c.append("s", "99", "2")
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err, t.Context().Err())
		}
		if answer.GetWrongExpectedVersion().GetCurrentRevision() == 1 {
			break
		}
	}
	_, err := c.append("s", "no_stream", "0", "1")
	wantCode(t, err, codes.Aborted, "Operation timed out: Commit phase timeout.")
	cluster.Replicate()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := len(cluster.Of("s")); n != 2 {
		t.Errorf("%d events were written, want 2", n)
	}
	c.must(c.append("s", "no_stream", "0", "1"))
}

// An event in the stream named $$ is acknowledged, and ends the process of a real server (facts: lethal/append_to_dollar_dollar).
func TestAnAppendThatEndsAServerFailsTheTest(t *testing.T) {
	t.Parallel()
	watched := &catcher{TB: t}
	c := dial(t, esdbtest.StartCluster(watched, esdbtest.ClusterOptions{Nodes: 1}).Node(0))
	c.must(c.append("$$", "any", "0"))
	if n := watched.errors.Load(); n != 1 {
		t.Errorf("%d errors, want 1", n)
	}
}
