package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
)

// historyLine is what scan --history --json writes for each scan.
type historyLine struct {
	N      int    `json:"n"`
	Of     int    `json:"of"`
	Commit string `json:"commit_sha"`
	gxpledger.ScanReport

	Error string `json:"error,omitempty"` // why it did not complete
}

// historySummary is the last line of scan --history --json.
type historySummary struct {
	Summary gxpledger.HistoryResult `json:"summary"`
}

// runHistory scans each commit of a history that is not recorded yet.
func (o *scanOptions) runHistory(ctx context.Context) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	progress, at, of := o.app.progress(), 1, 0
	request.Progress = func(p gxpledger.ScanProgress) {
		text := scanProgress(p)
		if of > 0 {
			text = fmt.Sprintf("%d of %d: %s", at, of, text)
		}
		progress.Say(text)
	}
	progress.Say("listing the history")
	var unwritten error
	result, err := o.app.ledger.ScanHistory(ctx, gxpledger.HistoryRequest{
		ScanRequest: request, Since: o.since, FirstParent: o.firstParent, Tags: o.history.value == "tags",
		Listed: func(n int) { of = n },
		Scanned: func(s gxpledger.HistoryScan) {
			progress.Done()
			o.note(ctx, s.Result)
			unwritten = errors.Join(unwritten, o.scanned(ctx, s))
			at = s.N + 1
		},
	})
	progress.Done()
	o.app.recorded = err == nil
	unwritten = errors.Join(unwritten, o.summarised(result, err))
	if unwritten != nil {
		o.app.notes().Line("%s recorded; the results could not be written: %s", render.CountOf(result.Completed, "scan was", "scans were"), oneLine(unwritten.Error()))
	}
	return o.endOf(ctx, result, err)
}

// endOf returns the error of a history that was not recorded wholly.
func (o *scanOptions) endOf(ctx context.Context, result gxpledger.HistoryResult, cause error) error {
	switch {
	case errors.Is(cause, gxpledger.ErrSecret):
		return o.failed(ctx, gxpledger.ScanResult{}, cause)
	case cause != nil && result.Commits == 0:
		return cause
	case cause != nil:
		return failed(cause, "%s; %d of %d commits were recorded, %d failed: scan again to continue after the last one that completed", whyFailed(ctx, cause),
			result.Completed, result.Commits, result.Failed)
	case result.Failed > 0:
		return failed(nil, "%d of %d commits failed, and are recorded as failed: see gxpledger scans --failed and gxpledger audit --outcome failed", result.Failed, result.Commits)
	}
	return nil
}

// scanned shows one scan of a history.
func (o *scanOptions) scanned(ctx context.Context, s gxpledger.HistoryScan) error {
	var report gxpledger.ScanReport
	if s.Result.Completed != nil || s.Result.Failed != nil {
		report = s.Result.Report()
	}
	why := ""
	if s.Err != nil {
		_, why = explain(context.WithoutCancel(ctx), unwrapSource(s.Err))
		if refused, ok := errors.AsType[*domain.RefusedError](s.Err); ok {
			why = oneLine(refused.Error())
		}
	}
	if o.app.json {
		return render.Line(o.app.system.Stdout, historyLine{s.N, s.Of, s.Commit, report, why})
	}
	screen := o.app.screen()
	showHistoryScan(screen, s, report, why)
	return screen.Err()
}

func showHistoryScan(screen *render.Screen, s gxpledger.HistoryScan, d gxpledger.ScanReport, why string) {
	name := render.Short(s.Commit)
	if s.Ref != s.Commit {
		name += " (" + s.Ref + ")"
	}
	if s.Err != nil {
		screen.Line("%d of %d: %s %s: %s", s.N, s.Of, name, render.Bad.Of("failed"), why)
		return
	}
	var sum domain.Count
	for _, c := range d.Counts {
		sum.Found, sum.New, sum.Changed, sum.Removed, sum.Rejected = sum.Found+c.Found, sum.New+c.New, sum.Changed+c.Changed, sum.Removed+c.Removed, sum.Rejected+c.Rejected
	}
	screen.Line("%d of %d: %s is %s: %d found, %d new, %d changed, %d removed, %d rejected, %s", s.N, s.Of, name, render.Good.Of(fmt.Sprintf("scan %d", d.Number)),
		sum.Found, sum.New, sum.Changed, sum.Removed, sum.Rejected, render.Count(d.Links.Missing+d.Links.WrongKind, "broken link"))
}

// summarised shows what became of a history; nothing where there is an error before the first scan, which says that.
func (o *scanOptions) summarised(r gxpledger.HistoryResult, cause error) error {
	if cause != nil && r.Commits == 0 {
		return nil
	}
	if o.app.json {
		return render.Line(o.app.system.Stdout, historySummary{r})
	}
	screen := o.app.screen()
	if r.Commits == 0 {
		screen.Line("Nothing to record: no commit after the last one that was recorded changed .gxp.")
		return screen.Err()
	}
	screen.Blank()
	screen.Line("%s: %d completed, %d failed, %d left.", render.Count(r.Commits, "commit"), r.Completed, r.Failed, r.Left)
	return screen.Err()
}
