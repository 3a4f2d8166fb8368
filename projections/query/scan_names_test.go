package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections/query"
)

// scannedFrom is a repository that was scanned once for each source. A scan has one artifact, which changes: 3 events at first, then 2.
func scannedFrom(t *testing.T, sources ...domain.Source) *world {
	t.Helper()
	w := newWorld(t)
	w.source = func(n int, s domain.Source) domain.Source {
		given := sources[n-1]
		if given.Commit == "" {
			given.Commit = s.Commit
		}
		return given
	}
	for n := range sources {
		w.record("demo", domaintest.Flag(), domaintest.Requirement("REQ-1", fmt.Sprint(n)))
	}
	return w.project()
}

// scanFound is the number of the scan that a point is found to be.
func scanFound(t *testing.T, w *world, text, repository string) (string, error) {
	t.Helper()
	found, err := w.reader().ScanAt(t.Context(), point(t, text), repository)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("scan %d of %s", found.Number, found.Repository), nil
}

// The last completed scan of a ref counts, as git resolves its name, and no name with two meanings is guessed.
func TestAScanIsFoundByItsRef(t *testing.T) {
	t.Parallel()
	const commit = "deadbee000000000000000000000000000000000"
	w := scannedFrom(t,
		domain.Source{Ref: "v1", FullRef: "refs/tags/v1"},
		domain.Source{Ref: "HEAD", FullRef: "refs/heads/main"},
		domain.Source{Ref: "main"}, // by an older version
		domain.Source{Ref: "refs/heads/both", FullRef: "refs/heads/both"},
		domain.Source{Ref: "both", FullRef: "refs/tags/both"},
		domain.Source{Ref: commit, Commit: commit},
		domain.Source{Ref: "cafe123", FullRef: "refs/heads/cafe123"},
		domain.Source{Ref: "c1", Commit: "cafe123000000000000000000000000000000000"},
		domain.Source{Ref: "origin/x", FullRef: "refs/remotes/origin/x"},
		domain.Source{Ref: "HEAD", FullRef: "refs/heads/dirty", Worktree: true, Dirty: true},
	)
	for text, want := range map[string]string{
		"v1": "scan 1", "ref:v1": "scan 1", "refs/tags/v1": "scan 1", "tags/v1": "scan 1", "main": "scan 3", "heads/main": "scan 2", "HEAD": "scan 2",
		"refs/heads/both": "scan 4", "refs/tags/both": "scan 5", "deadbee": "scan 6", "DEADBEE0": "scan 6", commit: "scan 6", "ref:" + commit: "scan 6",
		"ref:cafe123": "scan 7", "commit:cafe123": "scan 8", "cafe1230": "scan 8", "origin/x": "scan 9",
	} {
		if got, err := scanFound(t, w, text, ""); err != nil || got != want+" of demo" {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	for text, parts := range map[string][]string{
		"both":        {"several refs of that name were scanned, refs/heads/both, refs/tags/both: give one in full"},
		"cafe123":     {"it is a ref that was scanned, and the beginning of commit cafe123000", "give ref:cafe123 or commit:cafe123"},
		"mian":        {`no completed scan of tag or branch "mian"`, `nearest: "main"`, "a date such as"},
		"dirty":       {"scan 10 of", "a work tree with other changes"},
		"ref:deadbee": {`no completed scan of tag or branch "deadbee"`},
		"abcdef1":     {`no completed scan of tag, branch or commit "abcdef1"`},
	} {
		_, err := scanFound(t, w, text, "demo")
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want it to say %s", text, err, part)
			}
		}
	}
}

func TestARefOfSeveralRepositoriesIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source = func(_ int, s domain.Source) domain.Source {
		s.Ref, s.FullRef = "main", "refs/heads/main"
		return s
	}
	w.scan(domaintest.Requirement("REQ-1", "a")).scanOf("other", domaintest.Flag(), domaintest.Requirement("REQ-1", "a"))
	var several *query.AmbiguousError
	for _, text := range []string{"main", "commit-date:2026-03-02"} {
		if _, err := scanFound(t, w, text, ""); !errors.As(err, &several) {
			t.Errorf("%s of two repositories: %v", text, err)
		}
		if got, err := scanFound(t, w, text, "other"); err != nil || got != "scan 1 of other" {
			t.Errorf("%s of one: %s, %v", text, got, err)
		}
	}
}

// Of commits that git dates at or before a time, the one that was scanned last counts, whatever the order of dates. A scan without a date
// hides what is before it (I15).
func TestAScanIsFoundByItsCommitDate(t *testing.T) {
	t.Parallel()
	at := func(day int) domain.Source {
		who := &domain.Person{Name: "Ada", When: time.Date(2025, 1, day, 12, 0, 0, 0, time.FixedZone("", 3600))}
		return domain.Source{Ref: "main", Author: &domain.Person{When: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, Committer: who}
	}
	dirty := at(1)
	dirty.Worktree, dirty.Dirty = true, true
	w := scannedFrom(t, at(2), at(5), at(4), at(4), at(9), dirty)
	for text, want := range map[string]string{
		"2025-01-02": "scan 1", "2025-01-03": "scan 1", "2025-01-04": "scan 4", "2025-01-05": "scan 4", "2025-01-08": "scan 4", "2025-01-09": "scan 5", "2030-01-01": "scan 5",
		"2025-01-02T11:00:00Z": "scan 1", "2025-01-02T12:00:00+01:00": "scan 1",
	} {
		if got, err := scanFound(t, w, "commit-date:"+text, ""); err != nil || got != want+" of demo" {
			t.Errorf("at %s it is %s, %v; want %s", text, got, err, want)
		}
	}
	for text, part := range map[string]string{
		"2025-01-01": "the earliest commit of \"demo\" that was scanned says 2025-01-02T11:00:00Z", "2025-01-02T10:59:59Z": "no completed scan of a commit at or before",
	} {
		if got, err := scanFound(t, w, "commit-date:"+text, ""); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("at %s it is %s, %v; want it to say %s", text, got, err, part)
		}
	}
	found, err := w.finder().Find(t.Context(), point(t, "commit-date:2025-01-04"), "")
	if err != nil || !found.ByCommitDate || found.Given != "commit-date:2025-01-04" {
		t.Errorf("%+v, %v; want a point that says how it was found", found, err)
	}
	if found, err := w.finder().Find(t.Context(), point(t, "scan:1"), ""); err != nil || found.ByCommitDate {
		t.Errorf("%+v, %v; want a point that was not found by a claim", found, err)
	}

	undated := scannedFrom(t, at(2), domain.Source{Ref: "main"}, at(9))
	if got, err := scanFound(t, undated, "commit-date:2025-01-09", ""); err != nil || got != "scan 3 of demo" {
		t.Errorf("after the one without a date it is %s, %v; want scan 3", got, err)
	}
	if got, err := scanFound(t, undated, "commit-date:2025-01-05", ""); err == nil || !strings.Contains(err.Error(), `scan 2 of "demo" has none`) {
		t.Errorf("before the one without a date it is %s, %v; want that it is unknown", got, err)
	}
}
