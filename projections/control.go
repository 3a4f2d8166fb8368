package projections

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// This file is how builds are changed: by processes that write them, and by administrators, across all processes that use a
// database. The rules are those of [builds.State], whose method of the same name each function calls.
//
// An admin action is put into the outbox in the transaction that does it, and stays there until the log has it and
// [Database.RemoveOutboxEntry] is called: what was done is never done without a trace, wherever a process dies.

// OutboxEntry is an admin action in the outbox: the log may not have it yet.
type OutboxEntry struct {
	// Action has an empty Outcome while it is running. It is identified by its ID; keeping it again replaces it.
	Action domain.AdminActed
	// Ref is the build that it works on; Number is 0 when it works on none.
	Ref
}

// CreateBuild makes an empty build of p, the next in number, and leases it to claim.
func CreateBuild(ctx context.Context, db Database, p Projection, request LeaseRequest) (lease Lease, err error) {
	if err := p.Validate(); err != nil {
		return Lease{}, fmt.Errorf("cannot create build of %s: %w", p.Name, err)
	}
	err = change(ctx, db, p.Name, "create build of "+p.Name, func(s builds.State) (d Decision, err error) {
		d.Tables = p.Tables
		d.State, lease, err = s.Create(p.Version, request)
		return d, err
	})
	return lease, err
}

// Acquire leases a build and returns it as it is now.
func Acquire(ctx context.Context, db Database, ref Ref, request LeaseRequest) (Build, error) {
	var leased builds.Build
	found, err := db.ChangeBuilds(ctx, ref.Projection, func(s builds.State) (d Decision, err error) {
		d.State, leased, err = s.Acquire(ref, request)
		return d, err
	})
	if err != nil {
		return Build{}, fmt.Errorf("cannot lease %s build %d: %w", ref.Projection, ref.Number, err)
	}
	var b Build
	for _, b = range found {
		if b.Ref == ref {
			break
		}
	}
	b.Build = leased
	return b, nil
}

// Renew prolongs a lease by its TTL from now.
func Renew(ctx context.Context, db Database, lease Lease) (Lease, error) {
	err := change(ctx, db, lease.Projection, fmt.Sprintf("renew lease of %s build %d", lease.Projection, lease.Number), func(s builds.State) (d Decision, err error) {
		d.Repeatable = true
		d.State, lease, err = s.Renew(lease)
		return d, err
	})
	return lease, err
}

// Release ends a lease at once and for good, so that another may be given. A lease that was lost is no error.
func Release(ctx context.Context, db Database, lease Lease) error {
	return change(ctx, db, lease.Projection, fmt.Sprintf("release lease of %s build %d", lease.Projection, lease.Number), func(s builds.State) (Decision, error) {
		return Decision{State: s.Release(lease), Repeatable: true}, nil
	})
}

// Activation is the wish to make a build the one that readers see.
type Activation struct {
	// Replace is the checkpoint of the active build when it may be replaced although it is ahead, because it belongs to
	// a log that was given up. Nil otherwise.
	Replace *Checkpoint
	// Digests are stored with the build, and the position that they were taken at.
	Digests []Digest
	At      eventstore.Position
	// Action is the admin action that asked for it. Nil for an activation that nobody asked for: that one is
	// refused while the projection is paused.
	Action *domain.AdminActed
}

// ActivateBuild points the stable views at a finished build and retires the one before, in one transaction (I7).
func ActivateBuild(ctx context.Context, db Database, lease Lease, a Activation) error {
	return change(ctx, db, lease.Projection, fmt.Sprintf("activate %s build %d", lease.Projection, lease.Number), func(s builds.State) (d Decision, err error) {
		var replace *builds.Point
		if a.Replace != nil {
			point := a.Replace.Point()
			replace = &point
		}
		d = Decision{Digests: a.Digests, At: a.At, Repeatable: true}
		if a.Action != nil {
			d.Outbox = &OutboxEntry{Ref: lease.Ref, Action: *a.Action}
		}
		d.State, err = s.Activate(lease, replace, a.Action != nil)
		return d, err
	})
}

// DropBuild removes a build that is not active, also one that was cancelled.
func DropBuild(ctx context.Context, db Database, lease Lease) error {
	return change(ctx, db, lease.Projection, fmt.Sprintf("drop %s build %d", lease.Projection, lease.Number), func(s builds.State) (d Decision, err error) {
		d.State, err = s.Drop(lease)
		return d, err
	})
}

// PruneBuilds removes retired builds of projection, except the newest keep of them, says which, and puts action into the outbox with
// their numbers as the argument "builds". Where there is nothing to remove, it records nothing.
func PruneBuilds(ctx context.Context, db Database, projection string, keep int, action domain.AdminActed) (pruned []Ref, err error) {
	err = change(ctx, db, projection, "prune builds of "+projection, func(s builds.State) (d Decision, err error) {
		d.State, pruned = s.Prune(keep)
		if len(pruned) > 0 {
			d.Outbox = &OutboxEntry{Ref: Ref{Projection: projection}, Action: WithPrunedBuilds(action, pruned)}
		}
		return d, nil
	})
	return pruned, err
}

// WithPrunedBuilds returns action with the numbers of the builds that were removed.
func WithPrunedBuilds(action domain.AdminActed, pruned []Ref) domain.AdminActed {
	numbers := make([]string, len(pruned))
	for i, ref := range pruned {
		numbers[i] = strconv.Itoa(ref.Number)
	}
	action.Arguments = maps.Clone(action.Arguments)
	if action.Arguments == nil {
		action.Arguments = map[string]string{}
	}
	action.Arguments["builds"] = strings.Join(numbers, ",")
	return action
}

// CancelBuild ends the unfinished build of projection and returns which it was.
func CancelBuild(ctx context.Context, db Database, projection, by string, action domain.AdminActed) (ref Ref, err error) {
	err = change(ctx, db, projection, "cancel the rebuild of "+projection, func(s builds.State) (d Decision, err error) {
		d.State, ref, err = s.Cancel(by)
		d.Outbox = &OutboxEntry{Ref: ref, Action: action}
		return d, err
	})
	return ref, err
}

// PauseProjection keeps the active build of projection as it is, from its next page on, whoever writes it. New builds are filled all
// the same, and take its place only where an administrator asks for it; then they are kept in their turn.
func PauseProjection(ctx context.Context, db Database, projection string, pause Pause, action domain.AdminActed) error {
	return change(ctx, db, projection, "pause "+projection, func(s builds.State) (Decision, error) {
		return Decision{State: s.Pause(pause), Outbox: &OutboxEntry{Ref: Ref{Projection: projection}, Action: action}, Repeatable: true}, nil
	})
}

// ResumeProjection ends the pause.
func ResumeProjection(ctx context.Context, db Database, projection string, action domain.AdminActed) error {
	return change(ctx, db, projection, "resume "+projection, func(s builds.State) (d Decision, err error) {
		d.Outbox = &OutboxEntry{Ref: Ref{Projection: projection}, Action: action}
		d.State, err = s.Resume()
		return d, err
	})
}

// SaveOutboxEntry puts an admin action into the outbox that changes no build, or says how far one is.
func SaveOutboxEntry(ctx context.Context, db Database, entry OutboxEntry) error {
	return change(ctx, db, entry.Projection, "store admin action "+entry.Action.ID, func(s builds.State) (Decision, error) {
		return Decision{State: s, Outbox: &entry, Repeatable: true}, nil
	})
}

// change changes builds, and names the operation in an error.
func change(ctx context.Context, db Database, projection, what string, decide func(builds.State) (Decision, error)) error {
	if _, err := db.ChangeBuilds(ctx, projection, decide); err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	return nil
}
