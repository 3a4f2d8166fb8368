package gxpledger_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
)

// A check says of each tree what a scan of it does, and leaves nothing behind.
func TestACheckSaysWhatAScanWouldDo(t *testing.T) {
	t.Parallel()
	const duplicate = "---\ngxp_id: REQ-001\ntitle: Twice\n---\n"
	for name, c := range map[string]struct {
		files   map[string]string
		policy  domain.Policy
		refused bool
		errors  []string // code and place
	}{
		"whole":           {},
		"a broken link":   {map[string]string{"user_stories/US-002.md": "---\ngxp_id: US-002\nparent_id:\n  - REQ-404\ntitle: x\n---\n"}, domain.Policy{}, true, []string{"missing_parent .gxp/user_stories/US-002.md:4"}},
		"a flagged link":  {map[string]string{"user_stories/US-002.md": "---\ngxp_id: US-002\nparent_id: REQ-404\n---\n"}, domain.Policy{Links: domain.LinksFlag}, false, nil},
		"a duplicate":     {map[string]string{"requirements/REQ-001-b.md": duplicate}, domain.Policy{}, true, []string{"duplicate_id .gxp/requirements/REQ-001.md:0"}},
		"an update":       {map[string]string{"requirements/REQ-001-b.md": duplicate}, domain.Policy{Duplicates: domain.DuplicatesUpdate}, false, nil},
		"a malformed one": {map[string]string{"requirements/REQ-003.md": "---\ngxp_id: [\n---\n"}, domain.Policy{}, false, []string{"unreadable .gxp/requirements/REQ-003.md:"}},
		"a secret":        {map[string]string{"requirements/REQ-003.md": "---\ngxp_id: REQ-003\n---\nghp_" + strings.Repeat("a1B2", 9) + "\n"}, domain.Policy{}, true, []string{"secret_found .gxp/requirements/REQ-003.md:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, request := newProduct(t)
			write(request.Repository, c.files)
			request.Policy = c.policy
			report, err := ledger.Check(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(request.Repository, "ledger")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a check made a home: %v", err)
			}
			if report.Refused != c.refused || report.Errors() != len(c.errors) || report.Known {
				t.Errorf("refused is %v with %d errors, known %v; want %v, %d: %+v", report.Refused, report.Errors(), report.Known, c.refused, len(c.errors), report.Problems)
			}
			for _, want := range c.errors {
				if !slices.ContainsFunc(report.Problems, func(p gxpledger.Problem) bool { return hasPlace(p, want) }) {
					t.Errorf("the problems are %+v, want %s", report.Problems, want)
				}
			}
			result, err := ledger.Scan(t.Context(), request)
			_, refused := errors.AsType[*domain.RefusedError](err)
			if refused != c.refused {
				t.Fatalf("a scan ends with %v, want that it is refused: %v", err, c.refused)
			}
			if refused {
				return
			}
			if !slices.EqualFunc(report.Counts, result.Completed.Counts, func(a, b domain.Count) bool { return a.Kind == b.Kind && a.Found == b.Found }) ||
				report.Links.Missing != result.Completed.Links.Missing {
				t.Errorf("the check counts %+v, %+v, the scan %+v, %+v", report.Counts, report.Links, result.Completed.Counts, result.Completed.Links)
			}
			again, err := ledger.Check(t.Context(), request)
			if err != nil || !again.Known || len(again.Problems) != len(report.Problems) {
				t.Errorf("once it was scanned, the check says %+v, %v", again, err)
			}
		})
	}
}

// hasPlace reports whether p has a code and a place, CODE PATH:LINE or CODE PATH: for any line.
func hasPlace(p gxpledger.Problem, want string) bool {
	at := p.Code + " " + p.Path + ":"
	if strings.HasSuffix(want, ":") {
		return at == want
	}
	return at+string(rune('0'+p.Line)) == want
}

// A check goes by what is recorded for the repository.
func TestACheckGoesByTheRecordedSettings(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	write(request.Repository, map[string]string{"user_stories/US-002.md": "---\ngxp_id: US-002\nparent_id: REQ-404\ntitle: x\n---\n"})
	if _, err := ledger.Admin().AddRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "an old tree",
		Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Links = domain.LinksFlag
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Admin().ChangeRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "it is here",
		Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Addresses = []string{domain.CanonicalAddress(request.Repository)}
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	request.Name = "" // it is found by its address
	report, err := ledger.Check(t.Context(), request)
	if err != nil || report.Refused || report.Errors() > 0 || !report.Known {
		t.Errorf("with recorded settings the check says %+v, %v", report, err)
	}
	if !slices.ContainsFunc(report.Problems, func(p gxpledger.Problem) bool {
		return p.Code == gxpledger.ProblemBrokenLink && p.Severity == gxpledger.SeverityWarning && p.Line == 3
	}) {
		t.Errorf("the problems are %+v, want a broken link on line 3", report.Problems)
	}
}

// The example of the documentation is whole.
func TestTheExampleIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // else it is a part of this repository
	if err := os.CopyFS(dir, os.DirFS("examples/pump")); err != nil {
		t.Fatal(err)
	}
	ledger, request := newProduct(t)
	request.Repository = dir
	report, err := ledger.Check(t.Context(), request)
	if err != nil || len(report.Problems) > 0 || report.Links.Sound == 0 {
		t.Errorf("the example has %+v, %v", report.Problems, err)
	}
}

// A check is red for what a scan would be refused for in view of what is recorded: history that went back, and a key that is missing.
func TestACheckKnowsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	git := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", request.Repository, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main", ".")
	git("add", ".gxp")
	git("commit", "-q", "-m", "one")
	first := git("rev-parse", "HEAD")
	git("commit", "-q", "--allow-empty", "-m", "two")
	request.Worktree = false
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Admin().ChangeRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "one line", Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.MainLine = "main"
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	if report, err := ledger.Check(t.Context(), request); err != nil || report.Refused {
		t.Errorf("of the commit that is recorded: %+v, %v", report.Problems, err)
	}
	git("reset", "-q", "--hard", first)
	report, err := ledger.Check(t.Context(), request)
	if err != nil || !report.Refused || !slices.ContainsFunc(report.Problems, func(p gxpledger.Problem) bool { return p.Code == domain.ViolationOrder }) {
		t.Errorf("of a commit before it: %v, %+v", err, report.Problems)
	}
	if _, err := ledger.Scan(t.Context(), request); err == nil {
		t.Error("a scan of it is recorded")
	}
}
