package relay_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/relaytest"
)

// What a target may answer to one attempt.
const (
	accepts = iota
	fails
	failsAfterwards // it took the event, and the answer was lost
	refuses
	asksToWait
	crashes
	crashesAfterwards
	answers
)

// world is a log, a relay that crashes and is started again, and a target with moods.
type world struct {
	tb
	*story
	cursors *relaytest.Cursors
	target  *receiver
	skipped map[string]bool // ids of events that the administrator skipped

	mu    sync.Mutex
	moods map[string][]int // by the id of an event: what is answered to each attempt; then it is accepted
	dead  bool
	kill  func()
}

// answer is what the target answers.
func (w *world) answer(m relay.Message) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	moods := w.moods[m.ID]
	if len(moods) == 0 {
		return true, nil
	}
	w.moods[m.ID] = moods[1:]
	switch mood := moods[0]; mood {
	case fails, failsAfterwards:
		return mood == failsAfterwards, errors.New("connection reset")
	case refuses:
		return false, &relay.RefusedError{Reason: "no such thing here"}
	case asksToWait:
		return false, &relay.LaterError{After: time.Hour, Err: errors.New("busy")}
	case crashes, crashesAfterwards:
		w.dead = true
		w.kill()
		return mood == crashesAfterwards, context.Canceled
	}
	return true, nil
}

func (w *world) isDead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// settle runs the relay, again after each crash, until the log is handled.
func (w *world) settle(filter relay.Filter) {
	w.Helper()
	for range 200 {
		died := make(chan struct{})
		w.mu.Lock()
		w.dead, w.kill = false, sync.OnceFunc(func() { close(died) })
		kill := w.kill
		w.mu.Unlock()
		r := run(w.tb, w.story, mortal{w.cursors, w.isDead}, w.target, func(c *relay.Config) {
			c.Filter, c.SaveEvery, c.SaveAfter = filter, 3, 5*time.Millisecond
		})
		go func() {
			<-died
			r.stop()
		}()
		err := r.until("the end of the log", func() bool { return w.isDead() || caughtUp(w.tb, w.story, w.cursors) })
		ended := r.end()
		kill()
		if err == nil && !w.isDead() {
			if !errors.Is(ended, context.Canceled) {
				w.Fatalf("the relay ended: %v", ended)
			}
			return
		}
		if !w.isDead() {
			w.Fatalf("the relay ended: %v", ended)
		}
	}
	w.Fatalf("the relay crashes without end")
}

// judge compares what the target received with the log.
func (w *world) judge(filter relay.Filter) {
	w.Helper()
	bodies := map[string][]byte{}
	streams := map[eventstore.StreamID][]eventstore.Record{}
	for _, r := range w.all() {
		match, err := filter.Match(r)
		if err != nil {
			w.Fatalf("%v", err)
		}
		if match {
			bodies[r.ID.String()] = r.Data
			streams[r.Stream] = append(streams[r.Stream], r)
		}
	}
	first := map[string]int{}
	for i, m := range w.target.received {
		body, known := bodies[m.ID]
		if !known || !bytes.Equal(body, m.Body) {
			w.Fatalf("the target received event %s, which the relay should not send, or other bytes than the log has: %s", m.ID, m.Body)
		}
		if _, again := first[m.ID]; !again {
			first[m.ID] = i
		}
	}
	for stream, records := range streams {
		last := -1
		for _, r := range records {
			at, received := first[r.ID.String()]
			switch {
			case w.skipped[r.ID.String()]:
			case !received:
				w.Fatalf("event %d of %s was not received, and nobody skipped it", r.Revision, stream)
			case at < last:
				w.Fatalf("event %d of %s was received before one that precedes it", r.Revision, stream)
			default:
				last = at
			}
		}
	}
}

// Whatever the target answers, and wherever the relay crashes, the target receives the events of each repository in order and without a
// gap but for those that an administrator skipped, and one id has one content.
func TestEachRepositoryIsReceivedInOrderWithoutAGap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{tb: t, story: newStory(t), skipped: map[string]bool{}, moods: map[string][]int{}}
		w.cursors, w.target = newCursors(t, w.story), &receiver{answer: w.answer}
		filter := relay.Filter{}
		if rapid.Bool().Draw(t, "filtered") {
			filter.Types = []string{"sent", eventstore.TypeAdminActed}
		}
		add := func() {
			r := w.add(repository(rapid.IntRange(0, 3).Draw(t, "repository")), rapid.SampledFrom([]string{"sent.v1", "sent.v2", "other.v1"}).Draw(t, "type"), len(w.all()))
			w.mu.Lock()
			w.moods[r.ID.String()] = rapid.SliceOfN(rapid.IntRange(0, answers-1), 0, 3).Draw(t, "moods")
			w.mu.Unlock()
		}
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			add()
		}
		for range rapid.IntRange(0, 6).Draw(t, "rounds") {
			w.settle(filter)
			w.administer(t)
			for range rapid.IntRange(0, 2).Draw(t, "more events") {
				add()
			}
		}
		for w.settle(filter); len(stateOf(t, w.cursors).Parked) > 0; w.settle(filter) {
			w.act("lims", relay.Action{Name: relay.ActionRetry})
		}
		w.judge(filter)
	})
}

// administer does something that an administrator may do.
func (w *world) administer(t *rapid.T) {
	state := stateOf(t, w.cursors)
	switch parked := state.Parked; rapid.IntRange(0, 4).Draw(t, "action") {
	case 0:
		w.act("lims", relay.Action{Name: relay.ActionRetry})
	case 1:
		if len(parked) > 0 {
			w.act("lims", relay.Action{Name: relay.ActionRetry, Stream: rapid.SampledFrom(parked).Draw(t, "parked").Stream})
		}
	case 2:
		if len(parked) > 0 {
			p := rapid.SampledFrom(parked).Draw(t, "parked")
			w.skipped[p.ID.String()] = true
			w.act("lims", relay.Action{Name: relay.ActionSkip, Position: p.Position})
		}
	case 3:
		action := relay.Action{Name: relay.ActionRedeliver}
		if r := rapid.SampledFrom(w.all()).Draw(t, "after"); rapid.Bool().Draw(t, "after one") {
			action.After, action.AfterEvent = r.Position, r.ID
		}
		w.act("lims", action)
	case 4:
		w.act("another", relay.Action{Name: relay.ActionSkip, Position: 1})
	}
}

var _ feed.Cursors = mortal{}

func TestTheStateOfARelayIsBounded(t *testing.T) {
	t.Parallel()
	var s relay.State
	long := string(bytes.Repeat([]byte("\x1b[2J\u202e<"), 1000))
	for i := range relay.MaxParked {
		e := relay.Event{Position: eventstore.Position(i + 1), Stream: eventstore.StreamID("repository-" + string(bytes.Repeat([]byte{'x'}, 50)) + string(rune('a'+i%26)) + string(rune('a'+i/26)))}
		if err := s.Refused(e, long, clock()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Refused(relay.Event{Position: 1 << 40, Stream: "repository-last"}, "", clock()); !errors.Is(err, relay.ErrTooManyParked) {
		t.Errorf("parking one more gives %v", err)
	}
	for i := range relay.MaxSkips {
		if err := s.SkipAt(eventstore.Position(1<<50 + i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SkipAt(1 << 60); !errors.Is(err, relay.ErrTooManySkips) {
		t.Errorf("skipping one more gives %v", err)
	}
	data, err := s.Encode()
	if err != nil || len(data) > feed.MaxState {
		t.Errorf("the state has %d bytes: %v", len(data), err)
	}
	back, err := relay.DecodeState(data)
	back.Position, back.EventID = s.Position, s.EventID
	if err != nil || !slices.Equal(back.Parked, s.Parked) || !slices.Equal(back.Skips, s.Skips) {
		t.Errorf("the state does not come back: %v", err)
	}
	for _, c := range back.Parked[0].Reason {
		if c < ' ' || c == '\u202e' {
			t.Fatalf("the reason %q has a control character", back.Parked[0].Reason)
		}
	}
}
