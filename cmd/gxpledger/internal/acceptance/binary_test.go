package acceptance_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// TestTheBinaryHoldsTheAdapterAndTheServer runs the real binary: both speak the EventStoreDB protocol, and two packages
// that registered the same messages would end it at its start (ADR-0011). It records on a server, and serves that.
func TestTheBinaryHoldsTheAdapterAndTheServer(t *testing.T) {
	t.Parallel()
	gxpledger := binary(t)
	r := newRepo(t).fill(4)
	r.commit("Start")
	c := newClient(t)
	env := append(os.Environ(), "GXPLEDGER_LOG="+esdbtest.Start(t, memory.New(time.Now)).URL(), "GXPLEDGER_HOME="+c.home)
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), gxpledger, args...)
		cmd.Env = env
		return cmd
	}
	for _, args := range [][]string{{"scan", r.dir}, {"show", "specs"}, {"verify"}} {
		if out, err := command(args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	server := command("serve", "--esdb", "127.0.0.1:0")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, " at esdb://127.0.0.1:") {
		t.Errorf("the server says %q, %v", line, err)
	}
	_ = server.Process.Signal(os.Interrupt) // it may have ended by itself, which Wait tells
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
