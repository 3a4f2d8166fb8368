package projections

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
)

// Hold keeps the active build of a projection as it is.
type Hold struct {
	By     string // who asked for it
	Reason string
	At     time.Time
}

// KeptAct is an act of an administrator that the log may not have yet.
type KeptAct struct {
	// Act has an empty Outcome while it is under way.
	Act domain.AdminActed
	// Ref is the build that it works on; Number is 0 when it works on none.
	Ref
}

// Controller is how administrators steer projections, across all processes that use a database.
//
// Each act is kept in the transaction that does it, until the log has it and ForgetAct is called: what was done is never
// done without a trace, wherever a process dies.
type Controller interface {
	Holder
	Ender
	ActKeeper
}

// Holder keeps tables as they are.
type Holder interface {
	// Pause holds the active build of projection, from its next page on, whoever writes it. New builds are filled all the
	// same, and take its place only where an administrator asks for it; then they are held in their turn. A projection
	// that is held already gets the new hold.
	Pause(ctx context.Context, projection string, hold Hold, act domain.AdminActed) error
	// Resume ends the hold. Errors: ErrNotPaused.
	Resume(ctx context.Context, projection string, act domain.AdminActed) error
	// Held returns the hold of projection, nil when there is none.
	Held(ctx context.Context, projection string) (*Hold, error)
}

// Ender ends builds that are not wanted, and brings back former ones.
type Ender interface {
	// CancelBuild ends the unfinished build of projection. One whose lease is live is marked: every write of its holder
	// is refused with ErrCancelled from now on, and the holder drops it. One without a live lease is dropped at once, or
	// becomes retired again when it was before. It returns which it was. Errors: ErrNoBuild when nothing is being built.
	CancelBuild(ctx context.Context, projection, by string, act domain.AdminActed) (Ref, error)
	// ReviveBuild leases a retired build, which becomes ready, so that it can catch up and be activated again. An
	// unfinished build of the projection with a live lease makes it fail with a *HeldError; another one is dropped.
	// Errors: ErrNoBuild, ErrInvalid when the build is not retired. A revived build that nobody holds is retired again by
	// the next CreateBuild or ReviveBuild of the projection, with rows that are still good.
	ReviveBuild(ctx context.Context, ref Ref, claim Claim) (Build, error)
}

// ActKeeper keeps acts until the log has them. An act is identified by its ID; keeping it again replaces it.
type ActKeeper interface {
	// KeepAct keeps an act that does nothing else, or says how far one is. Ref.Number 0 is for an act on no build.
	KeepAct(ctx context.Context, kept KeptAct) error
	// KeptActs returns what is kept, in the order in which it was first kept.
	KeptActs(ctx context.Context) ([]KeptAct, error)
	// ForgetAct forgets what the log has. An act that is not kept is no error.
	ForgetAct(ctx context.Context, id string) error
}

// PruneAct returns act with the numbers of the builds that were removed.
func PruneAct(act domain.AdminActed, pruned []Ref) domain.AdminActed {
	numbers := make([]string, len(pruned))
	for i, ref := range pruned {
		numbers[i] = strconv.Itoa(ref.Number)
	}
	act.Arguments = maps.Clone(act.Arguments)
	if act.Arguments == nil {
		act.Arguments = map[string]string{}
	}
	act.Arguments["builds"] = strings.Join(numbers, ",")
	return act
}
