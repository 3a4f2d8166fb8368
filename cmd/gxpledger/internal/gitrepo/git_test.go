package gitrepo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/gitrepo"
)

// git runs the real git with settings of its own.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gitInput(t, dir, "", args...)
}

func gitInput(t testing.TB, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Author", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=2026-02-03T04:05:06+02:00",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.org", "GIT_COMMITTER_DATE=2026-02-04T04:05:06-0730")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// newRepo makes a repository on branch main, without a commit.
func newRepo(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q", "-b", "main")
	return dir
}

func write(t testing.TB, dir, path, content string) {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// commit commits everything and returns the commit's id.
func commit(t testing.TB, dir, message string) string {
	t.Helper()
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", message)
	return git(t, dir, "rev-parse", "HEAD")
}

// sample is a repository with one commit and two files.
func sample(t testing.TB) (dir, id string) {
	t.Helper()
	dir = newRepo(t)
	write(t, dir, ".gxp/system_context.md", "context\n")
	write(t, dir, ".gxp/requirements/REQ-001.md", "one\n")
	return dir, commit(t, dir, "First commit\n\nWith a body.")
}

// open locates and opens.
func open(t testing.TB, location string, options gitrepo.Options) (*gitrepo.Revision, error) {
	t.Helper()
	found, err := gitrepo.Locate(location, options)
	if err != nil {
		return nil, err
	}
	revision, err := found.Open(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := revision.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return revision, nil
}

func mustOpen(t testing.TB, location string, options gitrepo.Options) *gitrepo.Revision {
	t.Helper()
	revision, err := open(t, location, options)
	if err != nil {
		t.Fatalf("open %s: %v", location, err)
	}
	return revision
}

// contents reads every file of a tree: path to "mode blob size content".
func contents(t testing.TB, tree fs.FS) map[string]string {
	t.Helper()
	out, err := readAll(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readAll(tree fs.FS) (map[string]string, error) {
	out := make(map[string]string)
	err := fs.WalkDir(tree, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			out[path] = info.Mode().Type().String()
			return nil
		}
		blob, ok := info.Sys().(interface{ BlobID() string })
		if !ok {
			return fmt.Errorf("%s has no blob id", path)
		}
		data, err := fs.ReadFile(tree, path)
		if err == nil && int64(len(data)) != info.Size() {
			err = fmt.Errorf("%s has %d bytes, announced %d", path, len(data), info.Size())
		}
		out[path] = blob.BlobID() + " " + string(data)
		return err
	})
	return out, err
}

// expected is what git itself says that a commit holds.
func expected(t testing.TB, dir, rev string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimRight(git(t, dir, "ls-tree", "-r", "-z", rev), "\x00"), "\x00") {
		head, path, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		fields := strings.Fields(head)
		switch fields[0] {
		case "120000":
			out[path] = fs.ModeSymlink.String()
		case "160000":
			out[path] = fs.ModeIrregular.String()
		default:
			cmd := exec.CommandContext(t.Context(), "git", "cat-file", "blob", fields[2])
			cmd.Dir = dir
			data, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			out[path] = fields[2] + " " + string(data)
		}
	}
	return out
}

// assertTree compares all that a revision shows with what git says.
func assertTree(t testing.TB, tree fs.FS, dir, rev string) {
	t.Helper()
	have, want := contents(t, tree), expected(t, dir, rev)
	for path, content := range want {
		if have[path] != content {
			t.Errorf("%s: read %.80q, git says %.80q", path, have[path], content)
		}
	}
	if len(have) != len(want) {
		t.Errorf("read %d entries, git says %d", len(have), len(want))
	}
}

// assertProblem checks the kind of an error and that its one sentence holds what a user needs.
func assertProblem(t testing.TB, err, kind error, says ...string) {
	t.Helper()
	var problem *gitrepo.Error
	if !errors.As(err, &problem) || !errors.Is(err, kind) {
		t.Fatalf("error %v (%T): want kind %v", err, err, kind)
	}
	if strings.ContainsAny(problem.Text, "\n\r") {
		t.Errorf("error has several lines: %q", problem.Text)
	}
	for _, part := range says {
		if !strings.Contains(problem.Text, part) {
			t.Errorf("error says %q: want it to name %q", problem.Text, part)
		}
	}
}

// list walks a tree without opening a file.
func list(t testing.TB, revision *gitrepo.Revision) {
	t.Helper()
	err := fs.WalkDir(revision.Files(), ".", func(_ string, _ fs.DirEntry, err error) error { return err })
	if err != nil {
		t.Fatal(err)
	}
}
