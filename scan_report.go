package gxpledger

import (
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// The outcomes of a scan in a [ScanReport].
const (
	OutcomeCompleted = "completed"
	OutcomeFailed    = "failed"
	OutcomeUnknown   = "unknown" // the log may hold it, and did not answer
)

// ScanReport summarises a scan. Of one that completed it holds the event ScanCompleted and the totals of the scan's other
// events; of one that failed, the event ScanFailed. Of one whose outcome is unknown, it is the failure that holds unless the
// log has the scan. The JSON names are stable.
type ScanReport struct {
	Outcome string `json:"outcome"` // completed, failed, unknown
	*domain.Head
	Position   eventstore.Position `json:"position,omitempty"`   // in the log; absent when nothing could be recorded
	RecordedAt time.Time           `json:"recorded_at,omitzero"` // by the log; absent when it could not be read back
	Projected  bool                `json:"projected"`            // the tables show the scan; otherwise the next view catches up
	Attempts   int                 `json:"attempts"`             // appends that were tried
	DurationMS int64               `json:"duration_ms"`
	Earlier    int                 `json:"earlier_failures_recorded,omitempty"` // of scans that could not reach the log
	Found      int                 `json:"earlier_outcomes_found,omitempty"`    // of scans that were unknown: the log has them
	// NewRepository reports that the log knew no repository of this name or address.
	NewRepository bool `json:"new_repository,omitempty"`

	Newer      *RereadCounts          `json:"newer_reader,omitempty"`
	Counts     []domain.Count         `json:"counts,omitempty"`
	Links      *domain.LinkCounts     `json:"links,omitempty"`
	Ignored    *domain.Ignored        `json:"ignored,omitempty"`
	TreeDigest string                 `json:"tree_digest,omitempty"`
	Coverage   *domain.CoverageChange `json:"coverage,omitempty"`
	Broken     []BrokenLink           `json:"broken_links,omitempty"` // of artifacts that are new, changed or relinked
	Evidence   *EvidenceCounts        `json:"evidence,omitempty"`     // of evidence that this scan read
	Rejected   []RejectedFile         `json:"rejected,omitempty"`     // files that this scan could not read
	Findings   []domain.Finding       `json:"findings,omitempty"`     // of the tree, and of what this scan read

	Code       string             `json:"code,omitempty"` // of the first violation
	Violations []domain.Violation `json:"violations,omitempty"`
	Total      int                `json:"violations_total,omitempty"` // how many there were, of which violations are the first
	Spooled    string             `json:"spooled,omitempty"`          // the file that keeps the failure until the log can be reached
	// FailureUnknown: the scan failed, and whether the log holds its ScanFailed is unknown.
	FailureUnknown bool `json:"failure_unknown,omitempty"`
}

// BrokenLink is a broken link of an artifact that the scan recorded.
type BrokenLink struct {
	Path   string        `json:"path,omitempty"`
	GxPID  string        `json:"gxp_id,omitempty"`
	Number int           `json:"number"`
	Edge   domain.Edge   `json:"edge"`
	Target string        `json:"target"`
	Reason domain.Broken `json:"reason"`
}

// RejectedFile is a file of a known kind that could not be parsed.
type RejectedFile struct {
	Path    string      `json:"path"`
	Kind    domain.Kind `json:"kind"`
	Line    int         `json:"line,omitempty"`
	Column  int         `json:"column,omitempty"`
	Message string      `json:"message"`
	SHA256  string      `json:"sha256,omitempty"` // of the bytes, which are kept
}

// EvidenceCounts count the signatures of the evidence of a scan, by their verification.
type EvidenceCounts struct {
	Valid        int `json:"valid"`
	Invalid      int `json:"invalid"`
	Unverifiable int `json:"unverifiable"`
	Unsigned     int `json:"unsigned"`
	Revoked      int `json:"revoked,omitempty"` // only a key that was revoked verifies them
	// Incomplete counts packages whose signature is valid while another check of them is not.
	Incomplete int `json:"incomplete"`
}

// Report summarises the scan.
func (r ScanResult) Report() ScanReport {
	outcome := r.Outcome
	d := ScanReport{
		Position: outcome.Position, Attempts: outcome.Attempts, Spooled: outcome.Spooled, Earlier: r.Drained.Recorded, Found: r.Drained.Dropped,
		RecordedAt: r.RecordedAt, Projected: r.Projected,
		DurationMS: r.Duration.Milliseconds(),
	}
	if failure := outcome.Failed; failure != nil {
		d.FailureUnknown = outcome.Unknown == recorder.UnknownFailure
		d.Outcome, d.Head, d.Code, d.Violations, d.Total = OutcomeFailed, &failure.Head, failure.Code, failure.Violations, failure.Total
		if outcome.Unknown == recorder.UnknownScan {
			d.Outcome = OutcomeUnknown
		}
		return d
	}
	done := outcome.Completed
	d.Outcome, d.Head, d.Counts, d.Links, d.TreeDigest = OutcomeCompleted, &done.Head, done.Counts, &done.Links, done.TreeDigest
	d.Ignored, d.Coverage = done.Ignored, done.Coverage
	d.Findings = append(d.Findings, done.Findings...)
	d.addAll(r.Older, outcome.Events)
	if s := r.summary; s != nil {
		d.NewRepository = s.NewRepository
		d.Newer, d.Broken, d.Evidence, d.Rejected, d.Findings = s.Newer, s.Broken, s.Evidence, s.Rejected, append(d.Findings, s.Findings...)
	}
	return d
}

// addAll counts the events of the scan.
func (d *ScanReport) addAll(older map[string]bool, events []domain.Event) {
	for _, event := range events {
		d.add(event)
		d.addNewer(older, event)
	}
}

// summarise returns what a report says of events.
func summarise(older map[string]bool, events []domain.Event) *ScanReport {
	var d ScanReport
	d.addAll(older, events)
	return &d
}

// RereadCounts count the artifacts that the scan read again because an older version had read them last.
type RereadCounts struct {
	Artifacts int `json:"artifacts"`
	Evidence  int `json:"evidence"`      // of them evidence
	Known     int `json:"results_known"` // of that evidence with known results
}

func (d *ScanReport) addNewer(older map[string]bool, event domain.Event) {
	e, parsed := event.(domain.ArtifactParsed)
	if !parsed || e.Change != domain.ChangeReread || !older[e.Path] {
		return
	}
	if d.Newer == nil {
		d.Newer = &RereadCounts{}
	}
	d.Newer.Artifacts++
	if e.Evidence != nil {
		d.Newer.Evidence++
		if e.Evidence.Results.State == domain.ResultsKnown {
			d.Newer.Known++
		}
	}
}

// add counts one event of the scan.
func (d *ScanReport) add(event domain.Event) {
	switch e := event.(type) {
	case domain.ArtifactParsed:
		d.addArtifact(e)
	case domain.ArtifactRelinked:
		for _, i := range e.Changed {
			d.addBroken(e.Key, e.GxPID, e.Number, e.Links[i])
		}
	case domain.ArtifactRejected:
		d.Rejected = append(d.Rejected, RejectedFile{
			Path: e.Path, Kind: e.Kind, Line: e.Line, Column: e.Column, Message: e.Message, SHA256: e.Content.SHA256,
		})
	case domain.RepositoryRegistered:
		d.NewRepository = true
	case domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRemoved, domain.RejectionCleared,
		domain.ScanCompleted, domain.ScanFailed, domain.AdminActed,
		domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
	}
}

func (d *ScanReport) addArtifact(e domain.ArtifactParsed) {
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

func (d *ScanReport) addBroken(from domain.Key, id string, number int, link domain.Link) {
	if link.Broken != "" {
		d.Broken = append(d.Broken, BrokenLink{
			Path: from.String(), GxPID: id, Number: number, Edge: link.Edge, Target: link.Target, Reason: link.Broken,
		})
	}
}

func (d *ScanReport) addEvidence(evidence domain.Evidence) {
	if d.Evidence == nil {
		d.Evidence = &EvidenceCounts{}
	}
	switch evidence.Signature.Verdict {
	case domain.VerdictValid:
		d.Evidence.Valid++
	case domain.VerdictInvalid:
		d.Evidence.Invalid++
	case domain.VerdictUnverifiable, domain.VerdictNotRun:
		d.Evidence.Unverifiable++
	case domain.VerdictRevoked:
		d.Evidence.Revoked++
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
