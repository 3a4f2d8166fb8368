package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain/trace"
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
	Missing    []trace.Gap    `json:"missing"`
	Unverified []trace.Gap    `json:"unverified"`
	Failed     []trace.Gap    `json:"failed"`
	Findings   []trace.Gap    `json:"findings"`
	Coverage   trace.Coverage `json:"coverage"`
}

// shortestCommit is how many digits of a commit are enough: fewer would name many in time.
const shortestCommit = 7

// ReadinessOperation answers whether a commit is ready to be released.
func ReadinessOperation(ledger *gxpledger.Ledger, problem func(context.Context, error) error) Operation {
	return Operation{
		ID: "release-readiness", Method: http.MethodGet, Pattern: "/v1/release/readiness/{commit}", Needs: NeedRead, Answer: Readiness{},
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
	gaps, err := view.Gaps(ctx, query.Scope{RepositoryID: found.ID})
	if err != nil {
		return Readiness{}, err
	}
	view.Shown.Only(found.ID)
	out := Judge(view.Shown, commit, gaps)
	out.Repository = found.Name
	return out, nil
}

// Judge says whether what a state of one repository shows may be released. commit is what was asked for. What is not known is not ready (I15).
func Judge(shown query.Shown, commit string, gaps trace.Gaps) Readiness {
	out := Readiness{
		AsOf: shown, Commit: commit, Reasons: []string{}, Missing: []trace.Gap{}, Unverified: []trace.Gap{}, Failed: []trace.Gap{},
		Findings: append([]trace.Gap{}, gaps.Findings...), Coverage: gaps.Coverage,
	}
	lists := map[trace.State]*[]trace.Gap{trace.StateFailed: &out.Failed, trace.StateUnverified: &out.Unverified}
	for _, gap := range gaps.Gaps {
		list := lists[gap.State]
		if list == nil { // missing, orphaned, of the wrong kind, and whatever comes
			list = &out.Missing
		}
		*list = append(*list, gap)
	}
	why := func(reason string) { out.Reasons = append(out.Reasons, reason) }
	at := slices.IndexFunc(shown.Scans, func(s query.ShownScan) bool { return s.Scan > 0 && strings.HasPrefix(s.Commit, commit) })
	switch {
	case len(shown.Scans) != 1:
		why("it is not known which repository is meant")
	case at < 0:
		why("no completed scan of this commit is shown")
	case shown.Scans[at].Worktree:
		why("the scan read a work tree, and not the commit")
	case !shown.Scans[at].Completed():
		why("a later scan did not complete")
	default:
		out.Commit = shown.Scans[at].Commit
	}
	if gaps.Coverage.Requirements.Total == 0 {
		why("it holds no requirement")
	}
	if gaps.Unknown > 0 {
		why("of some artifacts it is not known what they lead to")
	}
	for _, list := range []struct {
		gaps []trace.Gap
		what string
	}{
		{out.Missing, "artifacts or links are missing"},
		{out.Unverified, "evidence is not verified"},
		{out.Failed, "tests failed"},
		{out.Findings, "there are findings that a person should look at"},
	} {
		if len(list.gaps) > 0 {
			why(list.what)
		}
	}
	out.Ready = len(out.Reasons) == 0
	return out
}
