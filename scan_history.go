package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// HistoryRequest says which history to record, and how.
type HistoryRequest struct {
	// ScanRequest says how each commit is scanned. Its Ref names the last one. Worktree and AllowRewind must not be set.
	ScanRequest

	// Since is the first revision to record; by default, the first commit with a .gxp directory.
	Since string
	// FirstParent follows the first parents of merges alone. On the main line of the repository it always does.
	FirstParent bool
	// Tags records the commits that a tag marks, instead of all.
	Tags bool
	// Listed is told how many commits are to be recorded, before the first. It must not block. Nil for nobody.
	Listed func(int)
	// Scanned is told of each scan when it ended, with its error. Nil for nobody.
	Scanned func(HistoryScan)
}

// HistoryScan is one scan of a history.
type HistoryScan struct {
	N, Of  int
	Commit string
	Ref    string // tag or commit
	Result ScanResult
	Err    error // why it did not complete
}

// HistoryResult counts the scans of a history.
type HistoryResult struct {
	Commits   int `json:"commits"`   // that were to be recorded
	Completed int `json:"completed"` // of these
	Failed    int `json:"failed"`    // refused, or unreadable
	Left      int `json:"left"`      // not scanned, since something ended it before
}

// ScanHistory records each commit of a history that changed .gxp, the oldest first, by a scan of its own: [Ledger.Scan]. One that is
// refused or cannot be read is recorded as failed, and the next one is scanned. What is not after the commit of the last completed scan
// is left out, so that calling it again continues after it. Nothing older than that is ever recorded.
//
// It waits for the log and the tables as [Ledger.Scan] does, for each scan.
//
// Errors: those of [Ledger.Scan], the first that is not about one commit, which ends the history, that of ctx, and [recorder.ErrMoved] where
// another scan came between, which leaves nothing of the rest. Scans that completed before stay recorded.
func (l *Ledger) ScanHistory(ctx context.Context, request HistoryRequest) (result HistoryResult, err error) {
	if request.Worktree {
		return result, fmt.Errorf("cannot scan: %w: files on disk have no history", ErrInvalid)
	}
	if request.AllowRewind {
		return result, fmt.Errorf("cannot scan: %w: AllowRewind is for one scan: scan the revision alone that history goes back to, and its history then", ErrInvalid)
	}
	found, err := request.locate()
	if err != nil {
		return result, err
	}
	if err := l.settings.CreateHome(); err != nil {
		return result, err
	}
	state, recorded, err := l.recorded(ctx, request.Name, found)
	if err != nil {
		return result, err
	}
	history, err := found.OpenHistory(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, history.Close()) }()
	steps, err := request.steps(ctx, history, state, recorded)
	if err != nil {
		return result, err
	}
	result.Commits, result.Left = len(steps), len(steps)
	if request.Listed != nil {
		request.Listed(len(steps))
	}
	after := state.PreviousCommit(history.Source())
	for i, step := range steps {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		one := request.ScanRequest
		one.Ref = step.Ref
		scanned, err := l.scan(ctx, one, found, opening{
			revision: func(ctx context.Context) (*gitrepo.Revision, error) { return history.Open(ctx, step) }, after: &after,
		})
		if errors.Is(err, recorder.ErrMoved) {
			return result, err
		}
		result.count(err)
		if request.Scanned != nil {
			request.Scanned(HistoryScan{N: i + 1, Of: len(steps), Commit: step.Commit, Ref: step.Ref, Result: scanned, Err: err})
		}
		switch {
		case err == nil:
			after = step.Commit
		case ctx.Err() != nil || !ofCommit(scanned, err):
			return result, err
		}
	}
	return result, nil
}

func (r *HistoryResult) count(err error) {
	r.Left--
	if err == nil {
		r.Completed++
	} else {
		r.Failed++
	}
}

// steps lists what is to be scanned of a history, given what the log knows. On the main line, what was recorded of another branch is not.
func (r HistoryRequest) steps(ctx context.Context, history *gitrepo.History, state domain.State, recorded []domain.Source) ([]gitrepo.Step, error) {
	line, settings := history.Source(), state.Settings
	main, after := settings.OnMainLine(line), state.PreviousCommit(line)
	options := gitrepo.HistoryOptions{
		Since: r.Since, After: after, Recorded: map[string]bool{}, Tags: r.Tags,
		FirstParent: r.FirstParent || main, OfBranch: settings.MainLine != "" && !main,
	}
	for _, source := range recorded {
		if main && !settings.OnMainLine(source) {
			continue
		}
		options.Recorded[source.Commit] = true
		if after == "" {
			options.After = source.Commit // of before the main line was set
		}
	}
	steps, err := history.Steps(ctx, options)
	if main && after != "" && errors.Is(err, gitrepo.ErrOrder) {
		return []gitrepo.Step{history.Last()}, nil // that it does not continue is a fact, which the refusal of such a scan records
	}
	return steps, err
}

// ofCommit reports whether an error is about the commit that was scanned, and is recorded, so that the next one may be scanned. What would fail
// the next one too ends the history, since a commit that it skips is never recorded once a later one is.
func ofCommit(result ScanResult, err error) bool {
	if result.Failed == nil || result.Position == 0 || errors.Is(err, eventstore.ErrTransient) {
		return false
	}
	if refused, ok := errors.AsType[*domain.RefusedError](err); ok {
		return !slices.ContainsFunc(refused.Violations, func(v domain.Violation) bool {
			return slices.Contains([]string{domain.ViolationRetired, domain.ViolationAddress, domain.ViolationKeys, domain.ViolationOrder}, v.Code)
		})
	}
	problem, ok := errors.AsType[*gitrepo.Error](err)
	return ok && errors.Is(err, recorder.ErrSource) && slices.Contains([]error{
		gitrepo.ErrMissing, gitrepo.ErrCorrupt, gitrepo.ErrTooLarge, gitrepo.ErrUnsupported,
	}, problem.Kind)
}

// recorded returns what the log knows of the repository that a scan would be of, and the revisions of its completed scans: where branches were
// recorded between each other, not all of these are ancestors of the last one.
func (l *Ledger) recorded(ctx context.Context, name string, found *gitrepo.Repository) (domain.State, []domain.Source, error) {
	log, err := l.openLog(ctx, config.ToAppend)
	if err != nil {
		return domain.State{}, nil, err
	}
	records, err := l.newRecorder(log)
	if err != nil {
		return domain.State{}, nil, err
	}
	identified, err := l.identify(ctx, log, name, found)
	if err != nil {
		return domain.State{}, nil, err
	}
	state, err := records.State(ctx, identified.ID)
	if err != nil {
		return domain.State{}, nil, err
	}
	var sources []domain.Source
	for record, err := range log.Read(ctx, 0, eventstore.Filter{
		StreamPrefix: string(eventstore.RepositoryStream(identified.ID)),
		Types:        slices.DeleteFunc(eventstore.KnownTypes(), func(t string) bool { return !strings.HasPrefix(t, "scan.completed.") }),
	}) {
		if err != nil {
			return domain.State{}, nil, fmt.Errorf("cannot find the scans of %q: %w", identified.Name, err)
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return domain.State{}, nil, err
		}
		if done, ok := event.(domain.ScanCompleted); ok && !done.Source.Worktree {
			sources = append(sources, done.Source)
		}
	}
	return state, sources, nil
}
