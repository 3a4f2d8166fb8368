package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// Readiness says whether what a commit holds may be released (ROSIE RFC-004: what a system of record is asked). The JSON names are stable.
type Readiness struct {
	AsOf       query.Shown `json:"as_of"`
	Repository string      `json:"repository"`
	Commit     string      `json:"commit"`
	// Ready reports that a completed scan read the commit, that it holds requirements, and that nothing is listed below.
	Ready bool `json:"ready"`
	// Reasons say why it is not ready, each in a sentence, beside what is listed below.
	Reasons []string `json:"reasons"`
	// Missing are broken links, and artifacts that nothing verifies; Unverified those of which the evidence is not known to be good; Failed those
	// with failed tests; and Findings what a person should look at: duplicates, orphans, and artifacts whose upstream changed.
	Missing    []trace.Gap `json:"missing"`
	Unverified []trace.Gap `json:"unverified"`
	Failed     []trace.Gap `json:"failed"`
	Findings   []trace.Gap `json:"findings"`
	// Rejected are files that could not be parsed, so that it is not known what they ask for.
	Rejected []query.Rejected `json:"rejected"`
	// Revoked is evidence that was valid when the commit was scanned, by a key that was revoked since.
	Revoked  []RevokedEvidence `json:"revoked"`
	Coverage trace.Coverage    `json:"coverage"`
	// CheckedTo is the position of the log up to which later scans of the commit and revoked keys were looked for.
	CheckedTo eventstore.Position `json:"checked_to"`
}

// RevokedEvidence is evidence that a revoked key verified.
type RevokedEvidence struct {
	Path        string    `json:"path"`
	GxPID       string    `json:"gxp_id,omitempty"`
	Fingerprint string    `json:"fingerprint"` // of the key
	RevokedAt   time.Time `json:"revoked_at"`
}

// shortestCommit is how many digits of a commit are enough: fewer would name many in time.
const shortestCommit = 7

// ReadinessOperation answers whether a commit is ready to be released.
func ReadinessOperation(ledger *gxpledger.Ledger, problem func(context.Context, error) error) Operation {
	return Operation{
		ID: "release-readiness", Method: http.MethodGet, Pattern: "/v1/release/readiness/{commit}", Needs: NeedRead, Answer: Readiness{}, Replays: true,
		Summary: "Show whether what a commit holds is covered by valid evidence, and what is missing",
		Parameters: []Parameter{
			{Name: "commit", In: InPath, About: "A commit that was scanned: its id or the first seven digits or more.", Required: true},
			{Name: "repository", In: InQuery, About: "Name or id of the repository; required where several are known."},
		},
		Run: func(ctx context.Context, call Call) ([]byte, error) {
			commit := strings.ToLower(call["commit"])
			if len(commit) < shortestCommit || strings.Trim(commit, "0123456789abcdef") != "" {
				return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, "the commit is not a hexadecimal id of seven digits or more")
			}
			answer, err := readiness(ctx, ledger, call["repository"], commit)
			if err != nil {
				return nil, problem(ctx, err)
			}
			return json.Marshal(answer)
		},
	}
}

// readiness judges the last completed scan of a commit.
func readiness(ctx context.Context, ledger *gxpledger.Ledger, repository, commit string) (_ Readiness, err error) {
	view, err := ledger.View(ctx, gxpledger.ViewOptions{
		AsOf: "commit:" + commit, Repository: repository, Projections: []string{gxpledger.Artifacts, gxpledger.History},
	})
	if err != nil {
		return Readiness{}, err
	}
	defer func() {
		if failed := view.Close(); err == nil {
			err = failed
		}
	}()
	found, err := view.Find(ctx, repository)
	if err != nil {
		return Readiness{}, err
	}
	of := Facts{Commit: commit}
	if of.Gaps, err = view.Gaps(ctx, query.Scope{RepositoryID: found.ID}); err != nil {
		return Readiness{}, err
	}
	if of.Rejected, err = view.Rejected(ctx, query.RejectedFilter{RepositoryID: found.ID}); err != nil {
		return Readiness{}, err
	}
	if of.Evidence, err = view.Artifacts(ctx, trace.GroupEvidence, query.ArtifactFilter{RepositoryID: found.ID}); err != nil {
		return Readiness{}, err
	}
	view.Shown.Only(found.ID)
	of.Shown = view.Shown
	if err := of.addPresent(ctx, ledger, found.ID); err != nil {
		return Readiness{}, err
	}
	out := Judge(of)
	out.Repository = found.Name
	return out, nil
}

// Facts are what readiness is judged by: what was recorded up to the last completed scan of a commit, and what of it is known not to hold any more.
type Facts struct {
	Shown    query.Shown // of one repository, as of that scan
	Commit   string      // that was asked for: its first digits
	Gaps     trace.Gaps
	Rejected []query.Rejected
	Evidence []query.Artifact
	// Keys are all keys, and Later the last scan of the commit if it did not complete, as of the position CheckedTo.
	Keys      []gxpledger.EvidenceKey
	Later     []query.Scan
	CheckedTo eventstore.Position
}

// scanned returns the scan that read the commit; nil for none.
func (f *Facts) scanned() *query.ShownScan {
	at := slices.IndexFunc(f.Shown.Scans, func(s query.ShownScan) bool { return s.Scan > 0 && strings.HasPrefix(s.Commit, f.Commit) })
	if at < 0 {
		return nil
	}
	return &f.Shown.Scans[at]
}

// addPresent adds what was recorded since the commit was scanned.
func (f *Facts) addPresent(ctx context.Context, ledger *gxpledger.Ledger, repositoryID string) (err error) {
	now, err := ledger.View(ctx, gxpledger.ViewOptions{Repository: repositoryID, Projections: []string{gxpledger.Artifacts}})
	if err != nil {
		return err
	}
	defer func() {
		if failed := now.Close(); err == nil {
			err = failed
		}
	}()
	f.CheckedTo = now.Shown.Position
	if f.Keys, err = now.Keys(ctx); err != nil {
		return err
	}
	scan := f.scanned()
	if scan == nil {
		return nil
	}
	last, err := now.Scans(ctx, query.ScanFilter{RepositoryID: repositoryID, Commit: scan.Commit, Last: true})
	f.Later = slices.DeleteFunc(last, func(s query.Scan) bool { return s.Outcome == gxpledger.OutcomeCompleted })
	return err
}

// revoked returns the evidence that was valid by keys that were revoked since.
func (f *Facts) revoked() []RevokedEvidence {
	out := []RevokedEvidence{}
	for _, a := range f.Evidence {
		if a.Evidence == nil || a.Evidence.State == string(domain.EvidenceUnverified) { // unverified is among the gaps where it matters
			continue
		}
		at := slices.IndexFunc(f.Keys, func(k gxpledger.EvidenceKey) bool { return k.Fingerprint == a.Evidence.Fingerprint })
		if at >= 0 && !f.Keys[at].InForce() {
			out = append(out, RevokedEvidence{Path: a.Path, GxPID: a.GxPID, Fingerprint: a.Evidence.Fingerprint, RevokedAt: f.Keys[at].RevokedAt})
		}
	}
	return out
}

// Judge says whether a commit may be released, by what is known. What is not known is not ready (I15).
func Judge(f Facts) Readiness {
	out := Readiness{
		AsOf: f.Shown, Commit: f.Commit, Reasons: []string{}, Missing: []trace.Gap{}, Unverified: []trace.Gap{}, Failed: []trace.Gap{},
		Findings: append([]trace.Gap{}, f.Gaps.Findings...), Rejected: append([]query.Rejected{}, f.Rejected...), Revoked: f.revoked(),
		Coverage: f.Gaps.Coverage, CheckedTo: f.CheckedTo,
	}
	lists := map[trace.State]*[]trace.Gap{trace.StateFailed: &out.Failed, trace.StateUnverified: &out.Unverified}
	for _, gap := range f.Gaps.Gaps {
		list := lists[gap.State]
		if list == nil { // missing, orphaned, of the wrong kind, and whatever comes
			list = &out.Missing
		}
		*list = append(*list, gap)
	}
	out.Reasons = append(f.unfit(), out.listed()...)
	if scan := f.scanned(); scan != nil {
		out.Commit = scan.Commit
	}
	out.Ready = len(out.Reasons) == 0
	return out
}

// unfit says why the scan cannot be judged by.
func (f *Facts) unfit() []string {
	why := []string{}
	switch scan := f.scanned(); {
	case len(f.Shown.Scans) != 1:
		why = append(why, "it is not known which repository is meant")
	case scan == nil:
		why = append(why, "no completed scan of this commit is shown")
	case scan.Worktree:
		why = append(why, "the scan read a work tree, and not the commit")
	case !scan.Completed(), len(f.Later) > 0:
		why = append(why, "a later scan did not complete")
	}
	if f.Gaps.Coverage.Requirements.Total == 0 {
		why = append(why, "it holds no requirement")
	}
	if f.Gaps.Unknown > 0 {
		why = append(why, "of some artifacts it is not known what they lead to")
	}
	return why
}

// listed says of each list that is not empty what it means.
func (r *Readiness) listed() (why []string) {
	for _, list := range []struct {
		length int
		what   string
	}{
		{len(r.Missing), "artifacts or links are missing"},
		{len(r.Unverified), "evidence is not verified"},
		{len(r.Failed), "tests failed"},
		{len(r.Findings), "there are findings that a person should look at"},
		{len(r.Rejected), "files could not be parsed, so that it is not known what they hold"},
		{len(r.Revoked), "the key of evidence was revoked after the scan: scan the commit again"},
	} {
		if list.length > 0 {
			why = append(why, list.what)
		}
	}
	return why
}
