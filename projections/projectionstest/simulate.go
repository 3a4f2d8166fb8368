package projectionstest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Simulation is what [SimulateOperation] needs of a database and a projection.
type Simulation struct {
	// Open opens the same tables each time, as another process would, with a clock. Close is called on what it returns.
	Open func(now func() time.Time) ClosingDatabase
	// Projection returns a projection whose rows differ from version to version.
	Projection func(version int) projections.Projection
	// Draw draws the next batch that the projection can fold.
	Draw func(*rapid.T) Batch
}

// ClosingDatabase is a database as an adapter opens it.
type ClosingDatabase interface {
	projections.Database
	Close() error
}

// SimulateOperation draws a history of scans, catching up, rebuilds, pauses, cancels, pruning and new versions, in which
// processes are stopped and killed in the middle, and checks after each step, against a fold in memory of nothing but the
// log, that readers see whole tables that never go back (I5, I6, I7), that a paused projection stays as it is, and, at the
// end, that no handwork is left to do and that every admin action has its outcome.
func SimulateOperation(tb testing.TB, t *rapid.T, s Simulation) {
	tb.Helper()
	m := &simulation{tb: tb, t: t, Simulation: s, log: NewLog(tb), version: 1, now: Epoch()}
	m.db = m.open()
	defer m.close()
	must(t, "make the tables", m.runner(m.db).CatchUp(tb.Context(), 0))
	t.Repeat(map[string]func(*rapid.T){
		"scan":     m.scan,
		"catch up": func(*rapid.T) { m.tolerate(m.runner(m.db).CatchUp(tb.Context(), 0)) },
		"rebuild":  func(*rapid.T) { m.rebuild(tb.Context(), m.db, nil) },
		"rebuild, killed": func(t *rapid.T) {
			m.rebuild(tb.Context(), m.dying(t), nil)
			m.sleep()
		},
		"rebuild, stopped":   m.stopped,
		"rebuild, cancelled": m.cancelled,
		"catch up, killed": func(t *rapid.T) {
			m.tolerate(m.runner(m.dying(t)).CatchUp(tb.Context(), 0))
			m.sleep()
		},
		"pause":     m.pause,
		"resume":    m.resume,
		"prune":     m.prune,
		"upgrade":   m.upgrade,
		"interrupt": func(*rapid.T) { _, err := m.runner(m.db).Interrupt(tb.Context()); must(m.t, "interrupt", err) },
		"":          func(*rapid.T) { m.check() },
	})
	m.end()
}

type simulation struct {
	tb testing.TB
	t  *rapid.T
	Simulation
	log         *Log
	db          projections.Database
	opened      []ClosingDatabase
	version     int // of the binary at hand
	now         time.Time
	actions     int
	seen        eventstore.Position // the furthest that readers saw
	paused      bool
	frozen      string // what a paused projection showed
	frozenBuild int    // its build
}

func (m *simulation) open() projections.Database {
	db := m.Open(m.clock)
	m.opened = append(m.opened, db)
	return db
}

func (m *simulation) close() {
	for _, db := range m.opened {
		must(m.t, "close", db.Close())
	}
}

func (m *simulation) clock() time.Time { return m.now }

// sleep lets every lease run out.
func (m *simulation) sleep() { m.now = m.now.Add(time.Hour) }

func (m *simulation) runner(db projections.Database) *run.Runner {
	return Runner(m.tb, m.log, db, m.Projection(m.version), PageEvents(1), func(c *run.Config) {
		c.Tries, c.Now = 1, m.clock
	})
}

// tolerate fails the test unless err is what the history explains.
func (m *simulation) tolerate(err error) {
	m.t.Helper()
	for _, fine := range []error{nil, errKilled, projections.ErrPaused, projections.ErrCancelled, context.Canceled} {
		if errors.Is(err, fine) {
			return
		}
	}
	m.t.Fatalf("error is %v", err)
}

func (m *simulation) newAction(action string) domain.AdminActed {
	m.actions++
	return domain.AdminActed{ID: fmt.Sprintf("act %d", m.actions), Action: action, Target: "x", Actor: "ada", Reason: "test"}
}

func (m *simulation) done(action string) domain.AdminActed {
	done := m.newAction(action)
	done.Outcome = run.OutcomeSucceeded
	return done
}

func (m *simulation) scan(t *rapid.T) { m.log.Add(m.tb, m.Draw(t)) }

func (m *simulation) rebuild(ctx context.Context, db projections.Database, observe func(run.Progress)) {
	action := m.newAction("rebuild")
	r := Runner(m.tb, m.log, db, m.Projection(m.version), PageEvents(1), func(c *run.Config) {
		c.Tries, c.Now, c.Observe = 1, m.clock, observe
	})
	_, err := r.Rebuild(ctx, m.Projection(m.version).Name, run.RebuildOptions{Action: &action})
	m.tolerate(err)
	m.asked()                 //nolint:contextcheck // ctx may have ended, as the step wants
	m.outcome(action.ID, err) //nolint:contextcheck // see above
}

// asked notes that an administrator may have changed a paused projection, also one whose process died right after.
func (m *simulation) asked() {
	if b := m.active(); m.paused && b.Number != m.frozenBuild {
		m.frozen, m.frozenBuild = m.shown(), b.Number
	}
}

// outcome checks that an admin action of a process that lives has the outcome that the caller saw.
func (m *simulation) outcome(id string, err error) {
	if errors.Is(err, errKilled) {
		return
	}
	for _, k := range m.outbox() {
		if k.Action.ID == id && (k.Action.Outcome == "" || (k.Action.Outcome == run.OutcomeSucceeded) != (err == nil)) {
			m.t.Fatalf("act %+v came to %v", k.Action, err)
		}
	}
}

func (m *simulation) outbox() []projections.OutboxEntry {
	all, err := m.db.Outbox(m.tb.Context())
	must(m.t, "read acts", err)
	return all
}

func (m *simulation) stopped(t *rapid.T) {
	ctx, cancel := context.WithCancel(m.tb.Context())
	defer cancel()
	m.rebuild(ctx, m.db, atPage(t, cancel))
}

func (m *simulation) cancelled(t *rapid.T) {
	m.rebuild(m.tb.Context(), m.db, atPage(t, func() {
		_, err := projections.CancelBuild(m.tb.Context(), m.db, m.Projection(m.version).Name, "ada", m.done("cancel"))
		if !errors.Is(err, projections.ErrNoBuild) { // at the last page it may be done
			must(t, "cancel", err)
		}
	}))
}

// atPage returns an observer that calls do once, at some page.
func atPage(t *rapid.T, do func()) func(run.Progress) {
	left := rapid.IntRange(1, 4).Draw(t, "page")
	return func(run.Progress) {
		if left--; left == 0 {
			do()
		}
	}
}

func (m *simulation) pause(*rapid.T) {
	pause := projections.Pause{By: "ada", Reason: "test", At: m.now}
	must(m.t, "pause", projections.PauseProjection(m.tb.Context(), m.db, m.Projection(m.version).Name, pause, m.done("pause")))
	m.paused, m.frozen, m.frozenBuild = true, m.shown(), m.active().Number
}

func (m *simulation) resume(*rapid.T) {
	err := projections.ResumeProjection(m.tb.Context(), m.db, m.Projection(m.version).Name, m.done("resume"))
	if m.paused == errors.Is(err, projections.ErrNotPaused) {
		m.t.Fatalf("resume: error is %v", err)
	}
	m.paused = false
}

func (m *simulation) prune(t *rapid.T) {
	_, err := projections.PruneBuilds(m.tb.Context(), m.db, m.Projection(m.version).Name, rapid.IntRange(0, 1).Draw(t, "keep"), m.done("prune"))
	must(m.t, "prune", err)
}

// upgrade starts a new binary. Its first catching up makes tables of the new version beside the old ones.
func (m *simulation) upgrade(*rapid.T) {
	if m.version < 4 {
		m.version++
	}
}

func (m *simulation) active() projections.Build {
	builds, err := m.db.Builds(m.tb.Context(), m.Projection(m.version).Name)
	must(m.t, "list builds", err)
	for _, b := range builds {
		if b.State == projections.BuildActive {
			return b
		}
	}
	m.t.Fatalf("readers see nothing")
	return projections.Build{}
}

func (m *simulation) shown() string {
	b := m.active()
	return Dump(m.tb.Context(), m.t, m.db, m.Projection(b.Checkpoint.Version))
}

// check is what holds after every step.
func (m *simulation) check() {
	b := m.active()
	if b.Checkpoint.Position < m.seen {
		m.t.Fatalf("readers went back from position %d to %d", m.seen, b.Checkpoint.Position)
	}
	m.seen = b.Checkpoint.Position
	shown := m.shown()
	if want := Fold(m.tb.Context(), m.t, m.Projection(b.Checkpoint.Version), m.log, m.seen); shown != want {
		m.t.Fatalf("build %d of version %d at position %d\n got: %s\nwant: %s", b.Number, b.Checkpoint.Version, m.seen, shown, want)
	}
	if m.paused && shown != m.frozen {
		m.t.Fatalf("a paused projection changed\n got: %s\nwant: %s", shown, m.frozen)
	}
}

// end finishes everything, without handwork.
func (m *simulation) end() {
	ctx := m.tb.Context()
	if m.paused {
		m.resume(m.t)
	}
	r := m.runner(m.db)
	_, err := r.Interrupt(ctx)
	must(m.t, "interrupt", err)
	must(m.t, "catch up", r.CatchUp(ctx, 0))
	_, err = r.Rebuild(ctx, m.Projection(m.version).Name, run.RebuildOptions{})
	must(m.t, "rebuild", err)
	m.check()
	head, err := m.log.Head(ctx)
	must(m.t, "read head", err)
	if m.seen != head {
		m.t.Fatalf("the tables stand at position %d of %d", m.seen, head)
	}
	builds, err := m.db.Builds(ctx, m.Projection(m.version).Name)
	must(m.t, "list builds", err)
	for _, b := range builds {
		if b.State != projections.BuildActive && b.State != projections.BuildRetired {
			m.t.Fatalf("build %d is %s: a ruin was left", b.Number, b.State)
		}
	}
	for _, k := range m.outbox() {
		if k.Action.Outcome == "" {
			m.t.Fatalf("act %+v has no outcome", k)
		}
	}
}
