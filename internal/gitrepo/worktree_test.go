package gitrepo_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

func TestAWorkTreeIsReadAsItIsOnDisk(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	revision := mustOpen(t, dir, gitrepo.Options{Worktree: true})
	if s := revision.Source(); !s.Worktree || s.Dirty || s.Commit != id || s.Author == nil {
		t.Errorf("clean work tree: %+v %q", s, revision.Source().DirtyUnknown)
	}
	assertTree(t, revision.Files(), dir, id)

	write(t, dir, "outside.txt", "not ours")
	if s := mustOpen(t, dir, gitrepo.Options{Worktree: true}).Source(); s.Dirty {
		t.Error("a file outside of .gxp makes the scan dirty")
	}
	for what, change := range map[string]func(dir string){
		"changed": func(dir string) { write(t, dir, ".gxp/system_context.md", "CONTEXT\n") },
		"added":   func(dir string) { write(t, dir, ".gxp/new.md", "new") },
		"removed": func(dir string) { remove(t, dir, ".gxp/system_context.md") },
		"a link": func(dir string) {
			remove(t, dir, ".gxp/system_context.md")
			link(t, dir, ".gxp/system_context.md", "x")
		},
		"all gone": func(dir string) { remove(t, dir, ".gxp") },
	} {
		dir, _ := sample(t)
		change(dir)
		revision := mustOpen(t, dir, gitrepo.Options{Worktree: true})
		if !revision.Source().Dirty {
			t.Errorf("%s: not dirty", what)
		}
		contents(t, revision.Files())
	}
}

func remove(tb testing.TB, dir, path string) {
	tb.Helper()
	if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
		tb.Fatal(err)
	}
}

func link(tb testing.TB, dir, path, target string) {
	tb.Helper()
	if err := os.Symlink(target, filepath.Join(dir, path)); err != nil {
		tb.Fatal(err)
	}
}

func TestAWorkTreeNeverLeadsOutside(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	secret := t.TempDir()
	write(t, secret, "key", "secret")
	link(t, dir, ".gxp/out", secret)
	link(t, dir, ".gxp/out.md", filepath.Join(secret, "key"))
	link(t, dir, ".gxp/inside.md", "system_context.md")
	makePipe(t, filepath.Join(dir, ".gxp", "pipe"))
	write(t, dir, ".gxp/module/.git", "gitdir: ../x")
	write(t, dir, ".gxp/module/file", "x")
	files := mustOpen(t, dir, gitrepo.Options{Worktree: true}).Files()
	for name, want := range map[string]fs.FileMode{
		".gxp/out": fs.ModeSymlink, ".gxp/out.md": fs.ModeSymlink, ".gxp/inside.md": fs.ModeSymlink, ".gxp/module": fs.ModeDir | fs.ModeIrregular,
	} {
		info, err := fs.Stat(files, name)
		if err != nil || info.Mode().Type() != want {
			t.Errorf("%s is %v, %v; want %s", name, info, err, want)
		}
	}
	for _, name := range []string{".gxp/out", ".gxp/out/key", ".gxp/out.md", ".gxp/inside.md", ".gxp/module/file", ".gxp/pipe", "../x"} {
		if data, err := fs.ReadFile(files, name); err == nil {
			t.Errorf("%s was read: %q", name, data)
		}
	}

	whole := newRepo(t)
	link(t, whole, ".gxp", secret)
	if _, err := fs.ReadFile(mustOpen(t, whole, gitrepo.Options{Worktree: true}).Files(), ".gxp/key"); err == nil {
		t.Error("a linked .gxp was entered")
	}
}

func TestAFileThatChangesMeanwhileIsAnError(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(dir string){
		"same size": func(dir string) { write(t, dir, ".gxp/system_context.md", "CONTEXT\n") },
		"longer":    func(dir string) { write(t, dir, ".gxp/system_context.md", "context\nand more") },
		"shorter":   func(dir string) { write(t, dir, ".gxp/system_context.md", "") },
		"gone":      func(dir string) { remove(t, dir, ".gxp/system_context.md") },
		"a link": func(dir string) {
			remove(t, dir, ".gxp/system_context.md")
			link(t, dir, ".gxp/system_context.md", "requirements/REQ-001.md")
		},
	} {
		dir, _ := sample(t)
		files := mustOpen(t, dir, gitrepo.Options{Worktree: true}).Files()
		change(dir)
		_, err := fs.ReadFile(files, ".gxp/system_context.md")
		t.Log(what)
		assertProblem(t, err, gitrepo.ErrChanged, ".gxp/system_context.md", "scan again")
	}
}

func TestAWorkTreeNeedsNoCommitAndNoRepository(t *testing.T) {
	t.Parallel()
	plain, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, plain, ".gxp/system_context.md", "context")
	unborn := newRepo(t)
	write(t, unborn, ".gxp/system_context.md", "context")
	for _, dir := range []string{plain, unborn} {
		revision := mustOpen(t, dir, gitrepo.Options{Worktree: true})
		if s := revision.Source(); !s.Worktree || !s.Dirty || s.Commit != "" || s.Author != nil {
			t.Errorf("source is %+v", s)
		}
		if data, err := fs.ReadFile(revision.Files(), ".gxp/system_context.md"); err != nil || string(data) != "context" {
			t.Errorf("read %q, %v", data, err)
		}
	}
}

func TestAWorkTreeHasToBeThere(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	bare := filepath.Join(t.TempDir(), "bare")
	git(t, dir, "clone", "-q", "--bare", dir, bare)
	_, err := open(t, bare, gitrepo.Options{Worktree: true})
	assertProblem(t, err, gitrepo.ErrRef, "no work tree")
	_, err = open(t, dir, gitrepo.Options{Worktree: true, Ref: "main"})
	assertProblem(t, err, gitrepo.ErrRef, "--ref", "--worktree")
}

func TestTheWorkTreeIsWhereTheConfigurationSaysOrNotRead(t *testing.T) {
	t.Parallel()
	bare, id := sample(t)
	git(t, bare, "config", "core.bare", "true")
	_, err := open(t, bare, gitrepo.Options{Worktree: true})
	assertProblem(t, err, gitrepo.ErrRef, "no work tree")
	if revision := mustOpen(t, bare, gitrepo.Options{}); revision.Source().Commit != id {
		t.Errorf("commit %s", revision.Source().Commit)
	}

	away, id := sample(t)
	secret := t.TempDir()
	write(t, secret, ".gxp/key", "secret")
	git(t, away, "config", "core.worktree", secret)
	_, err = open(t, away, gitrepo.Options{Worktree: true})
	assertProblem(t, err, gitrepo.ErrRef, secret, "core.worktree", "not followed")
	if revision := mustOpen(t, away, gitrepo.Options{}); revision.Source().Commit != id {
		t.Errorf("commit %s", revision.Source().Commit)
	}

	itself, _ := sample(t)
	git(t, itself, "config", "core.worktree", "..")
	mustOpen(t, itself, gitrepo.Options{Worktree: true})
}
