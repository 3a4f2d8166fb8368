package projections

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Checkpoint is how far a build has folded one log (I14). The zero value is before the first event of no log.
type Checkpoint struct {
	Log      uuid.UUID           // the log's id
	Position eventstore.Position // of the last event folded or skipped, the last of its batch; 0 before the first
	Event    eventstore.EventID  // of the event at Position; zero when Position is 0
	Version  int                 // of the projection
}

// Ref names a build: the projection and the number of the build, from 1. A number is never given twice.
type Ref struct {
	Projection string
	Number     int
}

// BuildState is what a build is for.
type BuildState string

// The states of a build. The values are stored: append only.
const (
	// BuildFilling is being filled, without indexes. Nobody reads it. Without a live lease it is a ruin, to be dropped.
	BuildFilling BuildState = "filling"
	// BuildReady is filled and indexed and catches up. Nobody reads it yet.
	BuildReady BuildState = "ready"
	// BuildActive is what the views show. Each projection has at most one.
	BuildActive BuildState = "active"
	// BuildRetired was active before. It is no longer written and stays until it is pruned.
	BuildRetired BuildState = "retired"
)

// Build is one set of a projection's tables.
type Build struct {
	Ref
	State      BuildState
	Checkpoint Checkpoint
	Fault      *Fault    // nil unless the projection stopped at an event
	Lease      Lease     // the last one; it is live when Expires is in the future
	CreatedAt  time.Time // when the build was begun
	UpdatedAt  time.Time // when the checkpoint last moved
	// Since says when the last lease was given and where the build was then: from there to the checkpoint is the work of
	// one holder, which tells how fast it is.
	Since Since
	// Revived is set on a ready build that was retired before, see [Controller].
	Revived bool
	// CancelledBy is who cancelled the build while it was written; "" for nobody.
	CancelledBy string
}

// Since is where a lease began.
type Since struct {
	At       time.Time
	Position eventstore.Position
}

// Fault is the event at which a projection stopped.
type Fault struct {
	Position eventstore.Position
	Event    eventstore.EventID
	Type     string
	Text     string // what went wrong
	At       time.Time
}

// Claim is who wants to write a build, and for how long the claim outlives its last sign of life.
type Claim struct {
	Holder string        // names the process for people, such as "host:pid"
	TTL    time.Duration // above 0
}

// Lease is the right to write one build (I8). It is proved by Token alone: the database refuses a token that is not the
// last one it gave for the build. Time only decides when somebody else may take over.
type Lease struct {
	Ref
	Claim
	Token   uint64    // grows with every lease of the projection, for ever
	Expires time.Time // every write moves it on
}

// Page is what is written in one transaction (I5).
type Page struct {
	Lease  Lease
	From   Checkpoint // as the build must have it now
	To     Checkpoint // as the build has it afterwards
	Tables []Table    // of the projection
	Ops    []Op       // in order; not kept
}

// Activation is the wish to make a build the one that readers see.
type Activation struct {
	// Replace is the checkpoint of the active build when it may be replaced although it is ahead, because it belongs to
	// a log that was given up. Nil otherwise.
	Replace *Checkpoint
	// Digests are stored with the build as evidence of what was activated, and the position that they were taken at.
	Digests []Digest
	At      eventstore.Position
	// Act is kept in the same transaction, see [Controller]. Nil for an activation that nobody asked for: that one is
	// refused with a *PausedError while the projection is held.
	Act *domain.AdminActed
}

// Builder makes builds and puts them in front of readers.
type Builder interface {
	// CreateBuild makes an empty build of p, the next in number, and leases it to claim. Unfinished builds of p whose
	// lease has run out are dropped, or retired again when they were before; one with a live lease makes it fail with a
	// *HeldError.
	CreateBuild(ctx context.Context, p Projection, claim Claim) (Lease, error)
	// FinishBuild adds what filling left out: keys, indexes, foreign keys and triggers, and checks them. Until then
	// writing is fast, and readers never see the build. Errors: ErrRefused when the rows break a rule of their table,
	// ErrLeaseLost.
	FinishBuild(ctx context.Context, lease Lease, p Projection) error
	// ActivateBuild points the stable views at a finished build and retires the one before, in one transaction (I7).
	// A build behind the active one is refused with ErrBehind: readers never go back. Errors: also ErrLeaseLost,
	// ErrCancelled, ErrPaused.
	ActivateBuild(ctx context.Context, lease Lease, a Activation) error
	// DropBuild removes a build that is not active, or retires it again when it was before, also one that was cancelled.
	// Errors: ErrLeaseLost, ErrBuildActive.
	DropBuild(ctx context.Context, lease Lease) error
	// PruneBuilds removes retired builds of projection, except the newest keep of them, says which, and keeps act, see
	// [Controller], with their numbers as the argument "builds". Where there is nothing to remove, it keeps nothing.
	PruneBuilds(ctx context.Context, projection string, keep int, act domain.AdminActed) ([]Ref, error)
}

// Writer writes rows.
type Writer interface {
	// WritePage applies the page's operations and moves the checkpoint in one transaction, and prolongs the lease.
	// Errors, on all of which nothing was written unless it is ErrTransient: ErrLeaseLost, ErrSuperseded, ErrCancelled,
	// ErrPaused (as a *PausedError) for the active build of a projection that is held, ErrMoved, ErrRefused (as an
	// *OpError where the operation is known), ErrTransient: the outcome is unknown.
	WritePage(ctx context.Context, page Page) error
	// SaveFault records at which event the holder of lease stopped. The next page that is written clears it.
	SaveFault(ctx context.Context, lease Lease, fault Fault) error
}

// Leaser decides who writes.
type Leaser interface {
	// Acquire leases a build and returns it as it is now. It fails with a *HeldError while another lease lives, with
	// ErrNoBuild when there is no such build, with ErrSuperseded when it was retired, with ErrCancelled when it was
	// cancelled, and with a *PausedError when it is active and its projection is held.
	Acquire(ctx context.Context, ref Ref, claim Claim) (Build, error)
	// Renew prolongs a lease by its TTL from now. Errors: ErrLeaseLost.
	Renew(ctx context.Context, lease Lease) (Lease, error)
	// Release ends a lease at once and for good, so that another may be given and no renewal revives it. A lease that was
	// lost is no error.
	Release(ctx context.Context, lease Lease) error
}

// Inspector looks at builds. It never waits for writers.
type Inspector interface {
	// Builds returns the builds of projection in the order of their numbers, none when it has none.
	Builds(ctx context.Context, projection string) ([]Build, error)
	// Inspect calls look with a view of one build that does not change while look runs, whoever writes.
	Inspect(ctx context.Context, ref Ref, look func(Snapshot) error) error
	// Digests returns what was stored when the build was activated, in the order of its tables.
	Digests(ctx context.Context, ref Ref) ([]Digest, error)
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

// Database holds the tables. It is safe for concurrent use.
type Database interface {
	Builder
	Writer
	Leaser
	Inspector
	Controller
}
