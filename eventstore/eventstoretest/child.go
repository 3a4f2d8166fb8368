package eventstoretest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// childEnv carries a job to a child process: the test binary, started again.
const childEnv = "GXPLEDGER_EVENTSTORETEST_CHILD"

// Store says how several handles and processes get at one log.
type Store struct {
	// Create makes a new, empty store and returns where it is, in words that another process understands.
	Create func(t *testing.T) string
	// Open opens a handle on the store at where, with the wall clock. Who opens it closes it.
	Open func(ctx context.Context, where string) (eventstore.Log, error)
}

// Child does what RunShared wants of a process that it started, and then ends the process. In any other process it does
// nothing. TestMain calls it first.
func (s Store) Child() {
	text, ok := os.LookupEnv(childEnv)
	if !ok {
		return
	}
	if err := s.work(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:revive // a child ends here
	}
	os.Exit(0) //nolint:revive // a child ends here
}

// job is what a child is to do: append batches to a stream, and say on its standard output what it is about to append
// and what was acknowledged.
type job struct {
	Where   string              `json:"where"`
	Writer  string              `json:"writer"`
	Stream  eventstore.StreamID `json:"stream"`
	Batches int                 `json:"batches"`
	Size    int                 `json:"size"` // of a batch; each has a content of its own as well
}

// step is a line that a child says.
type step struct {
	Acknowledged bool                `json:"acknowledged"` // else it is about to append
	Batch        int                 `json:"batch"`
	First        eventstore.Position `json:"first"` // where it stands, once acknowledged
	Last         eventstore.Position `json:"last"`
}

func (s Store) work(text string) (err error) {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	log, err := s.Open(ctx, j.Where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for i := range j.Batches {
		if err := say(step{Batch: i}); err != nil {
			return err
		}
		appended, err := insist(ctx, log, j, i)
		if err != nil {
			return fmt.Errorf("writer %s, batch %d: %w", j.Writer, i, err)
		}
		if err := say(step{Acknowledged: true, Batch: i, First: appended.First, Last: appended.Last}); err != nil {
			return err
		}
	}
	return nil
}

func say(s step) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}

// insist appends the i-th batch of j behind whatever its stream holds.
func insist(ctx context.Context, log eventstore.Log, j job, i int) (eventstore.Appended, error) {
	for {
		expected, err := endOf(ctx, log, j.Stream)
		if err != nil {
			return eventstore.Appended{}, err
		}
		b := NewBatch(j.Stream, expected, j.Writer, i, j.Size)
		b.Contents = []eventstore.Blob{blob(contentOf(j.Writer, i))}
		appended, err := log.Append(ctx, b)
		if !errors.Is(err, eventstore.ErrConflict) {
			return appended, err
		}
	}
}

func contentOf(writer string, batch int) string {
	return fmt.Sprintf("content of %s %d", writer, batch)
}

// endOf returns what an append to the end of stream expects.
func endOf(ctx context.Context, log eventstore.StreamReader, stream eventstore.StreamID) (eventstore.Expected, error) {
	for r, err := range log.ReadStreamBackwards(ctx, stream) {
		return eventstore.AtRevision(r.Revision), err
	}
	return eventstore.NoStream(), nil
}

// child is a running process that does a job.
type child struct {
	command *exec.Cmd
	steps   chan step // closed when the child has written its last line
}

func startChild(t *testing.T, j job) *child {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{command: exec.CommandContext(within(t), binary), steps: make(chan step, 1000)}
	c.command.Env = append(os.Environ(), childEnv+"="+string(text))
	c.command.Stderr = os.Stderr
	c.command.WaitDelay = time.Second
	out, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.steps)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var s step
			if json.Unmarshal(lines.Bytes(), &s) != nil {
				return // the line in which it was killed
			}
			c.steps <- s
		}
	}()
	return c
}

// finish waits until the child has done its job and returns what was acknowledged.
func (c *child) finish(t *testing.T) []step {
	t.Helper()
	acknowledged := c.rest()
	if err := c.command.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
	return acknowledged
}

// kill ends the child at once, as kill -9 does, and returns what it had written since steps was last read.
func (c *child) kill(t *testing.T) []step {
	t.Helper()
	if err := c.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	acknowledged := c.rest()
	if err := c.command.Wait(); err == nil {
		t.Error("the child ended before it was killed: it had too little to do")
	}
	return acknowledged
}

func (c *child) rest() (acknowledged []step) {
	for s := range c.steps {
		if s.Acknowledged {
			acknowledged = append(acknowledged, s)
		}
	}
	return acknowledged
}
