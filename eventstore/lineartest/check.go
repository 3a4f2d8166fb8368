// Package lineartest checks that a log is linearizable: that a history of appends by expected revision and of reads, made
// by several callers at once, could have been made one after the other, each at a moment between its call and its answer.
package lineartest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
)

const (
	callers = 8
	rounds  = 25 // operations of each caller
	streams = 2  // that they share
)

// input is an operation: an append of size events after revision next-1, or a look at the end of the stream.
type input struct {
	stream eventstore.StreamID
	look   bool
	next   uint64
	size   int
}

// output is what it was answered.
type output struct {
	outcome outcome
	end     uint64 // events in the stream: after an append that was written, or as a look saw them
}

type outcome int

const (
	written outcome = iota
	conflict
	seen
	unknown // the caller's context ended first: written or not, now or later
)

// Check makes a history on logs, which are handles on one empty log, and fails unless it is linearizable. Callers take
// the handles in turn. Some appends are cancelled while they run.
func Check(t *testing.T, logs ...eventstore.Log) {
	t.Helper()
	history := record(t, logs)
	result, info := porcupine.CheckOperationsVerbose(model(), history, time.Minute)
	if result == porcupine.Ok {
		return
	}
	path := t.TempDir() + "/history.html"
	if err := porcupine.VisualizePath(model(), info, path); err != nil {
		t.Error(err)
	}
	t.Errorf("the history of %d operations is not linearizable (%s), see %s", len(history), result, path)
}

// record lets the callers loose and returns what they did.
func record(t *testing.T, logs []eventstore.Log) []porcupine.Operation {
	t.Helper()
	started := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var running sync.WaitGroup
	for id := range callers {
		running.Go(func() {
			c := &caller{log: logs[id%len(logs)], ends: map[eventstore.StreamID]uint64{}}
			for range rounds {
				call := time.Since(started)
				in, out := c.step(t.Context(), t)
				answer := time.Since(started)
				if out.outcome == unknown {
					answer = time.Hour // it may still happen
				}
				mu.Lock()
				history = append(history, porcupine.Operation{
					ClientId: id, Input: in, Call: call.Nanoseconds(), Output: out, Return: answer.Nanoseconds(),
				})
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return history
}

// caller knows the ends of streams from its own operations only, so that many of its appends are late.
type caller struct {
	log  eventstore.Log
	ends map[eventstore.StreamID]uint64
}

func (c *caller) step(ctx context.Context, t *testing.T) (input, output) {
	t.Helper()
	stream := eventstore.StreamID(fmt.Sprintf("s-%d", rand.IntN(streams)))
	if rand.IntN(3) == 0 {
		in := input{stream: stream, look: true}
		return in, c.look(ctx, t, in)
	}
	in := input{stream: stream, next: c.ends[stream], size: 1 + rand.IntN(3)}
	return in, c.append(ctx, t, in)
}

func (c *caller) look(ctx context.Context, t *testing.T, in input) output {
	t.Helper()
	out := output{outcome: seen}
	for r, err := range c.log.ReadStreamBackwards(ctx, in.stream) {
		if err != nil {
			t.Errorf("look at %s: %v", in.stream, err)
			return output{outcome: unknown}
		}
		out.end = uint64(r.Revision) + 1
		break
	}
	c.ends[in.stream] = out.end
	return out
}

func (c *caller) append(ctx context.Context, t *testing.T, in input) output {
	t.Helper()
	expected := eventstore.NoStream()
	if in.next > 0 {
		expected = eventstore.AtRevision(eventstore.Revision(in.next - 1))
	}
	if rand.IntN(5) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(3000))*time.Microsecond)
		defer cancel()
	}
	appended, err := c.log.Append(ctx, eventstoretest.NewBatch(in.stream, expected, "caller", 0, in.size))
	switch {
	case err == nil && !appended.Repeated:
		c.ends[in.stream] = uint64(appended.LastRevision) + 1
		return output{outcome: written, end: c.ends[in.stream]}
	case errors.Is(err, eventstore.ErrConflict):
		c.ends[in.stream] = in.next + uint64(1+rand.IntN(2)) // a guess, so that not every later append is late
		return output{outcome: conflict}
	case errors.Is(err, context.DeadlineExceeded):
		return output{outcome: unknown}
	default:
		t.Errorf("append to %s: %+v, %v", in.stream, appended, err)
		return output{outcome: unknown}
	}
}

// model is one stream: how many events it has.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := map[eventstore.StreamID][]porcupine.Operation{}
			for _, op := range history {
				in, _ := op.Input.(input) // call makes no other
				stream := in.stream
				parts[stream] = append(parts[stream], op)
			}
			var list [][]porcupine.Operation
			for _, part := range parts {
				list = append(list, part)
			}
			return list
		},
		Init:              func() []any { return []any{uint64(0)} },
		Step:              func(state, in, out any) []any { return steps(state, in, out) },
		Equal:             func(a, b any) bool { return a == b },
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
	}
	return m.ToModel()
}

func steps(state, in, out any) []any {
	end, isEnd := state.(uint64)
	was, isInput := in.(input)
	gave, isOutput := out.(output)
	if !isEnd || !isInput || !isOutput {
		return nil // no other are made
	}
	return step(end, was, gave)
}

// step returns the lengths that a stream of end events may have after an operation, none when it cannot have happened.
func step(end uint64, in input, out output) []any {
	after := in.next + uint64(in.size)
	switch out.outcome {
	case written:
		if end == in.next && out.end == after {
			return []any{after}
		}
	case conflict:
		if end != in.next {
			return []any{end}
		}
	case seen:
		if out.end == end {
			return []any{end}
		}
	case unknown:
		if end == in.next && !in.look {
			return []any{end, after}
		}
		return []any{end}
	}
	return nil
}
