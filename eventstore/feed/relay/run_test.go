package relay_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/relaytest"
)

// refusing refuses the events of some records until it is told to accept them.
func refusing(records ...eventstore.Record) (*receiver, func()) {
	accept := false
	r := &receiver{}
	r.answer = func(m relay.Message) (bool, error) {
		if !accept && slices.ContainsFunc(records, func(e eventstore.Record) bool { return e.ID.String() == m.ID }) {
			return false, &relay.RefusedError{Reason: "422 \x1b[2J no"}
		}
		return true, nil
	}
	return r, func() { accept = true }
}

func idsOf(records ...eventstore.Record) []string {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID.String()
	}
	return ids
}

func TestWhatIsRefusedWaitsWithWhatFollowsAndOthersContinue(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	first, bad, other, after := s.add(repository(1), "sent.v1", 1), s.add(repository(1), "sent.v1", 2), s.add(repository(2), "sent.v1", 3), s.add(repository(1), "sent.v1", 4)
	target, accept := refusing(bad)
	cursors := newCursors(t, s)
	r := run(t, s, cursors, target, nil)
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	if got, want := target.ids(), idsOf(first, other); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	state := stateOf(t, cursors)
	if len(state.Parked) != 1 || state.Parked[0].ID != bad.ID || state.Parked[0].Count != 2 || state.Parked[0].Reason != "the target refused the event: 422 [2J no" || !state.Parked[0].Since.Equal(clock()) {
		t.Errorf("parked: %+v", state.Parked)
	}
	accept()
	s.act("lims", relay.Action{Name: relay.ActionRetry, Stream: repository(2)})
	s.act("other", relay.Action{Name: relay.ActionRetry})
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil || len(stateOf(t, cursors).Parked) != 1 {
		t.Errorf("a retry of another repository or relay moved it: %v", err)
	}
	s.act("lims", relay.Action{Name: relay.ActionRetry, Stream: repository(1)})
	last := s.add(repository(1), "sent.v1", 5)
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) && len(stateOf(t, cursors).Parked) == 0 }); err != nil {
		t.Fatal(err)
	}
	ids := slices.DeleteFunc(target.ids(), func(id string) bool {
		return !slices.Contains(idsOf(first, bad, after, last), id)
	})
	if want := idsOf(first, bad, after, last); !slices.Equal(ids, want) {
		t.Errorf("received of the repository %v, want %v", ids, want)
	}
	if err := r.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestASkippedEventIsNeverSentAndItsFollowersAre(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	bad, after := s.add(repository(1), "sent.v1", 1), s.add(repository(1), "sent.v1", 2)
	target, _ := refusing(bad)
	cursors := newCursors(t, s)
	r := run(t, s, cursors, target, nil)
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	s.act("lims", relay.Action{Name: relay.ActionSkip, Position: after.Position}) // it waits, and is not the first
	s.act("lims", relay.Action{Name: relay.ActionSkip, Position: bad.Position})
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) && len(stateOf(t, cursors).Parked) == 0 }); err != nil {
		t.Fatal(err)
	}
	_ = r.end()
	if ids := target.ids(); slices.Contains(ids, bad.ID.String()) || !slices.Contains(ids, after.ID.String()) {
		t.Errorf("received %v", ids)
	}
	if state := stateOf(t, cursors); state.Skipped != 1 || len(state.Skips) != 0 {
		t.Errorf("%d events were skipped, and %v are to be", state.Skipped, state.Skips)
	}
}

// An event that fails for ever keeps everything waiting, and can be skipped.
func TestAnEventThatFailsCanBeSkipped(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	bad, after := s.add(repository(1), "sent.v1", 1), s.add(repository(2), "sent.v1", 2)
	target := &receiver{answer: func(m relay.Message) (bool, error) {
		if m.ID == bad.ID.String() {
			return false, errors.New("500")
		}
		return true, nil
	}}
	cursors := newCursors(t, s)
	r := run(t, s, cursors, target, func(c *relay.Config) { c.Backoff = relay.Backoff{First: time.Hour, Most: time.Hour} })
	if err := r.until("a failure", func() bool { return stateOf(t, cursors).Failure != nil }); err != nil {
		t.Fatal(err)
	}
	if f := stateOf(t, cursors).Failure; f.ID != bad.ID || f.Attempts != 1 || f.Reason != "500" {
		t.Errorf("the failure is %+v", f)
	}
	s.act("lims", relay.Action{Name: relay.ActionSkip, Position: bad.Position})
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	_ = r.end()
	if ids := target.ids(); !slices.Contains(ids, after.ID.String()) || slices.Contains(ids, bad.ID.String()) {
		t.Errorf("received %v", ids)
	}
}

func TestRedeliverySendsAllAgainOnceWithEqualIDs(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	a, b, c := s.add(repository(1), "sent.v1", 1), s.add(repository(1), "sent.v1", 2), s.add(repository(2), "sent.v1", 3)
	target, cursors := &receiver{}, newCursors(t, s)
	r := run(t, s, cursors, target, func(c *relay.Config) { c.Filter.Types = []string{"sent"} })
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	s.act("lims", relay.Action{Name: relay.ActionRedeliver, After: a.Position, AfterEvent: a.ID})
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	_ = r.end()
	// It is not done again by the next run, nor by rebuilding anything (I9).
	r = run(t, s, cursors, target, func(c *relay.Config) { c.Filter.Types = []string{"sent"} })
	d := s.add(repository(2), "sent.v1", 4)
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	_ = r.end()
	if got, want := target.ids(), idsOf(a, b, c, b, c, d); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestATargetThatIsGoneEndsTheRelayUntilItIsRetried(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	a := s.add(repository(1), "sent.v1", 1)
	gone := true
	target := &receiver{answer: func(relay.Message) (bool, error) {
		if gone {
			return false, &relay.GoneError{Reason: "410"}
		}
		return true, nil
	}}
	cursors := newCursors(t, s)
	for range 2 {
		if err := <-run(t, s, cursors, target, nil).ended; !errors.As(err, new(*relay.GoneError)) {
			t.Fatalf("it ended with %v", err)
		}
	}
	if state := stateOf(t, cursors); state.Ended == nil || state.Ended.ID != a.ID || state.Position != 0 {
		t.Errorf("the state is %+v", state)
	}
	gone = false
	s.act("lims", relay.Action{Name: relay.ActionRetry})
	r := run(t, s, cursors, target, nil)
	if err := r.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	_ = r.end()
	if stateOf(t, cursors).Ended != nil || !slices.Contains(target.ids(), a.ID.String()) {
		t.Error("it did not begin again")
	}
}

func TestARemovedRelayEnds(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	cursors := newCursors(t, s)
	r := run(t, s, cursors, &receiver{answer: func(relay.Message) (bool, error) { return false, errors.New("500") }}, func(c *relay.Config) {
		c.Backoff = relay.Backoff{First: time.Hour, Most: time.Hour}
	})
	s.add(eventstore.EngineStream, eventstore.TypeRelayRemoved, domain.RelayRemoved{Name: "lims"})
	if err := <-r.ended; !errors.Is(err, relay.ErrRemoved) {
		t.Errorf("it ended with %v", err)
	}
}

func TestARelayThatLostItsLeaseEndsAndSavesNothing(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.add(repository(1), "sent.v1", 1)
	cursors := newCursors(t, s)
	sending, proceed := make(chan struct{}), make(chan struct{})
	target := &receiver{answer: func(relay.Message) (bool, error) {
		close(sending)
		<-proceed
		return true, nil
	}}
	r := run(t, s, cursors, target, nil)
	<-sending
	cursors.TakeOver("relay/lims")
	close(proceed)
	if err := <-r.ended; !errors.Is(err, feed.ErrLeaseLost) {
		t.Errorf("it ended with %v", err)
	}
	if state := stateOf(t, cursors); state.Position != 0 {
		t.Errorf("it saved position %d", state.Position)
	}
}

func TestARelayStandsByWhileAnotherRuns(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	a := s.add(repository(1), "sent.v1", 1)
	cursors := newCursors(t, s)
	target := &receiver{}
	first := run(t, s, cursors, target, nil)
	if err := first.until("the end of the log", func() bool { return caughtUp(t, s, cursors) }); err != nil {
		t.Fatal(err)
	}
	second := run(t, s, cursors, target, func(c *relay.Config) { c.LeaseTTL = 50 * time.Millisecond })
	if err := second.until("stand by", func() bool { return len(second.stepsOf(relay.StepStandsBy)) == 1 }); err != nil {
		t.Fatal(err)
	}
	_ = first.end()
	if err := second.until("start", func() bool { return len(second.stepsOf(relay.StepStarted)) == 1 }); err != nil {
		t.Fatal(err)
	}
	_ = second.end()
	if got, want := target.ids(), idsOf(a); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

// I14: a cursor belongs to one log.
func TestACursorOfAnotherLogIsRefused(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	a := s.add(repository(1), "sent.v1", 1)
	for name, cursor := range map[string]feed.Cursor{
		"another log":           {LogID: uuid.New()},
		"another event":         {LogID: s.ID(), Position: a.Position, EventID: uuid.New()},
		"beyond the end":        {LogID: s.ID(), Position: a.Position + 1, EventID: a.ID},
		"a state of the future": {LogID: s.ID(), State: []byte(`{"version":2}`)},
		"a damaged state":       {LogID: s.ID(), State: []byte(`{"version":1,"parked":3}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cursor.Name = "relay/lims"
			cursors := relaytest.NewCursors()
			if err := cursors.Create(t.Context(), cursor); err != nil {
				t.Fatal(err)
			}
			target := &receiver{}
			err := <-run(t, s, cursors, target, nil).ended
			if errors.Is(err, feed.ErrOtherLog) != (cursor.State == nil) || err == nil || len(target.ids()) > 0 {
				t.Errorf("it ended with %v, after it sent %v", err, target.ids())
			}
		})
	}
	cursors := relaytest.NewCursors()
	if err := <-run(t, s, cursors, &receiver{}, nil).ended; !errors.Is(err, feed.ErrNoCursor) {
		t.Errorf("without a cursor it ended with %v", err)
	}
}

func TestEverySendHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.add(repository(1), "sent.v1", 1)
		cursors := newCursors(t, s)
		target := &silent{}
		started := time.Now()
		r := run(t, s, cursors, target, func(c *relay.Config) {
			c.SendTimeout, c.LeaseTTL = 7*time.Second, time.Minute
			c.Backoff = relay.Backoff{First: time.Second, Most: 8 * time.Second, MostAsked: time.Hour}
		})
		if err := r.until("an acknowledgement", func() bool { return caughtUp(t, s, cursors) }); err != nil {
			t.Fatal(err)
		}
		_ = r.end()
		// Two attempts at 7 s, 1 and 2 s between, 90 s that the target asks for.
		if took := time.Since(started); took < 107*time.Second || took > 108*time.Second {
			t.Errorf("it took %s", took)
		}
		for _, p := range r.stepsOf(relay.StepFailed)[:2] {
			if !errors.Is(p.Err, context.DeadlineExceeded) && p.Err.Error() == "" {
				t.Errorf("it failed with %v", p.Err)
			}
		}
	})
}

// silent answers nothing twice, then asks to wait, then accepts.
type silent struct{ attempts int }

func (s *silent) Send(ctx context.Context, _ relay.Message) error {
	switch s.attempts++; s.attempts {
	case 1, 2:
		<-ctx.Done()
		return ctx.Err()
	case 3:
		return &relay.LaterError{After: 90 * time.Second, Err: errors.New("busy")}
	}
	return nil
}

func (*silent) Close() error { return nil }

func TestBackoffDoublesUpToABoundAndHonoursWhatIsAsked(t *testing.T) {
	t.Parallel()
	b := relay.Backoff{First: time.Second, Most: time.Minute, MostAsked: time.Hour}
	for _, test := range []struct {
		attempt int
		asked   time.Duration
		random  float64
		want    time.Duration
	}{
		{1, 0, 0, time.Second},
		{2, 0, 0, 2 * time.Second},
		{4, 0, 1, 4 * time.Second},
		{7, 0, 0, time.Minute},
		{1000, 0, 1, 30 * time.Second},
		{1, 90 * time.Second, 1, 90 * time.Second},
		{7, time.Second, 0, time.Minute},
		{1, 24 * time.Hour, 0, time.Hour},
		{0, -time.Hour, 0, time.Second},
	} {
		if got := b.After(test.attempt, test.asked, test.random); got != test.want {
			t.Errorf("after attempt %d, asked for %s: %s, want %s", test.attempt, test.asked, got, test.want)
		}
	}
}

func TestAFilterChoosesByTypeRepositoryKindAndRisk(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	high := domain.ArtifactParsed{Artifact: domain.Artifact{Kind: domain.KindRequirement, Risk: &domain.Term{Raw: "High", Normal: "high"}}}
	low := high
	low.Risk = &domain.Term{Raw: "low", Normal: "low"}
	spec := domain.ArtifactParsed{Artifact: domain.Artifact{Kind: domain.KindSpec}}
	records := map[string]eventstore.Record{
		"high": s.add(repository(1), eventstore.TypeArtifactParsed, high), "low": s.add(repository(1), eventstore.TypeArtifactParsed, low),
		"spec": s.add(repository(2), eventstore.TypeArtifactParsed, spec), "removed": s.add(repository(2), eventstore.TypeArtifactRemoved, domain.ArtifactRemoved{Kind: domain.KindRequirement}),
		"completed": s.add(repository(2), eventstore.TypeScanCompleted, domain.ScanCompleted{}), "foreign": s.add("orders", "order.placed", 1),
		"engine": s.add(eventstore.EngineStream, eventstore.TypeKeyRevoked, domain.KeyRevoked{}),
	}
	one := domain.RepositoryID(repository(1)[len(eventstore.RepositoryPrefix):])
	for name, test := range map[string]struct {
		filter relay.Filter
		want   []string
	}{
		"all":            {relay.Filter{}, []string{"completed", "engine", "high", "low", "removed", "spec"}},
		"a type":         {relay.Filter{Types: []string{"artifact.parsed"}}, []string{"high", "low", "spec"}},
		"a version":      {relay.Filter{Types: []string{"artifact.parsed.v1", "key.revoked.v1"}}, []string{"engine"}},
		"a repository":   {relay.Filter{Repositories: []domain.RepositoryID{one}}, []string{"high", "low"}},
		"a kind":         {relay.Filter{Kinds: []domain.Kind{domain.KindRequirement}}, []string{"completed", "engine", "high", "low", "removed"}},
		"a risk":         {relay.Filter{Risks: []string{"high"}}, []string{"completed", "engine", "high", "removed"}},
		"a kind of type": {relay.Filter{Types: []string{"artifact.parsed"}, Kinds: []domain.Kind{domain.KindSpec}}, []string{"spec"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for name, r := range records {
				match, err := test.filter.Match(r)
				if err != nil {
					t.Fatal(err)
				}
				if match {
					got = append(got, name)
				}
			}
			if slices.Sort(got); !slices.Equal(got, test.want) {
				t.Errorf("chose %v, want %v", got, test.want)
			}
		})
	}
	damaged := records["high"]
	damaged.Data = []byte("{")
	if _, err := (&relay.Filter{Kinds: []domain.Kind{domain.KindSpec}}).Match(damaged); err == nil {
		t.Error("an event whose kind cannot be read is no error")
	}
}
