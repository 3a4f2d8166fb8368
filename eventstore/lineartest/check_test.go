package lineartest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/lineartest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// liar acknowledges an append a little before it is written.
type liar struct {
	eventstore.Log

	late sync.WaitGroup
}

func (l *liar) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	next := batch.Expected.Next()
	l.late.Go(func() {
		<-time.After(time.Millisecond)
		_, _ = l.Log.Append(context.WithoutCancel(ctx), batch)
	})
	return eventstore.Appended{LastRevision: next + eventstore.Revision(len(batch.Events)) - 1}, nil
}

// The check must be able to fail: an inconsistent log is detected, in a test of a child process.
func TestAnInconsistentLogIsDetected(t *testing.T) {
	t.Parallel()
	if os.Getenv("LINEARTEST_LIAR") != "" {
		l := &liar{Log: memory.New(time.Now)}
		defer l.late.Wait()
		lineartest.Check(t, l)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnInconsistentLogIsDetected$")
	cmd.Env = append(os.Environ(), "LINEARTEST_LIAR=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not linearizable") {
		t.Errorf("the check answered %v:\n%s", err, out)
	}
}
