package gitrepo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// merged is a repository with a branch that was merged. The subjects of its commits, oldest first, say what they change.
func merged(t *testing.T) string {
	t.Helper()
	dir := newRepo(t)
	change := func(path, subject string) {
		write(t, dir, path, subject)
		commit(t, dir, subject)
	}
	change("README", "before")
	change(".gxp/a", "one")
	git(t, dir, "tag", "v1")
	git(t, dir, "checkout", "-q", "-b", "side")
	change(".gxp/b", "side one")
	change("README", "nothing of .gxp")
	git(t, dir, "checkout", "-q", "main")
	change(".gxp/a", "two")
	git(t, dir, "tag", "-a", "-m", "annotated", "v2")
	git(t, dir, "merge", "-q", "--no-ff", "-m", "merge", "side")
	change("x", "nothing")
	git(t, dir, "tag", "v3")
	git(t, dir, "rm", "-q", "-r", ".gxp")
	commit(t, dir, "gone")
	return dir
}

// subjects lists the steps of a history by their subjects.
func subjects(t *testing.T, dir, location string, options gitrepo.Options, history gitrepo.HistoryOptions) ([]string, error) {
	t.Helper()
	found, err := gitrepo.Locate(location, options)
	if err != nil {
		t.Fatal(err)
	}
	h, err := found.OpenHistory(t.Context())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	steps, err := h.Steps(t.Context(), history)
	var out []string
	for _, step := range steps {
		revision, err := h.Open(t.Context(), step)
		if err != nil {
			t.Fatal(err)
		}
		if source := revision.Source(); source.Commit != step.Commit || source.Ref != step.Ref || source.FullRef != step.FullRef {
			t.Errorf("%+v was opened for %+v", source, step)
		}
		assertTree(t, revision.Files(), dir, step.Commit)
		if err := revision.Close(); err != nil {
			t.Error(err)
		}
		out = append(out, strings.TrimPrefix(step.FullRef, "refs/")+" "+git(t, dir, "log", "-1", "--format=%s", step.Commit))
	}
	return out, err
}

func TestAHistoryListsWhatChangedGxP(t *testing.T) {
	t.Parallel()
	dir := merged(t)
	id := func(ref string) string { return git(t, dir, "rev-parse", ref+"^{commit}") }
	s := serve(t, dir)
	for name, test := range map[string]struct {
		ref     string
		options gitrepo.HistoryOptions
		want    []string
	}{
		"all":               {"", gitrepo.HistoryOptions{}, []string{"heads/main one", "heads/main side one|two", "heads/main side one|two", "heads/main merge", "heads/main gone"}},
		"first parents":     {"main", gitrepo.HistoryOptions{FirstParent: true}, []string{"heads/main one", "heads/main two", "heads/main merge", "heads/main gone"}},
		"since a tag":       {"main", gitrepo.HistoryOptions{Since: "v2"}, []string{"heads/main side one|two", "heads/main side one|two", "heads/main merge", "heads/main gone"}},
		"since no change":   {"main", gitrepo.HistoryOptions{Since: "v3"}, []string{"heads/main nothing", "heads/main gone"}},
		"since a commit":    {"v3", gitrepo.HistoryOptions{Since: id("v1")[:12], FirstParent: true}, []string{"tags/v3 one", "tags/v3 two", "tags/v3 merge"}},
		"after":             {"", gitrepo.HistoryOptions{After: id("v2"), FirstParent: true}, []string{"heads/main merge", "heads/main gone"}},
		"after a side":      {"", gitrepo.HistoryOptions{After: id("side"), FirstParent: true}, []string{"heads/main two", "heads/main merge", "heads/main gone"}},
		"after the last":    {"", gitrepo.HistoryOptions{After: id("main"), Since: "v1"}, nil},
		"tags":              {"", gitrepo.HistoryOptions{Tags: true}, []string{"tags/v1 one", "tags/v2 two", "tags/v3 nothing"}},
		"tags after a tag":  {"", gitrepo.HistoryOptions{Tags: true, After: id("v1")}, []string{"tags/v2 two", "tags/v3 nothing"}},
		"after before .gxp": {"v1", gitrepo.HistoryOptions{After: id("v1~1")}, []string{"tags/v1 one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for location, options := range map[string]gitrepo.Options{dir: {Ref: test.ref}, s.URL + "/repo.git": s.options(t, test.ref)} {
				got, err := subjects(t, dir, location, options, test.options)
				if err != nil || !slices.EqualFunc(got, test.want, func(got, want string) bool {
					prefix, _, _ := strings.Cut(want, " ")
					subject := strings.TrimPrefix(got, prefix+" ")
					return subject != got && slices.Contains(strings.Split(strings.TrimPrefix(want, prefix+" "), "|"), subject)
				}) {
					t.Errorf("%s: %q, %v; want %q", location, got, err, test.want)
				}
			}
		})
	}
}

// Nothing older than what was recorded last is listed, and nothing after a gap.
func TestAHistoryThatDoesNotGoOnIsRefused(t *testing.T) {
	t.Parallel()
	dir, commits, side := fork(t, 4)
	shallow := t.TempDir()
	git(t, shallow, "clone", "-q", "--depth=2", "file://"+dir, ".")
	for name, test := range map[string]struct {
		dir, ref string
		options  gitrepo.HistoryOptions
		kind     error
		says     []string
	}{
		"older":                 {dir, commits[1], gitrepo.HistoryOptions{After: commits[3]}, gitrepo.ErrRef, []string{commits[1], "is an ancestor of " + commits[3], "--ref"}},
		"beside":                {dir, "side", gitrepo.HistoryOptions{After: commits[3]}, gitrepo.ErrRef, []string{side, "does not descend from " + commits[3]}},
		"unknown":               {shallow, "", gitrepo.HistoryOptions{After: commits[0]}, gitrepo.ErrMissing, []string{commits[0], "unshallow"}},
		"a gap":                 {shallow, "", gitrepo.HistoryOptions{}, gitrepo.ErrMissing, []string{"unshallow", "--since"}},
		"since another":         {dir, "main", gitrepo.HistoryOptions{Since: "side"}, gitrepo.ErrRef, []string{"side", "ancestor"}},
		"since nothing there":   {dir, "main", gitrepo.HistoryOptions{Since: "sied"}, gitrepo.ErrRef, []string{"did you mean side"}},
		"since beyond the rest": {shallow, "", gitrepo.HistoryOptions{Since: commits[0]}, gitrepo.ErrMissing, []string{commits[0]}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := subjects(t, dir, test.dir, gitrepo.Options{Ref: test.ref}, test.options)
			assertProblem(t, err, test.kind, test.says...)
		})
	}
	got, err := subjects(t, dir, shallow, gitrepo.Options{}, gitrepo.HistoryOptions{Since: commits[2]})
	if err != nil || len(got) != 2 {
		t.Errorf("of what is there %q, %v; want two", got, err)
	}
}
