package gxpledger_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
)

// commits adds a commit to branch main of a repository for each text, which is that of a requirement. One that is "broken" adds a story
// without a requirement, which the next one removes.
func commits(t *testing.T, dir string, texts ...string) {
	t.Helper()
	var script strings.Builder
	file := func(path, content string) {
		fmt.Fprintf(&script, "M 644 inline .gxp/%s\ndata %d\n%s\n", path, len(content), content)
	}
	for i, text := range texts {
		fmt.Fprintf(&script, "commit refs/heads/main\ncommitter C <c@example.org> %d +0000\ndata %d\n%s\n", 1_700_000_000+i, len(text), text)
		if i == 0 && exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "-q", "--verify", "refs/heads/main").Run() == nil {
			script.WriteString("from refs/heads/main^0\n")
		}
		file("system_context.md", systemContext)
		file("requirements/REQ-001.md", requirement+"\n"+text+"\n")
		if text == "broken" {
			file("user_stories/US-404.md", strings.ReplaceAll(story, "REQ-001", "REQ-404"))
		} else {
			script.WriteString("D .gxp/user_stories/US-404.md\n")
		}
		script.WriteString("\n")
	}
	cmd := exec.CommandContext(t.Context(), "git", "-C", dir, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
}

// past is a repository with a history, and a request for it.
func past(t *testing.T, texts ...string) (*gxpledger.Ledger, gxpledger.HistoryRequest) {
	t.Helper()
	ledger, _ := newProduct(t)
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", "-b", "main", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	commits(t, dir, texts...)
	return ledger, gxpledger.HistoryRequest{ScanRequest: gxpledger.ScanRequest{Repository: dir, Name: "pump"}}
}

// record records a history and returns its scans: the message of each commit, and what became of it.
func record(t *testing.T, ledger *gxpledger.Ledger, request gxpledger.HistoryRequest) (string, gxpledger.HistoryResult, error) {
	t.Helper()
	var scans []string
	told := request.Scanned
	request.Scanned = func(s gxpledger.HistoryScan) {
		report := s.Result.Report()
		scans = append(scans, strings.TrimSpace(report.Source.Message)+" "+report.Outcome)
		if s.N != len(scans) || s.Commit != report.Source.Commit || (s.Err == nil) != (report.Outcome == gxpledger.OutcomeCompleted) {
			t.Errorf("scan %d of %d is told as %+v", len(scans), s.Of, s)
		}
		if told != nil {
			told(s)
		}
	}
	result, err := ledger.ScanHistory(t.Context(), request)
	return strings.Join(scans, ", "), result, err
}

// Each commit that changed .gxp is one scan, the oldest first. One that is refused is recorded as failed and ends nothing, and recording
// again goes on after the last one that completed.
func TestAHistoryIsRecordedCommitByCommitAndGoesOn(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "broken", "two", "two")
	for i, want := range []struct {
		scans  string
		result gxpledger.HistoryResult
	}{
		{"one completed, broken failed, two completed", gxpledger.HistoryResult{Commits: 3, Completed: 2, Failed: 1}},
		{"", gxpledger.HistoryResult{}},
		{"broken failed, three completed", gxpledger.HistoryResult{Commits: 2, Completed: 1, Failed: 1}},
	} {
		if i == 2 {
			commits(t, request.Repository, "broken", "three")
		}
		scans, result, err := record(t, ledger, request)
		if err != nil || scans != want.scans || result != want.result {
			t.Errorf("run %d: %q, %+v, %v; want %q, %+v", i, scans, result, err, want.scans, want.result)
		}
	}
	view, err := ledger.View(t.Context(), gxpledger.AsOf("main"))
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close() //nolint:errcheck // nothing was written
	if shown := view.Shown.Scans[0]; shown.Scan != 5 {
		t.Errorf("the branch whose history was recorded is at scan %d, want 5", shown.Scan)
	}
	older := request
	older.Ref = "main~3"
	if scans, _, err := record(t, ledger, older); err == nil || !strings.Contains(err.Error(), "is an ancestor of") || scans != "" {
		t.Errorf("an older history: %q, %v; want that it is refused", scans, err)
	}
}

// Where branches are recorded between each other, none of their commits is recorded twice: not all are ancestors of the last one.
func TestAHistoryOfBranchesIsRecordedOnce(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two")
	for _, args := range [][]string{
		{"update-ref", "refs/heads/side", "main"}, {"update-ref", "refs/heads/main", "main~1"},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", request.Repository}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	commits(t, request.Repository, "three", "four")
	merge := exec.CommandContext(t.Context(), "git", "-C", request.Repository, "-c", "user.name=C", "-c", "user.email=c@example.org",
		"commit-tree", "main^{tree}", "-p", "main", "-p", "side", "-m", "merge nothing of it")
	id, err := merge.Output()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "-C", request.Repository, "update-ref", "refs/heads/main", strings.TrimSpace(string(id))).CombinedOutput(); err != nil {
		t.Fatalf("git update-ref: %v\n%s", err, out)
	}
	if _, result, err := record(t, ledger, request); err != nil || result.Completed != 4 {
		t.Fatalf("%+v, %v; want four commits", result, err)
	}
	if scans, _, err := record(t, ledger, request); err != nil || scans != "" {
		t.Errorf("again: %q, %v; want nothing", scans, err)
	}
}

func TestAHistoryThatWasStoppedGoesOn(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two", "three")
	ctx, cancel := context.WithCancel(t.Context())
	stopped := request
	stopped.Scanned = func(s gxpledger.HistoryScan) {
		if s.N == 2 {
			cancel()
		}
	}
	result, err := ledger.ScanHistory(ctx, stopped)
	if !errors.Is(err, context.Canceled) || result != (gxpledger.HistoryResult{Commits: 3, Completed: 2, Left: 1}) {
		t.Errorf("stopped: %+v, %v; want two scans", result, err)
	}
	if scans, _, err := record(t, ledger, request); err != nil || scans != "three completed" {
		t.Errorf("again: %q, %v; want the rest", scans, err)
	}
}

// What refuses every commit ends a history at the first.
func TestAHistoryOfARetiredRepositoryEndsAtOnce(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two", "three")
	one := request.ScanRequest
	one.Ref = "main~2"
	if _, err := ledger.Scan(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Admin().Retire(t.Context(), gxpledger.RetireRequest{Repository: "pump", Reason: "sold"}); err != nil {
		t.Fatal(err)
	}
	scans, result, err := record(t, ledger, request)
	if err == nil || scans != "two failed" || result.Left != 1 {
		t.Errorf("%q, %+v, %v; want one failure", scans, result, err)
	}
	request.Worktree = true
	if _, err := ledger.ScanHistory(t.Context(), request); !errors.Is(err, gxpledger.ErrInvalid) {
		t.Errorf("files on disk: %v, want ErrInvalid", err)
	}
}

// On the main line a scan goes back only for a reason, and says that it did.
func TestTheMainLineGoesBackForAReasonAlone(t *testing.T) {
	t.Parallel()
	ledger, history := past(t, "one", "two", "three")
	if _, err := ledger.Admin().AddRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "change request 17", Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.MainLine = "main"
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	request := history.ScanRequest
	first, err := ledger.Scan(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if source := first.Head().Source; source.Relation != "" || source.Previous != "" || source.FullRef != "refs/heads/main" {
		t.Errorf("the first scan says %+v of what was before", source)
	}
	request.Ref = "main~1"
	back, err := ledger.Scan(t.Context(), request)
	refused, ok := errors.AsType[*domain.RefusedError](err)
	if !ok || refused.Violations[0].Code != domain.ViolationOrder || back.Failed == nil || back.Head().Source.Relation != domain.RelationAncestor {
		t.Fatalf("going back: %+v, %v; want a recorded refusal", back.Outcome, err)
	}
	request.AllowRewind = true
	if _, err := ledger.Scan(t.Context(), request); !errors.Is(err, gxpledger.ErrInvalid) {
		t.Errorf("without a reason: %v, want ErrInvalid", err)
	}
	request.Reason = "version 3 was withdrawn"
	back, err = ledger.Scan(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	report := back.Report()
	wentBack := slices.ContainsFunc(report.Findings, func(f domain.Finding) bool { return f.Code == domain.FindingWentBack })
	if !wentBack || !slices.Contains(report.Settings.Overrides, domain.OverrideRewind) ||
		report.Source.Previous != first.Head().Source.Commit {
		t.Errorf("the report says %+v, overrides %q", report.Findings, report.Settings.Overrides)
	}
	request.Ref, request.AllowRewind = "main", false
	on, err := ledger.Scan(t.Context(), request)
	if err != nil || on.Head().Source.Relation != domain.RelationDescendant || len(on.Report().Findings) != len(first.Report().Findings) {
		t.Errorf("going on: %+v, %v; want a descendant and no finding of order", on.Completed, err)
	}
}
