package projections

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// Checkpoint is how far a build has folded one log (I14). The zero value is before the first event of no log.
type Checkpoint struct {
	Log      uuid.UUID           // the log's id
	Position eventstore.Position // of the last event folded or skipped, the last of its batch; 0 before the first
	Event    eventstore.EventID  // of the event at Position; zero when Position is 0
	Stream   eventstore.StreamID // of that event; "" when Position is 0, and in a checkpoint that an older version stored
	Revision eventstore.Revision // of that event, in Stream
	Version  int                 // of the projection
}

// Point returns what the rules of builds compare.
func (c Checkpoint) Point() builds.Point {
	return builds.Point{Log: c.Log, Event: c.Event, Position: uint64(c.Position), Version: c.Version}
}

// The parts of a build that have rules, under the names by which the contract knows them.
type (
	// Ref names a build.
	Ref = builds.Ref
	// BuildState is what a build is for.
	BuildState = builds.Stage
	// LeaseRequest is who wants to write a build.
	LeaseRequest = builds.LeaseRequest
	// Lease is the right to write one build (I8).
	Lease = builds.Lease
	// Pause is a pause.
	Pause = builds.Pause
	// LeaseHeldError says who writes a build.
	LeaseHeldError = builds.LeaseHeldError
	// PausedError says who paused a projection and why.
	PausedError = builds.PausedError
)

// The states of a build.
const (
	BuildFilling = builds.Filling
	BuildReady   = builds.Ready
	BuildActive  = builds.Active
	BuildRetired = builds.Retired
)

// Build is one set of a projection's tables.
type Build struct {
	builds.Build
	Checkpoint Checkpoint
	Fault      *Fault    // nil unless the projection stopped at an event
	UpdatedAt  time.Time // when the checkpoint last moved
}

// Pace is how fast the holder of a build's last lease has folded: positions in a second, 0 when it is not known.
func (b Build) Pace() float64 {
	span, since := b.UpdatedAt.Sub(b.Since.At), eventstore.Position(b.Since.Position)
	if b.Since.At.IsZero() || span <= 0 || b.Checkpoint.Position <= since {
		return 0
	}
	return float64(eventstore.Distance(since, b.Checkpoint.Position)) / span.Seconds()
}

// Left is how long a build needs to the head of the log at its pace; 0 when it is there or its pace is not known.
func (b Build) Left(head eventstore.Position) time.Duration {
	pace := b.Pace()
	if pace == 0 || b.Checkpoint.Position >= head {
		return 0
	}
	return time.Duration(float64(eventstore.Distance(b.Checkpoint.Position, head)) / pace * float64(time.Second))
}

// Fault is the event at which a projection stopped.
type Fault struct {
	Position eventstore.Position
	Event    eventstore.EventID
	Type     string
	Text     string // what went wrong
	At       time.Time
}

// Page is what is written in one transaction (I5).
type Page struct {
	Lease  Lease
	From   Checkpoint // as the build must have it now
	To     Checkpoint // as the build has it afterwards
	Tables []Table    // of the projection
	Ops    []Op       // in order; not kept
	// More yields the operations that follow Ops, some at a time, of a page that is too large for memory; nil for none. It may
	// be ranged over more than once, and yields the same each time. Its error ends the page: nothing of it is written.
	More iter.Seq2[[]Op, error]
}

// Parts yields Ops and then what More yields.
func (p Page) Parts() iter.Seq2[[]Op, error] {
	return func(yield func([]Op, error) bool) {
		if !yield(p.Ops, nil) || p.More == nil {
			return
		}
		for ops, err := range p.More {
			if !yield(ops, err) || err != nil {
				return
			}
		}
	}
}

// Decision is a change of the builds of a projection, which a database stores in one transaction.
type Decision struct {
	State   builds.State
	Tables  []Table             // of the build that State adds
	Digests []Digest            // of the build that State activates: evidence of what was activated
	At      eventstore.Position // at which Digests were taken
	Outbox  *OutboxEntry        // put into the outbox with the change; nil for none
	// Repeatable says that the same decision may be made twice, so that it is tried again when the answer to its first try
	// was lost.
	Repeatable bool
}

// Database holds the tables. It is safe for concurrent use. Reading never waits for those who write.
type Database interface { //nolint:interfacebloat // what a database does, and no more
	// Builds returns the builds of projection in the order of their numbers, none when it has none.
	Builds(ctx context.Context, projection string) ([]Build, error)
	// Paused returns the hold of projection, nil when it is not paused.
	Paused(ctx context.Context, projection string) (*Pause, error)
	// ChangeBuilds asks decide what becomes of the builds of projection, and stores that, in one transaction and while nobody
	// else changes or writes them: it makes the tables of a new build, removes those of one that is gone, and points the
	// views to one that becomes active (I7). It returns the builds as decide found them. Decide may be called several times.
	//
	// Also where decide fails, its State is stored when the error is a *LeaseHeldError. Errors: those of decide; ErrInvalid when a
	// table has a name that is taken; ErrTransient: the outcome is unknown.
	ChangeBuilds(ctx context.Context, projection string, decide func(builds.State) (Decision, error)) ([]Build, error)
	// FinishBuild adds what filling left out: keys, indexes, foreign keys and triggers, and checks them. Until then
	// writing is fast, and readers never see the build. Errors: ErrRefused when the rows break a rule of their table,
	// ErrLeaseLost.
	FinishBuild(ctx context.Context, lease Lease, p Projection) error
	// WritePage applies the page's operations and moves the checkpoint in one transaction, and prolongs the lease.
	// Errors, on all of which nothing was written unless it is ErrTransient: those of [builds.State.Write], ErrRefused (as
	// an *OpError where the operation is known), ErrTransient: the outcome is unknown.
	WritePage(ctx context.Context, page Page) error
	// SaveFault records at which event the holder of lease stopped. The next page that is written clears it.
	SaveFault(ctx context.Context, lease Lease, fault Fault) error
	// Inspect calls look with a view of one build that does not change while look runs, whoever writes.
	Inspect(ctx context.Context, ref Ref, look func(Snapshot) error) error
	// Digests returns what was stored when the build was activated, in the order of its tables.
	Digests(ctx context.Context, ref Ref) ([]Digest, error)
	// Outbox returns the outbox: the admin actions that the log may not have yet, in the order in which they were first kept.
	Outbox(ctx context.Context) ([]OutboxEntry, error)
	// RemoveOutboxEntry removes an admin action from the outbox that the log has. An admin action that is not there is no error.
	RemoveOutboxEntry(ctx context.Context, id string) error
}

// Snapshot is an unchanging view of one build. It ends with the call of look that it was given to.
type Snapshot interface {
	// Build returns the build with its checkpoint.
	Build() Build
	// Rows yields the rows of table in the order of its key, texts bytewise. Values are nil, string, int64, bool or
	// json.RawMessage, as the column's type says; a timestamp is text in [TimestampLayout]. A row is valid until the
	// next, and one loop must end before another begins.
	Rows(ctx context.Context, table Table) iter.Seq2[[]any, error]
}

// SchemaChecker is a database that can check what is around the rows: the views that readers use, keys, indexes and
// guards. A verification asks the databases that are one, since readers see rows through these.
type SchemaChecker interface {
	// CheckSchema returns a sentence for each of them that is not as it was made for the active build ref of p. It is
	// ErrReadOnly where looking takes the right to write.
	CheckSchema(ctx context.Context, ref Ref, p Projection) ([]string, error)
}
