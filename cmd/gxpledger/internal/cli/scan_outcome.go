package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// scanDocument is the output of scan --json. Of a scan that completed it holds the event ScanCompleted and what the
// scan's other events say; of one that failed, the event ScanFailed.
type scanDocument struct {
	Outcome string `json:"outcome"` // completed, failed
	*domain.Head
	Position   eventstore.Position `json:"position,omitempty"` // in the log; absent when nothing could be recorded
	Attempts   int                 `json:"attempts"`           // appends that were tried
	DurationMS int64               `json:"duration_ms"`
	Earlier    int                 `json:"earlier_failures_recorded,omitempty"` // of scans that could not reach the log

	Counts     []domain.Count     `json:"counts,omitempty"`
	Links      *domain.LinkCounts `json:"links,omitempty"`
	TreeDigest string             `json:"tree_digest,omitempty"`
	Broken     []brokenLink       `json:"broken_links,omitempty"` // of artifacts that are new, changed or relinked
	Evidence   *evidenceCounts    `json:"evidence,omitempty"`     // of evidence that this scan read
	Rejected   []rejectedFile     `json:"rejected,omitempty"`     // files that this scan could not read
	Findings   []domain.Finding   `json:"findings,omitempty"`     // of the tree, and of what this scan read

	Code       string             `json:"code,omitempty"` // of the first violation
	Violations []domain.Violation `json:"violations,omitempty"`
	Spooled    string             `json:"spooled,omitempty"` // the file that keeps the failure until the log can be reached
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
	// Incomplete counts packages whose signature is valid while another check of them is not.
	Incomplete int `json:"incomplete"`
}

// completed shows a scan that was recorded.
func (s *scanner) completed(outcome eventstore.Outcome) error {
	document := s.document(outcome)
	if s.options.app.json {
		return render.Document(s.options.app.system.Stdout, document)
	}
	screen := s.options.app.screen()
	showCompleted(screen, document)
	return screen.Err()
}

// failed shows a scan that was not: what was refused and that nothing else was recorded.
func (s *scanner) failed(ctx context.Context, outcome eventstore.Outcome, cause error) error {
	if outcome.Failed == nil {
		return fmt.Errorf("record scan %s: %w", s.request.Scan, cause)
	}
	document := s.document(outcome)
	if s.options.app.json {
		if err := render.Document(s.options.app.system.Stdout, document); err != nil {
			return err
		}
	} else if _, refused := errors.AsType[*domain.RefusedError](cause); refused {
		showViolations(s.options.app.notes(), document)
	}
	return failed(cause, "%s", whyFailed(ctx, document, cause))
}

// whyFailed is the sentence on a scan that failed.
func whyFailed(ctx context.Context, d scanDocument, cause error) string {
	_, why := explain(ctx, unwrapSource(cause))
	left := fmt.Sprintf("scan %d was recorded as failed, and nothing else of it", d.Number)
	switch {
	case d.Spooled != "":
		left = fmt.Sprintf("nothing was recorded; the failure waits in %s for the next scan that reaches the log", d.Spooled)
	case d.Position == 0:
		left = "nothing was recorded"
	}
	refused, isRefused := errors.AsType[*domain.RefusedError](cause)
	switch {
	case isRefused && len(refused.Violations) == 1:
		return "the scan was refused for the reason above; " + left
	case isRefused:
		return fmt.Sprintf("the scan was refused for the %d reasons above; %s", len(refused.Violations), left)
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		return "the scan was stopped; " + left
	}
	return why + "; " + left
}

// unwrapSource drops what the Recorder put before the error of a reading: the sentence below it says it all.
func unwrapSource(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && errors.Is(err, eventstore.ErrSource) {
		if all := joined.Unwrap(); len(all) == 2 && errors.Is(all[0], eventstore.ErrSource) {
			return all[1]
		}
	}
	return err
}

func (s *scanner) document(outcome eventstore.Outcome) scanDocument {
	d := scanDocument{
		Position: outcome.Position, Attempts: outcome.Attempts, Spooled: outcome.Spooled, Earlier: s.drained,
		DurationMS: s.options.app.system.Now().Sub(s.request.StartedAt).Milliseconds(),
	}
	if failure := outcome.Failed; failure != nil {
		d.Outcome, d.Head, d.Code, d.Violations = "failed", &failure.Head, failure.Code, failure.Violations
		return d
	}
	done := outcome.Completed
	d.Outcome, d.Head, d.Counts, d.Links, d.TreeDigest = "completed", &done.Head, done.Counts, &done.Links, done.TreeDigest
	d.Findings = append(d.Findings, done.Findings...)
	for _, relinked := range done.Relinked {
		if relinked.Broken != "" {
			d.Broken = append(d.Broken, brokenLink{Number: relinked.Number, Edge: relinked.Edge, Target: relinked.Target, Reason: relinked.Broken})
		}
	}
	for _, event := range outcome.Events {
		d.add(event)
	}
	return d
}

// add takes what one event of the scan says.
func (d *scanDocument) add(event domain.Event) {
	switch e := event.(type) {
	case domain.ArtifactParsed:
		d.addArtifact(e)
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
		if link.Broken != "" {
			d.Broken = append(d.Broken, brokenLink{
				Path: e.String(), GxPID: e.GxPID, Number: e.Number, Edge: link.Edge, Target: link.Target, Reason: link.Broken,
			})
		}
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
