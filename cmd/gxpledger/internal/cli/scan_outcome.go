package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/projections"
)

// scanDocument is the output of scan --json. Of a scan that completed it holds the event ScanCompleted and what the
// scan's other events say; of one that failed, the event ScanFailed. Unknown: the log may hold the scan, and did not answer;
// the document is then what failed unless it does.
type scanDocument struct {
	Outcome string `json:"outcome"` // completed, failed, unknown
	*domain.Head
	Position   eventstore.Position `json:"position,omitempty"`   // in the log; absent when nothing could be recorded
	RecordedAt time.Time           `json:"recorded_at,omitzero"` // by the log; absent when it could not be read back
	Projected  bool                `json:"projected"`            // the tables show the scan; otherwise they will follow
	Attempts   int                 `json:"attempts"`             // appends that were tried
	DurationMS int64               `json:"duration_ms"`
	Earlier    int                 `json:"earlier_failures_recorded,omitempty"` // of scans that could not reach the log
	Settled    int                 `json:"earlier_outcomes_found,omitempty"`    // of scans that were unknown: the log has them

	Newer      *newerReader           `json:"newer_reader,omitempty"`
	Counts     []domain.Count         `json:"counts,omitempty"`
	Links      *domain.LinkCounts     `json:"links,omitempty"`
	Ignored    *domain.Ignored        `json:"ignored,omitempty"`
	TreeDigest string                 `json:"tree_digest,omitempty"`
	Coverage   *domain.CoverageChange `json:"coverage,omitempty"`
	Broken     []brokenLink           `json:"broken_links,omitempty"` // of artifacts that are new, changed or relinked
	Evidence   *evidenceCounts        `json:"evidence,omitempty"`     // of evidence that this scan read
	Rejected   []rejectedFile         `json:"rejected,omitempty"`     // files that this scan could not read
	Findings   []domain.Finding       `json:"findings,omitempty"`     // of the tree, and of what this scan read

	Code       string             `json:"code,omitempty"` // of the first violation
	Violations []domain.Violation `json:"violations,omitempty"`
	Total      int                `json:"violations_total,omitempty"` // how many there were, of which violations are the first
	Spooled    string             `json:"spooled,omitempty"`          // the file that keeps the failure until the log can be reached
	// FailureUnknown: the scan failed, and whether the log holds its ScanFailed is unknown.
	FailureUnknown bool `json:"failure_unknown,omitempty"`
}

// brokenLink is a link that leads nowhere.
type brokenLink struct {
	Path   string        `json:"path,omitempty"`
	GxPID  string        `json:"gxp_id,omitempty"`
	Number int           `json:"number"`
	Edge   domain.Edge   `json:"edge"`
	Target string        `json:"target"`
	Reason domain.Broken `json:"reason"`
}

// rejectedFile is a file of a known kind that could not be read.
type rejectedFile struct {
	Path    string      `json:"path"`
	Kind    domain.Kind `json:"kind"`
	Line    int         `json:"line,omitempty"`
	Column  int         `json:"column,omitempty"`
	Message string      `json:"message"`
	SHA256  string      `json:"sha256,omitempty"` // of the bytes, which are kept
}

// evidenceCounts is how the signatures of the evidence of a scan were judged.
type evidenceCounts struct {
	Valid        int `json:"valid"`
	Invalid      int `json:"invalid"`
	Unverifiable int `json:"unverifiable"`
	Unsigned     int `json:"unsigned"`
	// Incomplete counts packages whose signature is valid while another check of them is not.
	Incomplete int `json:"incomplete"`
}

// completed shows a scan that was recorded.
func (o *scanOptions) completed(result gxpledger.ScanResult) error {
	document := documentOf(result)
	if o.app.json {
		return render.Document(o.app.system.Stdout, document)
	}
	screen := o.app.screen()
	showCompleted(screen, document)
	return screen.Err()
}

// failed shows a scan that was not: what was refused and that nothing else was recorded.
func (o *scanOptions) failed(ctx context.Context, result gxpledger.ScanResult, cause error) error {
	if errors.Is(cause, gxpledger.ErrSecret) {
		return failed(cause, "the address of the repository, or that of its origin, holds what looks like a token, and it would be stored for ever: "+
			"clone the repository and scan the clone with --name")
	}
	if errors.Is(cause, projections.ErrLogMismatch) && result.Failed == nil {
		return o.app.anotherLog(cause)
	}
	if result.Failed == nil {
		return cause
	}
	document := documentOf(result)
	if o.app.json {
		if err := render.Document(o.app.system.Stdout, document); err != nil {
			return err
		}
	} else if _, refused := errors.AsType[*domain.RefusedError](cause); refused {
		showViolations(o.app.notes(), document)
	}
	why, left := whyFailed(ctx, cause), leftOf(document)
	if result.Unknown != recorder.UnknownNothing {
		return failed(cause, "%s; %s: scan again, nothing is recorded twice", why, left)
	}
	return failed(cause, "%s; %s", why, left)
}

const outcomeUnknown = "unknown"

// whyFailed says why a scan did not complete.
func whyFailed(ctx context.Context, cause error) string {
	refused, isRefused := errors.AsType[*domain.RefusedError](cause)
	switch {
	case isRefused && len(refused.Violations) == 1:
		return "the scan was refused for the reason above"
	case isRefused:
		return fmt.Sprintf("the scan was refused for the %d reasons above", len(refused.Violations))
	case ctx.Err() != nil && (errors.Is(cause, ctx.Err()) || errors.Is(cause, context.Cause(ctx))):
		return "the scan was stopped"
	case errors.Is(cause, eventstore.ErrOutcomeUnknown): // what to do about it comes last
		return oneLine(cause.Error())
	}
	// The scan failed for another reason, even if it was stopped since.
	_, why := explain(context.WithoutCancel(ctx), unwrapSource(cause))
	return why
}

// leftOf says what the log has of a scan that did not complete.
func leftOf(d scanDocument) string {
	kept := "a failure for the case that it was not could not be kept"
	if d.Spooled != "" {
		kept = "a failure waits in " + d.Spooled + " for the next scan that reaches the log, which drops it if it was"
	}
	switch {
	case d.Outcome == outcomeUnknown:
		return "it is unknown whether the scan was recorded, since the log did not answer; " + kept
	case d.FailureUnknown:
		return "it is unknown whether this failure was recorded, since the log did not answer; " + kept
	case d.Position == 0 && d.Spooled != "":
		return "nothing was recorded; the failure waits in " + d.Spooled + " for the next scan that reaches the log"
	case d.Position == 0:
		return "nothing was recorded"
	}
	return fmt.Sprintf("scan %d was recorded as failed, and nothing else of it", d.Number)
}

// unwrapSource drops what the Recorder put before the error of a reading: the sentence below it says it all.
func unwrapSource(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if all := joined.Unwrap(); len(all) == 2 && all[0] == recorder.ErrSource { //nolint:errorlint // it is this very one
			return all[1]
		}
	}
	return err
}

func documentOf(result gxpledger.ScanResult) scanDocument {
	outcome := result.Outcome
	d := scanDocument{
		Position: outcome.Position, Attempts: outcome.Attempts, Spooled: outcome.Spooled, Earlier: result.Drained.Recorded, Settled: result.Drained.Dropped,
		RecordedAt: result.RecordedAt, Projected: result.Projected,
		DurationMS: result.Duration.Milliseconds(),
	}
	if failure := outcome.Failed; failure != nil {
		d.FailureUnknown = outcome.Unknown == recorder.UnknownFailure
		d.Outcome, d.Head, d.Code, d.Violations, d.Total = "failed", &failure.Head, failure.Code, failure.Violations, failure.Total
		if outcome.Unknown == recorder.UnknownScan {
			d.Outcome = outcomeUnknown
		}
		return d
	}
	done := outcome.Completed
	d.Outcome, d.Head, d.Counts, d.Links, d.TreeDigest = "completed", &done.Head, done.Counts, &done.Links, done.TreeDigest
	d.Ignored, d.Coverage = done.Ignored, done.Coverage
	d.Findings = append(d.Findings, done.Findings...)
	for _, event := range outcome.Events {
		d.add(event)
		d.addNewer(result.Older, event)
	}
	return d
}

// newerReader counts the artifacts that this scan read anew because an older reader had read them last.
type newerReader struct {
	Artifacts int `json:"artifacts"`
	Evidence  int `json:"evidence"`      // of them evidence
	Known     int `json:"results_known"` // of it with known results now
}

func (d *scanDocument) addNewer(older map[string]bool, event domain.Event) {
	e, parsed := event.(domain.ArtifactParsed)
	if !parsed || e.Change != domain.ChangeReread || !older[e.Path] {
		return
	}
	if d.Newer == nil {
		d.Newer = &newerReader{}
	}
	d.Newer.Artifacts++
	if e.Evidence != nil {
		d.Newer.Evidence++
		if e.Evidence.Results.State == domain.ResultsKnown {
			d.Newer.Known++
		}
	}
}

// add takes what one event of the scan says.
func (d *scanDocument) add(event domain.Event) {
	switch e := event.(type) {
	case domain.ArtifactParsed:
		d.addArtifact(e)
	case domain.ArtifactRelinked:
		for _, i := range e.Changed {
			d.addBroken(e.Key, e.GxPID, e.Number, e.Links[i])
		}
	case domain.ArtifactRejected:
		d.Rejected = append(d.Rejected, rejectedFile{
			Path: e.Path, Kind: e.Kind, Line: e.Line, Column: e.Column, Message: e.Message, SHA256: e.Content.SHA256,
		})
	case domain.RepositoryRegistered, domain.RepositoryRetired, domain.ArtifactRemoved, domain.RejectionCleared,
		domain.ScanCompleted, domain.ScanFailed, domain.AdminActed:
	}
}

func (d *scanDocument) addArtifact(e domain.ArtifactParsed) {
	for _, link := range e.Links {
		d.addBroken(e.Key, e.GxPID, e.Number, link)
	}
	for _, finding := range e.Findings {
		if finding.Path == "" {
			finding.Path = e.Path
		}
		d.Findings = append(d.Findings, finding)
	}
	if e.Evidence != nil {
		d.addEvidence(*e.Evidence)
	}
}

func (d *scanDocument) addBroken(from domain.Key, id string, number int, link domain.Link) {
	if link.Broken != "" {
		d.Broken = append(d.Broken, brokenLink{
			Path: from.String(), GxPID: id, Number: number, Edge: link.Edge, Target: link.Target, Reason: link.Broken,
		})
	}
}

func (d *scanDocument) addEvidence(evidence domain.Evidence) {
	if d.Evidence == nil {
		d.Evidence = &evidenceCounts{}
	}
	switch evidence.Signature.Verdict {
	case domain.VerdictValid:
		d.Evidence.Valid++
	case domain.VerdictInvalid:
		d.Evidence.Invalid++
	case domain.VerdictUnverifiable, domain.VerdictNotRun:
		d.Evidence.Unverifiable++
	case domain.VerdictUnsigned:
		d.Evidence.Unsigned++
	}
	for _, check := range evidence.Checks {
		if check.Verdict != domain.VerdictValid && evidence.Signature.Verdict == domain.VerdictValid {
			d.Evidence.Incomplete++
			return
		}
	}
}

func (d *scanDocument) duration() time.Duration {
	return time.Duration(d.DurationMS) * time.Millisecond
}
