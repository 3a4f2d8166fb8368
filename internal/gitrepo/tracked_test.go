package gitrepo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

func findTracked(t *testing.T, path string) *gitrepo.Tracked {
	t.Helper()
	tracked, err := gitrepo.FindTracked(t.Context(), path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tracked
}

// indexes are the forms of an index that git can be told to write.
func indexes() map[string][]string {
	return map[string][]string{
		"version 2":  {"update-index", "--index-version", "2"},
		"version 3":  {"update-index", "--skip-worktree", ".gxp/system_context.md"},
		"version 4":  {"update-index", "--index-version", "4"},
		"split":      {"update-index", "--split-index"},
		"not hashed": {"-c", "index.skipHash=true", "update-index", "--force-write-index"},
	}
}

func TestAnEntryOfTheIndexIsFoundInEveryForm(t *testing.T) {
	t.Parallel()
	for form, command := range indexes() {
		dir, _ := sample(t)
		for _, name := range []string{".gxp/zz", ".gxpledger/log.db", "sub/a", "sub/.gxpledger/spool/x", "sub/z", strings.Repeat("long/", 900) + "x"} {
			gitInput(t, dir, "100644 "+strings.TrimSpace(gitInput(t, dir, "x", "hash-object", "-w", "--stdin"))+"\t"+name+"\n", "update-index", "--index-info")
		}
		git(t, dir, command...)
		for path, want := range map[string]string{
			".gxpledger": ".gxpledger/log.db", "sub/.gxpledger": "sub/.gxpledger/spool/x", "other/.gxpledger": "", ".gxpledge": "", "sub/.gxpledger2": "",
		} {
			got := findTracked(t, filepath.Join(dir, filepath.FromSlash(path)))
			if want == "" && got != nil || want != "" && (got == nil || got.Path != want || got.Repository != dir || got.Link) {
				t.Errorf("%s: %s is tracked as %+v, want %q", form, path, got, want)
			}
		}
		if form == "split" {
			write(t, dir, "added", "x")
			git(t, dir, "add", "added")
			if findTracked(t, filepath.Join(dir, ".gxpledger")) == nil || findTracked(t, filepath.Join(dir, "added")) == nil {
				t.Error("an entry of a split index was not found")
			}
		}
	}
}

func TestAnEntryOfHeadIsFoundThoughTheIndexForgotIt(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	write(t, dir, "deep/er/.gxpledger/log.db", "forged")
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "ship")
	git(t, dir, "rm", "-rq", "--cached", "deep", "link")
	if got := findTracked(t, filepath.Join(dir, "deep", "er", ".gxpledger")); got == nil || got.Path != "deep/er/.gxpledger" || got.Link {
		t.Errorf("tracked as %+v", got)
	}
	if got := findTracked(t, filepath.Join(dir, "link")); got == nil || !got.Link {
		t.Errorf("the link is tracked as %+v", got)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "--detach", linked)
	if got := findTracked(t, filepath.Join(linked, "deep", "er", ".gxpledger")); got == nil {
		t.Error("not found from a linked work tree")
	}
	inner := filepath.Join(dir, "deep", "er")
	git(t, inner, "init", "-q")
	if got := findTracked(t, filepath.Join(inner, ".gxpledger")); got == nil || got.Repository != dir {
		t.Errorf("a repository inside hides it: %+v", got)
	}
}

func TestSpellingsThatAFileSystemTakesForTheSame(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{
		".GXPLEDGER", ".gxpLedger", ".gxp\u200cledger", ".gxpledger.", ".gxpledger ", "GXPLED~1", "gxpled~12", ".gxpledger:x", ".\ufeffgxpledger",
	} {
		dir, _ := sample(t)
		git(t, dir, "-c", "core.protectNTFS=false", "-c", "core.protectHFS=false", "update-index", "--add", "--cacheinfo",
			"120000,"+gitInput(t, dir, "/etc", "hash-object", "-w", "--stdin")+",Ü/"+spelling)
		got := findTracked(t, filepath.Join(dir, "u\u0308", ".gxpledger"))
		if got == nil || !got.Link {
			t.Errorf("%q is not found: %+v", spelling, got)
		}
	}
	dir, _ := sample(t)
	for _, other := range []string{"gxpledger", "..gxpledger", ".gxpledger2", ".gxp~1", "u/.gxpledger"} {
		git(t, dir, "update-index", "--add", "--cacheinfo", "100644,"+gitInput(t, dir, "x", "hash-object", "-w", "--stdin")+","+other)
	}
	if got := findTracked(t, filepath.Join(dir, ".gxpledger")); got != nil {
		t.Errorf("taken for the same: %+v", got)
	}
}

func TestARepositoryThatCannotBeReadIsNoAnswer(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	index, err := os.ReadFile(filepath.Join(dir, ".git", "index"))
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{"", "DIRC", string(index[:len(index)/2]), "DIRC\x00\x00\x00\x09\x00\x00\x00\x01" + strings.Repeat("x", 100), string(index[:8]) + "\xff\xff\xff\xff" + string(index[12:])} {
		write(t, dir, ".git/index", broken)
		if got, err := gitrepo.FindTracked(t.Context(), filepath.Join(dir, ".gxpledger")); err == nil {
			t.Errorf("an index of %d bytes that cannot be read: %+v", len(broken), got)
		}
	}
	write(t, dir, ".git/index", string(index))
	write(t, dir, ".git/HEAD", "ref: refs/heads/main\n")
	write(t, dir, ".git/refs/heads/main", strings.Repeat("1", 40)+"\n")
	if got, err := gitrepo.FindTracked(t.Context(), filepath.Join(dir, ".gxpledger")); err == nil {
		t.Errorf("HEAD cannot be read: %+v", got)
	}
	empty := newRepo(t)
	if got := findTracked(t, filepath.Join(empty, ".gxpledger")); got != nil {
		t.Errorf("an empty repository tracks %+v", got)
	}
	if got := findTracked(t, filepath.Join(t.TempDir(), ".gxpledger")); got != nil {
		t.Errorf("no repository tracks %+v", got)
	}
}
