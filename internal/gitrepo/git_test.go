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

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// git runs the real git with settings of its own.
func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	return gitInput(tb, dir, "", args...)
}

func gitInput(tb testing.TB, dir, input string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Author", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=2026-02-03T04:05:06+02:00",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.org", "GIT_COMMITTER_DATE=2026-02-04T04:05:06-0730")
	var output strings.Builder
	cmd.Stderr = &output
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, out, &output)
	}
	return strings.TrimSpace(string(out))
}

// newRepo makes a repository on branch main, without a commit.
func newRepo(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	git(tb, dir, "init", "-q", "-b", "main")
	return dir
}

func write(tb testing.TB, dir, path, content string) {
	tb.Helper()
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// commit commits everything and returns the commit's id.
func commit(tb testing.TB, dir, message string) string {
	tb.Helper()
	git(tb, dir, "add", "-A")
	git(tb, dir, "commit", "-q", "--allow-empty", "-m", message)
	return git(tb, dir, "rev-parse", "HEAD")
}

// sample is a repository with one commit and two files.
func sample(tb testing.TB) (dir, id string) {
	tb.Helper()
	dir = newRepo(tb)
	write(tb, dir, ".gxp/system_context.md", "context\n")
	write(tb, dir, ".gxp/requirements/REQ-001.md", "one\n")
	return dir, commit(tb, dir, "First commit\n\nWith a body.")
}

// open locates and opens.
func open(tb testing.TB, location string, options gitrepo.Options) (*gitrepo.Revision, error) {
	tb.Helper()
	found, err := gitrepo.Locate(location, options)
	if err != nil {
		return nil, err
	}
	revision, err := found.Open(tb.Context())
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() {
		if err := revision.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return revision, nil
}

func mustOpen(tb testing.TB, location string, options gitrepo.Options) *gitrepo.Revision {
	tb.Helper()
	revision, err := open(tb, location, options)
	if err != nil {
		tb.Fatalf("open %s: %v", location, err)
	}
	return revision
}

// contents reads every file of a tree: path to "mode blob size content".
func contents(tb testing.TB, tree fs.FS) map[string]string {
	tb.Helper()
	out, err := readAll(tree)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func readAll(tree fs.FS) (map[string]string, error) {
	out := make(map[string]string)
	err := fs.WalkDir(tree, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type() == fs.ModeDir {
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
func expected(tb testing.TB, dir, rev string) map[string]string {
	tb.Helper()
	out := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimRight(git(tb, dir, "ls-tree", "-r", "-z", rev), "\x00"), "\x00") {
		head, path, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		fields := strings.Fields(head)
		switch fields[0] {
		case "120000":
			out[path] = fs.ModeSymlink.String()
		case "160000":
			out[path] = (fs.ModeDir | fs.ModeIrregular).String()
		default:
			cmd := exec.CommandContext(tb.Context(), "git", "cat-file", "blob", fields[2])
			cmd.Dir = dir
			data, err := cmd.Output()
			if err != nil {
				tb.Fatal(err)
			}
			out[path] = fields[2] + " " + string(data)
		}
	}
	return out
}

// assertTree compares all that a revision shows with what git says.
func assertTree(tb testing.TB, tree fs.FS, dir, rev string) {
	tb.Helper()
	have, want := contents(tb, tree), expected(tb, dir, rev)
	for path, content := range want {
		if have[path] != content {
			tb.Errorf("%s: read %.80q, git says %.80q", path, have[path], content)
		}
	}
	if len(have) != len(want) {
		tb.Errorf("read %d entries, git says %d", len(have), len(want))
	}
}

// assertProblem checks the kind of an error and that its one sentence holds what a user needs.
func assertProblem(tb testing.TB, err, kind error, says ...string) {
	tb.Helper()
	var problem *gitrepo.Error
	if !errors.As(err, &problem) || !errors.Is(err, kind) {
		tb.Fatalf("error %v (%T): want kind %v", err, err, kind)
	}
	if strings.ContainsAny(problem.Text, "\n\r") {
		tb.Errorf("error has several lines: %q", problem.Text)
	}
	for _, part := range says {
		if !strings.Contains(problem.Text, part) {
			tb.Errorf("error says %q: want it to name %q", problem.Text, part)
		}
	}
}

// list walks a tree without opening a file.
func list(tb testing.TB, revision *gitrepo.Revision) {
	tb.Helper()
	err := fs.WalkDir(revision.Files(), ".", func(_ string, _ fs.DirEntry, err error) error { return err })
	if err != nil {
		tb.Fatal(err)
	}
}
