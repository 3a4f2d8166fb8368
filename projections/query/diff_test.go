package query_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

func diffOfScans(t *testing.T, w *world, from, to int64) query.Diff {
	t.Helper()
	return diffOf(t, w, fmt.Sprint("scan:", from), fmt.Sprint("scan:", to))
}

// diffOf compares the repository "demo" at two points in time.
func diffOf(t *testing.T, w *world, from, to string) query.Diff {
	t.Helper()
	a, err := w.finder().Find(t.Context(), point(t, from), "demo")
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.finder().Find(t.Context(), point(t, to), "demo")
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.reader().Diff(t.Context(), w.repository("demo"), a, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told tells a diff: artifacts, then links.
func told(d trace.Differences) string {
	artifacts := lines(d.Artifacts, func(a trace.ArtifactDiff) string {
		line := a.What + " " + a.Path
		if a.MovedFrom != "" {
			line += " from " + a.MovedFrom
		}
		if len(a.Replaces) > 0 {
			line += fmt.Sprintf(" replaces %v", a.Replaces)
		}
		return strings.TrimSpace(line + " " + a.Evidence)
	})
	links := lines(d.Links, func(l trace.LinkDiff) string {
		return fmt.Sprintf("%s %s %s %s %s->%s", l.What, l.GxPID, l.Edge, l.Target, l.Before, l.After)
	})
	return strings.TrimSpace(artifacts + "\n" + links)
}

func TestDiffTellsWhatScansInBetweenAddUpTo(t *testing.T) {
	t.Parallel()
	at := func(path, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, "REQ-1", saying)
	}
	keep, story := domaintest.Requirement("REQ-7", "k"), domaintest.UserStory("US-1", "REQ-2")
	w := newWorld(t).
		scan(keep, story, at("r/a.md", "x"), domaintest.Requirement("REQ-3", "c"), domaintest.Requirement("REQ-5", "e")).
		scan(keep, story, at("r/b.md", "x"), domaintest.Requirement("REQ-3", "d"), domaintest.Requirement("REQ-2", "b")).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-404")).
		scan(keep, story, at("r/c.md", "y"), domaintest.Requirement("REQ-3", "c"), domaintest.Requirement("REQ-2", "b"),
			domaintest.Requirement("REQ-5", "e"), domaintest.UserStory("US-2", "REQ-8"))
	want(t, told(diffOfScans(t, w, 1, 2).Differences),
		"new .gxp/requirements/REQ-2.md",
		"changed .gxp/requirements/REQ-3.md",
		"removed .gxp/requirements/REQ-5.md",
		"moved r/b.md from r/a.md",
		"healed US-1 parent_id REQ-2 missing->resolved",
	)
	want(t, told(diffOfScans(t, w, 2, 3).Differences)) // a failed scan leaves the tree as it was
	want(t, told(diffOfScans(t, w, 1, 4).Differences),
		"new .gxp/requirements/REQ-2.md",
		"readded .gxp/requirements/REQ-5.md",
		"new .gxp/user_stories/US-2.md",
		"moved r/c.md from r/a.md",
		"healed US-1 parent_id REQ-2 missing->resolved",
		"broken US-2 parent_id REQ-8 ->missing",
	)
	want(t, told(diffOfScans(t, w, 4, 1).Differences),
		"removed .gxp/requirements/REQ-2.md",
		"readded .gxp/requirements/REQ-5.md",
		"removed .gxp/user_stories/US-2.md",
		"moved r/a.md from r/c.md",
		"broken US-1 parent_id REQ-2 resolved->missing",
		"dropped US-2 parent_id REQ-8 missing->",
	)
	want(t, told(diffOfScans(t, w, 4, 4).Differences))
}

func TestDiffTakesEveryFormOfAPoint(t *testing.T) {
	t.Parallel()
	w := twoScans(t)
	w.scanOf("other", domaintest.Flag(), domaintest.Requirement("REQ-1", "a")) // positions 9 to 11, which are no matter of demo
	w.scan(domaintest.Requirement("REQ-1", "A"))                               // and 12 to 13
	first, second := domaintest.Hash("commit 1"), domaintest.Hash("commit 2")
	for _, c := range []struct{ from, to, scans, want string }{
		{"pos:1", "pos:5", "1 2", "changed .gxp/requirements/REQ-1.md\nchanged .gxp/requirements/REQ-2.md"},
		{"commit:" + first[:7], "commit:" + second[:9], "1 2", "changed .gxp/requirements/REQ-1.md\nchanged .gxp/requirements/REQ-2.md"},
		{"2026-03-01T12:02:00Z", "2026-03-01", "2 4", "removed .gxp/requirements/REQ-2.md"},
		{"scan:4", "pos:2", "4 1", "changed .gxp/requirements/REQ-1.md\nnew .gxp/requirements/REQ-2.md"},
		{"pos:7", "pos:11", "2 3", ""},
	} {
		d := diffOf(t, w, c.from, c.to)
		if got := fmt.Sprintf("%d %d", d.From.Number, d.To.Number); got != c.scans || told(d.Differences) != c.want {
			t.Errorf("%s to %s: scans %s, %s; want %s, %s", c.from, c.to, got, told(d.Differences), c.scans, c.want)
		}
		if d.FromPoint.Given != c.from || d.ToPoint.Given != c.to {
			t.Errorf("%s to %s: says %v, %v", c.from, c.to, d.FromPoint, d.ToPoint)
		}
	}
	d, err := w.reader().Diff(t.Context(), w.repository("other"), query.ResolvedPoint{Position: 4}, query.ResolvedPoint{Position: 11})
	if err != nil || d.From != nil || told(d.Differences) != "new .gxp/requirements/REQ-1.md" {
		t.Errorf("since before the first scan: %v, %s, %v", d.From, told(d.Differences), err)
	}
}

func TestStepsTellWhatEachScanChanged(t *testing.T) {
	t.Parallel()
	w := twoScans(t)
	w.scanOf("other", domaintest.Flag(), domaintest.Requirement("REQ-1", "a"))
	w.scan(domaintest.Requirement("REQ-1", "A")).scan(domaintest.Requirement("REQ-1", "A"))
	steps := func(from, to int64) string {
		var out []string
		for s, err := range w.reader().Steps(t.Context(), w.repository("demo"), from, to) {
			if err != nil {
				return err.Error()
			}
			out = append(out, fmt.Sprintf("%d %s", s.Scan.Number, s.Scan.Outcome), told(s.Differences))
		}
		return strings.Join(out, "\n")
	}
	want(t, steps(1, 5),
		"1 completed", "new .gxp/requirements/REQ-1.md", "new .gxp/requirements/REQ-2.md",
		"2 completed", "changed .gxp/requirements/REQ-1.md", "changed .gxp/requirements/REQ-2.md",
		"3 failed", "",
		"4 completed", "removed .gxp/requirements/REQ-2.md",
		"5 completed", "",
	)
	want(t, steps(4, 4), "4 completed", "removed .gxp/requirements/REQ-2.md")
	for _, c := range [][2]int64{{0, 3}, {1, 6}, {6, 6}} {
		if got := steps(c[0], c[1]); !strings.Contains(got, `"demo" has the scans 1 to 5`) {
			t.Errorf("%v: %s; want the scans that there are", c, got)
		}
	}
}

func TestAnEntryThatIsInsertedOnTopIsAllThatDiffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.RiskLog("RISK-1", "low", "RISK-2", "low")).
		scan(domaintest.RiskLog("RISK-0", "new", "RISK-1", "low", "RISK-2", "low")).
		scan(domaintest.RiskLog("RISK-1", "low", "RISK-0", "new", "RISK-2", "high"))
	const path = ".gxp/risk_assessment.log"
	want(t, told(diffOfScans(t, w, 1, 2).Differences), "changed "+path, "new "+path)
	want(t, told(diffOfScans(t, w, 2, 3).Differences), "changed "+path, "changed "+path)
	want(t, entries(historyOf(t, w, "RISK-2").Artifacts[0]), "risk "+path+" present=true", "scan 1 new #3 v1", "scan 3 changed #3 v2")
	for _, c := range historyOf(t, w, "RISK-2").Artifacts[0].Entries[1].Changes {
		if c.Area == trace.AreaPlace {
			t.Errorf("the place is told as changed: %+v", c)
		}
	}
	w.scan(domaintest.RiskLog("RISK-0", "new", "RISK-2", "high")).scan(domaintest.RiskLog("RISK-0", "new", "RISK-2", "high", "RISK-1", "low"))
	want(t, told(diffOfScans(t, w, 3, 5).Differences), "changed "+path, "readded "+path)
}

func TestAnEntryThatShiftsAfterItChangedChangedWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.RiskLog("RISK-1", "low")).scan(domaintest.RiskLog("RISK-1", "high")).
		scan(domaintest.RiskLog("RISK-0", "new", "RISK-1", "high"))
	entries := historyOf(t, w, "RISK-1").Artifacts[0].Entries
	for _, c := range entries[1].Changes {
		if c.Area == trace.AreaPlace {
			t.Errorf("the place is told as changed: %+v", c)
		}
	}
}
