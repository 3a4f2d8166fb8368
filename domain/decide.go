package domain

import (
	"errors"
	"fmt"
	"slices"
)

// ErrStale says that a scan claims a unit unchanged which the state does not hold so: the state moved between reading
// and deciding. Read again against the state at hand and decide again.
var ErrStale = errors.New("scan was read against another state")

// RefusedError is the error of a scan that a rule or the policy does not let pass. It lists every violation, not just the
// first. Nothing but [Fail] is to be recorded of such a scan.
type RefusedError struct {
	Violations []Violation // at least one
}

// Error names the first violation and how many there are.
func (r *RefusedError) Error() string {
	switch n := len(r.Violations); n {
	case 0:
		return "scan refused"
	case 1:
		return "scan refused: " + r.Violations[0].Text
	default:
		return fmt.Sprintf("scan refused for %d reasons, the first: %s", n, r.Violations[0].Text)
	}
}

// Decide compares a scan with the state and returns the events that record it, in the order in which they happened to
// the tree: registration, removals, artifacts by key, rejections, links that lead elsewhere, and ScanCompleted as the last. They are one batch (I1).
//
// The error is a *RefusedError when the scan must fail, wraps ErrStale when the scan must be read again, and is anything else
// when the reader broke its contract. Decide changes neither argument and keeps no reference to s.
func Decide(s State, scan Scan) ([]Event, error) {
	files := scan.Files
	scan.Files = nil // what was read of many files need not stay in memory
	t, err := grow(s, files)
	if err != nil {
		return nil, err
	}
	ix := t.index()
	links, relinked := t.link(ix)
	findings, err := t.judge(ix, scan)
	if err != nil {
		return nil, err
	}
	head := scan.Head
	head.Number = s.Scans + 1
	done := ScanCompleted{
		Head: head, Counts: t.counts(), Links: links, Ignored: ignored(scan.Ignored),
		Coverage: t.coverage(), Findings: findings, TreeDigest: t.digest(),
	}
	events := t.events(head)
	for _, r := range relinked {
		done.RelinkedLinks += len(r.Changed)
		events = append(events, r)
	}
	return append(events, done), nil
}

func ignored(paths []string) *Ignored {
	return &Ignored{Count: len(paths), Paths: slices.Clone(paths[:min(len(paths), MaxIgnored)])}
}

// Fail returns the one event of a scan that did not complete (I2). violations must not be empty; the event lists the first
// [MaxViolations] of them and counts total, which is at least their number.
func Fail(s State, head Head, violations []Violation, total int) ScanFailed {
	head.Number = s.Scans + 1
	listed := slices.Clone(violations[:min(len(violations), MaxViolations)])
	return ScanFailed{Head: head, Code: violations[0].Code, Violations: listed, Total: max(total, len(violations))}
}

// faults returns what no policy lets pass.
func faults(s State, scan Scan) []Violation {
	var violations []Violation
	if s.Retired {
		violations = append(violations, Violation{
			Code: ViolationRetired,
			Text: fmt.Sprintf("repository %q was retired; scan it under another name to go on", s.Repository.Name),
		})
	}
	return append(violations, scan.Faults...)
}

// judge applies the policy to the tree. It returns the findings of the tree as a whole.
func (t *tree) judge(ix index, scan Scan) ([]Finding, error) {
	violations := faults(t.state, scan)
	findings := append([]Finding(nil), scan.Findings...)
	for _, c := range t.claims() {
		if scan.Policy.Duplicates == DuplicatesUpdate {
			findings = append(findings, c.findings()...)
			continue
		}
		violations = append(violations, c.violations()...)
	}
	if scan.Policy.Links != LinksFlag {
		violations = append(violations, t.brokenLinks(ix)...)
	}
	if len(violations) > 0 {
		return nil, &RefusedError{Violations: violations}
	}
	return findings, nil
}

// events lists what happened to the tree, but for ScanCompleted. It takes the events of the nodes.
func (t *tree) events(head Head) []Event {
	var out []Event
	if !t.state.Registered {
		out = append(out, RepositoryRegistered{Repository: head.Repository})
	}
	for _, g := range t.gone {
		removed := ArtifactRemoved{
			Key: g.Key, Kind: g.known.Kind, GxPID: g.known.GxPID, Number: g.known.Number, Version: g.known.Version,
			Previous: g.known.SHA256,
		}
		if g.to != nil {
			removed.MovedTo = &Key{Path: g.to.Path, Ordinal: g.to.Ordinal}
		}
		out = append(out, removed)
	}
	for _, path := range t.cleared {
		out = append(out, RejectionCleared{Path: path})
	}
	for _, n := range t.nodes {
		if n.parsed != nil {
			n.parsed.Number, n.parsed.Version = n.known.Number, n.known.Version
			out = append(out, *n.parsed)
			n.parsed = nil
		}
	}
	for _, f := range t.rejected {
		out = append(out, ArtifactRejected{Path: f.Path, Rejection: *f.Rejected, Stamp: f.Stamp, Source: f.Blob})
	}
	return out
}
