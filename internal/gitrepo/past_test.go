package gitrepo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// fork is a repository whose branch main has n commits, of which side leaves the second.
func fork(t *testing.T, n int) (dir string, commits []string, side string) {
	t.Helper()
	dir = newRepo(t)
	var script strings.Builder // one process for all of them
	for i := range n {
		fmt.Fprintf(&script, "commit refs/heads/main\ncommitter C <c@example.org> %d +0000\ndata 1\nx\nM 644 inline .gxp/a\ndata <<E\n%d\nE\n\n", 1000+i, i)
		if i == 1 {
			fmt.Fprintf(&script, "reset refs/heads/side\nfrom refs/heads/main\n\ncommit refs/heads/side\ncommitter C <c@example.org> 1 +0000\ndata 1\ns\n"+
				"M 644 inline .gxp/s\ndata 1\ns\n\n")
		}
	}
	gitInput(t, dir, script.String(), "fast-import", "--quiet")
	return dir, strings.Fields(git(t, dir, "rev-list", "--reverse", "main")), git(t, dir, "rev-parse", "side")
}

func relate(t *testing.T, revision *gitrepo.Revision, previous string, deepen bool) (domain.Relation, string) {
	t.Helper()
	relation, why, err := revision.Relate(t.Context(), previous, deepen)
	if err != nil {
		t.Fatal(err)
	}
	if (why == "") != (relation != domain.RelationUnknown) {
		t.Errorf("%s, because %q", relation, why)
	}
	return relation, why
}

func TestARevisionIsRelatedToTheOneBefore(t *testing.T) {
	t.Parallel()
	dir, commits, side := fork(t, 4)
	third := mustOpen(t, dir, gitrepo.Options{Ref: "main~1"})
	for previous, want := range map[string]domain.Relation{
		commits[0]: domain.RelationDescendant, commits[2]: domain.RelationSame, commits[3]: domain.RelationAncestor, side: domain.RelationUnrelated,
		strings.Repeat("ab", 20): domain.RelationUnrelated, "c0ffee": domain.RelationUnknown, "": domain.RelationUnknown,
	} {
		if got, why := relate(t, third, previous, true); got != want {
			t.Errorf("it is %s of %s (%s), want %s", got, previous, why, want)
		}
	}
	git(t, dir, "checkout", "-q", "main")
	if got, _ := relate(t, mustOpen(t, dir, gitrepo.Options{Worktree: true}), commits[0], false); got != domain.RelationDescendant {
		t.Errorf("HEAD of the work tree is %s, want a descendant", got)
	}
}

// I15: a shallow clone does not know, and says how to know.
func TestAShallowCloneDoesNotKnow(t *testing.T) {
	t.Parallel()
	dir, commits, side := fork(t, 4)
	clone := t.TempDir()
	git(t, clone, "clone", "-q", "--depth=2", "file://"+dir, ".")
	tip := mustOpen(t, clone, gitrepo.Options{})
	if got, _ := relate(t, tip, commits[2], false); got != domain.RelationDescendant {
		t.Errorf("of what is there it is %s, want descendant", got)
	}
	for _, previous := range []string{commits[0], side} {
		got, why := relate(t, tip, previous, false)
		if got != domain.RelationUnknown || !strings.Contains(why, "git fetch --unshallow") {
			t.Errorf("%s, %q; want unknown, and what to do", got, why)
		}
	}
}

// The history of an address is fetched in steps, without files, and only when it is asked for.
func TestTheHistoryOfAnAddressIsFetchedWhenAsked(t *testing.T) {
	t.Parallel()
	dir, commits, side := fork(t, 70)
	open := func(s *server, limit int64) *gitrepo.Revision {
		options := s.options(t, "main")
		options.MaxFetch = limit
		return mustOpen(t, s.URL+"/repo.git", options)
	}
	s := serve(t, dir, "uploadpack.allowFilter=true")
	tip := open(s, 0)
	if got, _ := relate(t, tip, commits[67], false); got != domain.RelationUnknown {
		t.Errorf("without a fetch it is %s, want unknown", got)
	}
	for previous, want := range map[string]domain.Relation{
		commits[69]: domain.RelationSame, commits[68]: domain.RelationDescendant, commits[0]: domain.RelationDescendant, side: domain.RelationUnrelated,
	} {
		if got, why := relate(t, tip, previous, true); got != want {
			t.Errorf("it is %s of %s (%s), want %s", got, previous, why, want)
		}
	}
	if got, why := relate(t, open(s, 1300), commits[0], true); got != domain.RelationUnknown || !strings.Contains(why, "--limit fetch=") {
		t.Errorf("beyond the limit it is %s (%s), want unknown, and the limit", got, why)
	}
	if got, why := relate(t, open(serve(t, dir, "uploadpack.allowFilter=false"), 0), commits[0], true); got != domain.RelationDescendant {
		t.Errorf("with files it is %s (%s), want a descendant", got, why)
	}
}

// A scan says by which ref its revision was found, in full.
func TestTheRefOfARevisionIsNamedInFull(t *testing.T) {
	t.Parallel()
	dir, commits, _ := fork(t, 3)
	git(t, dir, "tag", "v1", commits[1])
	git(t, dir, "tag", "-a", "-m", "two", "v2", commits[2])
	git(t, dir, "update-ref", "refs/remotes/origin/x", commits[0])
	s := serve(t, dir)
	for ref, want := range map[string]string{
		"": "refs/heads/main", "HEAD": "refs/heads/main", "@": "refs/heads/main", "main": "refs/heads/main", "refs/heads/main": "refs/heads/main", "v1": "refs/tags/v1",
		"v2": "refs/tags/v2", "origin/x": "refs/remotes/origin/x", "main~1": "refs/heads/main~1", "HEAD~1^0": "refs/heads/main~1^0",
		"v2^{commit}": "refs/tags/v2^{commit}", commits[2] + "~1": "", "v2-0-g" + commits[2][:10]: "", commits[0]: "", commits[0][:10]: "",
	} {
		if got := mustOpen(t, dir, gitrepo.Options{Ref: ref}).Source().FullRef; got != want {
			t.Errorf("on disk %q is %q, want %q", ref, got, want)
		}
		if ref != "" && ref != "v2" {
			continue // each costs a fetch
		}
		if got := mustOpen(t, s.URL+"/repo.git", s.options(t, ref)).Source().FullRef; got != want {
			t.Errorf("fetched %q is %q, want %q", ref, got, want)
		}
	}
	hostile := "refs/heads/" + strings.Repeat("x/", 600) + "y"
	for ref, want := range map[string]string{hostile: "refs/~", "refs/heads/a\xff": "refs/~", "refs/tags/a\xff": "refs/tags/~"} {
		git(t, dir, "update-ref", ref, "main")
		if got := mustOpen(t, dir, gitrepo.Options{Ref: ref}).Source().FullRef; got != want {
			t.Errorf("a ref that should not be stored is %q, want %q", got, want)
		}
	}
	if got := mustOpen(t, dir, gitrepo.Options{Ref: "main" + strings.Repeat("^0", 600)}).Source().FullRef; got != "refs/~" {
		t.Errorf("a long way from a branch is %q", got)
	}
	git(t, dir, "checkout", "-q", "--detach", "main")
	if got := mustOpen(t, dir, gitrepo.Options{}).Source().FullRef; got != "" {
		t.Errorf("a HEAD that is on no branch is %q", got)
	}
}
