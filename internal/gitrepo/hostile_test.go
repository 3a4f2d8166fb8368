package gitrepo_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// tree writes a tree object as it is given: "MODE NAME\x00ID".
func tree(tb testing.TB, dir string, entries ...string) string {
	tb.Helper()
	return gitInput(tb, dir, strings.Join(entries, ""), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
}

func entry(tb testing.TB, mode, name, id string) string {
	tb.Helper()
	var raw []byte
	if _, err := fmt.Sscanf(id, "%x", &raw); err != nil {
		tb.Fatal(err)
	}
	return mode + " " + name + "\x00" + string(raw)
}

func commitTree(tb testing.TB, dir, tree string) string {
	tb.Helper()
	return git(tb, dir, "commit-tree", tree, "-m", "made by hand")
}

func TestLinksAndSubmodulesAreEntriesAndNothingMore(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	write(t, dir, ".gxp/real.md", "real\n")
	for link, target := range map[string]string{".gxp/out": "/etc/passwd", ".gxp/in": "real.md", ".gxp/up": "../../../etc", "folder": ".gxp"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", "-A")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",.gxp/module")
	git(t, dir, "commit", "-q", "-m", "links")
	revision := mustOpen(t, dir, gitrepo.Options{})
	assertTree(t, revision.Files(), dir, "HEAD")
	for _, name := range []string{".gxp/out", ".gxp/in", ".gxp/up", ".gxp/up/passwd", ".gxp/module", "folder/real.md"} {
		if _, err := fs.ReadFile(revision.Files(), name); err == nil {
			t.Errorf("%s was followed", name)
		}
	}
}

func TestNamesThatNoFolderCanHoldAreSeenAndNeverOpened(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	blob := gitInput(t, dir, "hostile", "hash-object", "-w", "--stdin")
	inner := tree(t, dir, entry(t, "100644", "passwd", blob))
	id := commitTree(t, dir, tree(t, dir,
		entry(t, "100644", ".", blob), entry(t, "40000", "..", inner), entry(t, "40000", ".git", inner), entry(t, "100644", "a/b", blob),
		entry(t, "100644", "bad\xff", blob), entry(t, "100644", "back\\slash", blob), entry(t, "100644", "line\nfeed", blob),
		entry(t, "100644", "\u202etxt", blob)))
	files := mustOpen(t, dir, gitrepo.Options{Ref: id}).Files()
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	irregular := 0
	for _, e := range entries {
		if e.Type() == fs.ModeIrregular {
			irregular++
		}
	}
	if len(entries) != 8 || irregular != 4 {
		t.Errorf("%d entries, %d of them irregular; want 8 and the 4 that no path can name", len(entries), irregular)
	}
	for _, name := range []string{".", "..", "../passwd", "a/b", "bad\xff"} {
		if data, err := fs.ReadFile(files, name); err == nil {
			t.Errorf("%q was opened: %q", name, data)
		}
	}
	if data, err := fs.ReadFile(files, "line\nfeed"); err != nil || string(data) != "hostile" {
		t.Errorf("a legal name could not be read: %v", err)
	}
}

func TestATreeThatListsANameTwiceIsRefused(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	blob := gitInput(t, dir, "x", "hash-object", "-w", "--stdin")
	id := commitTree(t, dir, tree(t, dir, entry(t, "100644", "twin", blob), entry(t, "100644", "twin", blob)))
	_, err := open(t, dir, gitrepo.Options{Ref: id})
	assertProblem(t, err, gitrepo.ErrCorrupt, "twin", "twice")
}

func TestAnObjectThatIsNotItsIDIsRefused(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	id := git(t, dir, "rev-parse", "HEAD:.gxp/system_context.md")
	forge(t, dir, id, []byte("blob 7\x00forged!"))
	files := mustOpen(t, dir, gitrepo.Options{}).Files()
	_, err := fs.ReadFile(files, ".gxp/system_context.md")
	assertProblem(t, err, gitrepo.ErrCorrupt, id, "git fsck")
	if _, err := fs.ReadFile(files, ".gxp/requirements/REQ-001.md"); err != nil {
		t.Errorf("a sound neighbour cannot be read: %v", err)
	}
}

// forge replaces a loose object.
func forge(tb testing.TB, dir, id string, raw []byte) {
	tb.Helper()
	var deflated bytes.Buffer
	w := zlib.NewWriter(&deflated)
	if _, err := w.Write(raw); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, ".git", "objects", id[:2], id[2:])
	if err := os.Remove(path); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, deflated.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestDamagedLooseObjectsAreErrors(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"no header": "nothing here to see, move along please", "no size": "blob \x00abc", "negative": "blob -1\x00abc",
		"unknown type": "blub 3\x00abc", "shorter than said": "blob 10\x00abc", "longer than said": "blob 1\x00abc", "a tree": "tree 0\x00",
		"endless header": strings.Repeat("a", 1<<20), "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := sample(t)
			id := git(t, dir, "rev-parse", "HEAD:.gxp/system_context.md")
			forge(t, dir, id, []byte(raw))
			_, err := fs.ReadFile(mustOpen(t, dir, gitrepo.Options{}).Files(), ".gxp/system_context.md")
			assertProblem(t, err, gitrepo.ErrCorrupt)
		})
	}
}

func TestADamagedPackIsAnError(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	git(t, dir, "gc", "-q")
	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range packs {
		for _, damage := range []func([]byte) []byte{
			func(b []byte) []byte { return b[:len(b)/2] },
			func(b []byte) []byte { return nil },
			func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) },
		} {
			valid, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			replace(t, path, damage(valid))
			revision, err := open(t, dir, gitrepo.Options{})
			if err == nil {
				_, err = readAll(revision.Files())
			}
			if strings.HasSuffix(path, ".idx") || strings.HasSuffix(path, ".pack") {
				assertProblem(t, err, gitrepo.ErrCorrupt)
			}
			replace(t, path, valid)
		}
	}
}

func replace(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.Chmod(path, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestAHugeBlobIsStreamedAndNeverInMemory(t *testing.T) { //nolint:paralleltest // counts what is allocated
	const size = 300 << 20
	dir := newRepo(t)
	file, err := os.Create(filepath.Join(dir, "huge.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil { // zeros: a bomb of 300 kB
		t.Fatal(err)
	}
	commit(t, dir, "huge")
	for _, packed := range []bool{false, true} {
		if packed {
			git(t, dir, "-c", "core.bigFileThreshold=1m", "gc", "-q", "--prune=now")
		}
		files := mustOpen(t, dir, gitrepo.Options{}).Files()
		info, err := fs.Stat(files, "huge.bin")
		if err != nil || info.Size() != size {
			t.Fatalf("stat: %v, %v", info, err)
		}
		if allocated := allocatedBy(t, files, "huge.bin"); allocated > 16<<20 {
			t.Errorf("packed %t: reading %d bytes allocated %d", packed, size, allocated)
		}
	}
}

// allocatedBy reads a file to its end and returns how many bytes that allocated.
func allocatedBy(t *testing.T, files fs.FS, name string) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	content, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		t.Error(err)
	}
	if err := content.Close(); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestADeltaAgainstAHugeBaseIsRefused(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	// git itself makes the pack: a base of 80 MiB of zeros and a small change to it.
	base := make([]byte, 80<<20)
	if err := os.WriteFile(filepath.Join(dir, "a"), base, 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "base")
	copy(base[40<<20:], "changed")
	if err := os.WriteFile(filepath.Join(dir, "a"), base[:len(base)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "change")
	git(t, dir, "-c", "core.bigFileThreshold=1g", "-c", "pack.window=10", "repack", "-q", "-a", "-d", "-f")
	for _, rev := range []string{"HEAD", git(t, dir, "rev-parse", "HEAD~1")} {
		files := mustOpen(t, dir, gitrepo.Options{Ref: rev}).Files()
		if _, err := fs.Stat(files, "a"); err != nil {
			assertProblem(t, err, gitrepo.ErrTooLarge, "git repack")
			return
		}
	}
	t.Error("neither blob is a delta against a base of 80 MiB")
}

func TestAlternatesAreNotFollowed(t *testing.T) {
	t.Parallel()
	private, _ := sample(t)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, private, "clone", "-q", "--shared", private, dir)
	_, err := open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrMissing, "alternates", "git repack -a -d")
}

func TestAnObjectStoreElsewhereIsNotFollowed(t *testing.T) {
	t.Parallel()
	private, _ := sample(t)
	dir, _ := sample(t)
	objects := filepath.Join(dir, ".git", "objects")
	if err := errors.Join(os.RemoveAll(objects), os.Symlink(filepath.Join(private, ".git", "objects"), objects)); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir, gitrepo.Options{})
	if err == nil {
		t.Fatal("objects were read through a symbolic link")
	}
	assertProblem(t, err, gitrepo.ErrCorrupt, "escapes")
}

func TestAMissingObjectSaysWhy(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	id := git(t, dir, "rev-parse", "HEAD:.gxp/system_context.md")
	if err := os.Remove(filepath.Join(dir, ".git", "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	_, err := fs.ReadFile(mustOpen(t, dir, gitrepo.Options{}).Files(), ".gxp/system_context.md")
	assertProblem(t, err, gitrepo.ErrMissing, id, "git fsck")

	git(t, dir, "config", "core.repositoryformatversion", "1")
	git(t, dir, "config", "extensions.partialClone", "origin")
	_, err = open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrMissing, "1 of the 2 files", id, ".gxp/system_context.md", "partial clone", "git fetch --refetch")
}

func TestPipesInARepositoryDoNotBlock(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	head := filepath.Join(dir, ".git", "HEAD")
	if err := os.Remove(head); err != nil {
		t.Fatal(err)
	}
	makePipe(t, head)
	if _, err := open(t, dir, gitrepo.Options{}); err == nil {
		t.Error("a pipe was read as HEAD")
	}
	makePipe(t, filepath.Join(t.TempDir(), ".git"))
}

// TestNothingInARepositoryRuns plants a canary wherever git would run something, and reads the repository in every way.
func TestNothingInARepositoryRuns(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	canary := filepath.Join(t.TempDir(), "canary")
	script := "#!/bin/sh\necho \"$0\" >> " + canary + "\n"
	run := filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(run, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []string{"post-checkout", "pre-commit", "post-merge", "reference-transaction", "fsmonitor-watchman", "post-index-change"} {
		write(t, dir, ".git/hooks/"+hook, script)
		if err := os.Chmod(filepath.Join(dir, ".git/hooks", hook), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, ".gitattributes", "* filter=canary diff=canary\n")
	write(t, dir, ".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c touch% "+canary+"\n\tupdate = !"+run+"\n")
	git(t, dir, "-c", "core.hooksPath=/dev/null", "add", "-A")
	git(t, dir, "-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "canary")
	for key, value := range map[string]string{
		"core.fsmonitor": run, "core.sshCommand": run, "core.pager": run, "core.editor": run, "core.hooksPath": filepath.Join(dir, ".git/hooks"),
		"filter.canary.smudge": run, "filter.canary.clean": run, "filter.canary.process": run, "diff.canary.textconv": run, "diff.external": run,
		"credential.helper": "!" + run, "uploadpack.packObjectsHook": run, "alias.status": "!" + run, "gpg.program": run,
		"include.path": run, "extensions.partialClone": "origin", "remote.origin.url": "ext::" + run, "remote.origin.uploadpack": run,
	} {
		write(t, dir, ".git/config.tmp", "")
		git(t, t.TempDir(), "config", "--file", filepath.Join(dir, ".git/config"), key, value)
	}
	before := listing(t, filepath.Join(dir, ".git"))
	for _, options := range []gitrepo.Options{{}, {Worktree: true}, {AllowFileURL: true}} {
		location := dir
		if options.AllowFileURL {
			location = "file://" + dir
		}
		contents(t, mustOpen(t, location, options).Files())
	}
	if output, err := os.ReadFile(canary); err == nil {
		t.Errorf("the repository ran %s", output)
	}
	if after := listing(t, filepath.Join(dir, ".git")); after != before {
		t.Errorf("reading changed the repository:\n%s\n%s", before, after)
	}
}

// listing is every file below dir with its size and time.
func listing(tb testing.TB, dir string) string {
	tb.Helper()
	var out strings.Builder
	err := filepath.Walk(dir, func(path string, info fs.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintf(&out, "%s %d %s\n", path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out.String()
}
