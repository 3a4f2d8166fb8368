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
	// ScanRequest says how each commit is scanned. Its Ref names the last one. Worktree must not be set.
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
// Errors: those of [Ledger.Scan], the first that is not about one commit, which ends the history, and that of ctx. Scans that completed
// before stay recorded.
func (l *Ledger) ScanHistory(ctx context.Context, request HistoryRequest) (result HistoryResult, err error) {
	if request.Worktree {
		return result, fmt.Errorf("cannot scan: %w: files on disk have no history", ErrInvalid)
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
	steps, err := history.Steps(ctx, gitrepo.HistoryOptions{
		Since: request.Since, After: state.PreviousCommit(history.Source()), Recorded: recorded, Tags: request.Tags,
		FirstParent: request.FirstParent || state.Settings.OnMainLine(history.Source()),
	})
	if err != nil {
		return result, err
	}
	result.Commits, result.Left = len(steps), len(steps)
	if request.Listed != nil {
		request.Listed(len(steps))
	}
	for i, step := range steps {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		one := request.ScanRequest
		one.Ref = step.Ref
		scanned, err := l.scan(ctx, one, found, func(ctx context.Context) (*gitrepo.Revision, error) { return history.Open(ctx, step) })
		result.Left--
		if err == nil {
			result.Completed++
		} else {
			result.Failed++
		}
		if request.Scanned != nil {
			request.Scanned(HistoryScan{N: i + 1, Of: len(steps), Commit: step.Commit, Ref: step.Ref, Result: scanned, Err: err})
		}
		if err != nil && (ctx.Err() != nil || !ofCommit(scanned, err)) {
			return result, err
		}
	}
	return result, nil
}

// ofCommit reports whether an error is about the commit that was scanned, and is recorded, so that the next one may be scanned.
func ofCommit(result ScanResult, err error) bool {
	if result.Failed == nil || result.Position == 0 {
		return false
	}
	refused, ok := errors.AsType[*domain.RefusedError](err)
	if !ok {
		return errors.Is(err, recorder.ErrSource)
	}
	return !slices.ContainsFunc(refused.Violations, func(v domain.Violation) bool {
		return v.Code == domain.ViolationRetired || v.Code == domain.ViolationAddress // and so is every other commit
	})
}

// recorded returns what the log knows of the repository that a scan would be of, and the commits of its completed scans: where branches were
// recorded between each other, not all of these are ancestors of the last one.
func (l *Ledger) recorded(ctx context.Context, name string, found *gitrepo.Repository) (domain.State, map[string]bool, error) {
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
	commits := map[string]bool{}
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
			commits[done.Source.Commit] = true
		}
	}
	return state, commits, nil
}
