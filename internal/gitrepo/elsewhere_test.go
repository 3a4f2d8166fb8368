package gitrepo_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// TestObjectsThatAreElsewhereAreNamedAndCanBeFetched follows the advice of each error, and reads the revision then.
func TestObjectsThatAreElsewhereAreNamedAndCanBeFetched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clone  []string
		says   []string
		follow []string
	}{
		"without blobs":  {[]string{"--filter=blob:none"}, []string{"4 of the 4 files below .gxp", `".gxp/requirements/REQ-001.md"`, ", ...", "partial clone"}, []string{"fetch", "--refetch", "--no-filter"}},
		"without trees":  {[]string{"--filter=tree:0"}, []string{"object ", "partial clone"}, []string{"fetch", "--refetch", "--no-filter"}},
		"small blobs":    {[]string{"--filter=blob:limit=100"}, []string{"1 of the 4 files", `".gxp/requirements/REQ-002.md"`, "partial clone"}, []string{"fetch", "--refetch", "--no-filter"}},
		"borrowed":       {[]string{"--shared"}, []string{"alternates", "not followed"}, []string{"repack", "-a", "-d"}},
		"borrowed twice": {[]string{"--shared"}, []string{"alternates", "not followed"}, []string{"repack", "-a", "-d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := twoFiles(t)
			git(t, origin, "config", "uploadpack.allowFilter", "true")
			from := "file://" + origin
			if c.clone[0] == "--shared" {
				from = origin
			}
			clone := filepath.Join(t.TempDir(), "clone")
			git(t, origin, append(append([]string{"clone", "-q", "--bare"}, c.clone...), from, clone)...)
			if name == "borrowed twice" { // a chain, with a relative path in it
				second := filepath.Join(filepath.Dir(clone), "second")
				git(t, clone, "clone", "-q", "--bare", "--shared", clone, second)
				write(t, second, "objects/info/alternates", "../../clone/objects\n")
				clone = second
			}
			_, err := open(t, clone, gitrepo.Options{})
			assertProblem(t, err, gitrepo.ErrMissing, append(c.says, "git "+strings.Join(c.follow, " "))...)
			git(t, clone, c.follow...)
			revision := mustOpen(t, clone, gitrepo.Options{})
			sameCommit(t, origin, revision)
			sameFiles(t, origin, revision)
		})
	}
}

// twoFiles is a repository with four files below .gxp, one of them large.
func twoFiles(t *testing.T) string {
	t.Helper()
	dir, _ := sample(t)
	write(t, dir, ".gxp/requirements/REQ-002.md", strings.Repeat("a line\n", 100))
	write(t, dir, ".gxp/requirements/REQ-003.md", "three\n")
	commit(t, dir, "more")
	return dir
}

func TestTheEndOfAShallowCloneIsNamed(t *testing.T) {
	t.Parallel()
	origin := twoFiles(t)
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "-q", "--depth", "1", "file://"+origin, clone)
	mustOpen(t, clone, gitrepo.Options{Ref: "HEAD"})
	_, err := open(t, clone, gitrepo.Options{Ref: "HEAD~1"})
	assertProblem(t, err, gitrepo.ErrMissing, "shallow clone", "git fetch --unshallow")
	git(t, clone, "fetch", "-q", "--unshallow")
	if revision := mustOpen(t, clone, gitrepo.Options{Ref: "HEAD~1"}); revision.Source().Commit != git(t, origin, "rev-parse", "HEAD~1") {
		t.Errorf("HEAD~1 is %s", revision.Source().Commit)
	}
}

// TestARepositoryThatNeedsNothingFromElsewhereIsRead: what is not asked for may be missing.
func TestARepositoryThatNeedsNothingFromElsewhereIsRead(t *testing.T) {
	t.Parallel()
	origin := twoFiles(t)
	write(t, origin, "large.bin", strings.Repeat("x", 10_000))
	commit(t, origin, "large")
	git(t, origin, "config", "uploadpack.allowFilter", "true")
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "-q", "--bare", "--filter=blob:limit=5000", "file://"+origin, clone)
	sameFiles(t, origin, mustOpen(t, clone, gitrepo.Options{}))
}
