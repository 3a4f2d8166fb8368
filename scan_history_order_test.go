package gxpledger_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// onMain makes main the main line of the repository of [past].
func onMain(t *testing.T, ledger *gxpledger.Ledger) {
	t.Helper()
	if _, err := ledger.Admin().AddRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "change request 17", Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.MainLine = "main"
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
}

// point makes a branch of a repository lead to a revision.
func point(t *testing.T, dir, branch, revision string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "update-ref", "refs/heads/"+branch, revision).CombinedOutput(); err != nil {
		t.Fatalf("git update-ref: %v\n%s", err, out)
	}
}

// lastScan is how many scans of the repository of [past] the log holds, if the last one completed.
func lastScan(t *testing.T, ledger *gxpledger.Ledger) int64 {
	t.Helper()
	view, err := ledger.View(t.Context(), gxpledger.AsOf(""))
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close() //nolint:errcheck // nothing was written
	return view.Shown.Scans[0].Scan
}

// A scan that comes between ends a history with one sentence: the rest would be recorded as if history had gone back.
func TestAHistoryEndsWhereAnotherScanCameBetween(t *testing.T) {
	t.Parallel()
	for name, mainLine := range map[string]bool{"of any branch": false, "of the main line": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, request := past(t, "one", "two", "three", "four")
			if mainLine {
				onMain(t, ledger)
			}
			request.Scanned = func(s gxpledger.HistoryScan) {
				if s.N != 2 {
					return
				}
				if _, err := ledger.Scan(t.Context(), request.ScanRequest); err != nil {
					t.Error(err)
				}
			}
			got, result, err := record(t, ledger, request)
			if !errors.Is(err, recorder.ErrMoved) || got != "one completed, two completed" || result != (gxpledger.HistoryResult{Commits: 4, Completed: 2, Left: 2}) {
				t.Errorf("%q, %+v, %v; want an end after two scans", got, result, err)
			}
			if n := lastScan(t, ledger); n != 3 {
				t.Errorf("the log holds %d scans, want the two and the one between", n)
			}
			request.Scanned = nil
			if got, _, err := record(t, ledger, request); err != nil || got != "" {
				t.Errorf("again: %q, %v; want nothing", got, err)
			}
		})
	}
}

// Files on disk are no revision: a scan of them changes nothing of what is left of a history.
func TestAHistoryGoesOnAfterAScanOfTheFilesOnDisk(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two", "three")
	one := request.ScanRequest
	one.Ref = "main~2"
	if _, err := ledger.Scan(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "-C", request.Repository, "reset", "-q", "--hard").CombinedOutput(); err != nil {
		t.Fatalf("git reset: %v\n%s", err, out)
	}
	disk := request.ScanRequest
	disk.Worktree = true
	if _, err := ledger.Scan(t.Context(), disk); err != nil {
		t.Fatal(err)
	}
	if got, _, err := record(t, ledger, request); err != nil || got != "two completed, three completed" {
		t.Errorf("%q, %v; want both", got, err)
	}
}

// What was recorded as another branch is recorded on the main line too, once it is there.
func TestAHistoryOfTheMainLineHoldsWhatABranchBroughtIn(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two", "three")
	onMain(t, ledger)
	point(t, request.Repository, "feature", "main")
	point(t, request.Repository, "main", "main~2")
	feature := request
	feature.Ref = "feature"
	for _, r := range []gxpledger.HistoryRequest{request, feature} {
		if got, _, err := record(t, ledger, r); err != nil || got == "" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	point(t, request.Repository, "main", "feature")
	if got, _, err := record(t, ledger, request); err != nil || got != "two completed, three completed" {
		t.Errorf("after the fast-forward: %q, %v; want what the branch brought in", got, err)
	}
}

// That the main line was rewound is a fact, however it was found out.
func TestAHistoryOfARewoundMainLineIsRecordedAsFailed(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two", "three")
	onMain(t, ledger)
	if _, err := ledger.Scan(t.Context(), request.ScanRequest); err != nil {
		t.Fatal(err)
	}
	point(t, request.Repository, "main", "main~1")
	got, result, err := record(t, ledger, request)
	refused, ok := errors.AsType[*domain.RefusedError](err)
	if !ok || refused.Violations[0].Code != domain.ViolationOrder || got != "two failed" || result != (gxpledger.HistoryResult{Commits: 1, Failed: 1}) {
		t.Errorf("%q, %+v, %v; want one failure", got, result, err)
	}
	request.AllowRewind, request.Reason = true, "version 3 was withdrawn"
	if _, err := ledger.ScanHistory(t.Context(), request); !errors.Is(err, gxpledger.ErrInvalid) || !strings.Contains(err.Error(), "AllowRewind") {
		t.Errorf("with a permission for one scan: %v, want ErrInvalid", err)
	}
}

// The steps of a history are of the branch that it was opened for, also those that tags name.
func TestAHistoryOfABranchLeavesTheMainLineAlone(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{"release/1": "refs/heads/release/1", "release/1~0": "refs/heads/release/1~0"} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			ledger, request := past(t, "one", "two", "three")
			onMain(t, ledger)
			point(t, request.Repository, "release/1", "main")
			point(t, request.Repository, "main", "main~2")
			if _, err := ledger.Scan(t.Context(), request.ScanRequest); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "git", "-C", request.Repository, "tag", "r1", "release/1").CombinedOutput(); err != nil {
				t.Fatalf("git tag: %v\n%s", err, out)
			}
			release := request
			release.Ref, release.Tags = ref, true
			release.Scanned = func(s gxpledger.HistoryScan) {
				if source := s.Result.Head().Source; source.FullRef != want || source.Ref != "r1" {
					t.Errorf("the step is of %q, %q; want r1 of %s", source.Ref, source.FullRef, want)
				}
			}
			if got, _, err := record(t, ledger, release); err != nil || got != "three completed" {
				t.Fatalf("%q, %v; want the tag", got, err)
			}
			if again, err := ledger.Scan(t.Context(), request.ScanRequest); err != nil || again.Head().Source.Relation != domain.RelationSame {
				t.Errorf("the main line after it: %v, %v; want that it did not move", again.Completed, err)
			}
		})
	}
}

// A main line that is set after another branch was scanned continues where it was, and not at its beginning.
func TestAHistoryContinuesAfterTheMainLineWasSet(t *testing.T) {
	t.Parallel()
	ledger, request := past(t, "one", "two", "three", "four")
	point(t, request.Repository, "later", "main")
	point(t, request.Repository, "feature", "main~1")
	point(t, request.Repository, "main", "main~2")
	for _, ref := range []string{"main", "feature"} {
		one := request.ScanRequest
		one.Ref = ref
		if _, err := ledger.Scan(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ledger.Admin().ChangeRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "change request 17", Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.MainLine = "main"
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	point(t, request.Repository, "main", "later")
	if got, _, err := record(t, ledger, request); err != nil || got != "three completed, four completed" {
		t.Errorf("%q, %v; want what comes after the second commit", got, err)
	}
}
