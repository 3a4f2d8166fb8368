package gitrepo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// asIs makes git show objects as they are, without replacements.
func asIs(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	return git(tb, dir, append([]string{"--no-replace-objects"}, args...)...)
}

// history is a repository with a merge and every kind of ref.
func history(tb testing.TB) string {
	tb.Helper()
	dir, first := sample(tb)
	git(tb, dir, "tag", "light")
	git(tb, dir, "tag", "-a", "v1.0", "-m", "annotated")
	git(tb, dir, "tag", "-a", "twice", "v1.0", "-m", "a tag of a tag")
	git(tb, dir, "switch", "-q", "-c", "topic/deep")
	write(tb, dir, ".gxp/specs/SPEC-001.md", strings.Repeat("a spec that is long enough for a delta\n", 100))
	write(tb, dir, ".gxp/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(dir, ".gxp/run.sh"), 0o700); err != nil {
		tb.Fatal(err)
	}
	commit(tb, dir, "On a branch")
	git(tb, dir, "switch", "-q", "main")
	for i := range 5 {
		write(tb, dir, ".gxp/requirements/REQ-002.md", strings.Repeat("a line\n", 200)+fmt.Sprint(i))
		commit(tb, dir, fmt.Sprint("Change ", i))
	}
	git(tb, dir, "merge", "-q", "--no-ff", "-m", "Merge", "topic/deep")
	git(tb, dir, "branch", "release")
	git(tb, dir, "tag", "-a", "release", "-m", "the same name as a branch, on the same commit")
	git(tb, dir, "branch", "dead")
	git(tb, dir, "branch", "beef", first)
	git(tb, dir, "update-ref", "refs/remotes/origin/main", first)
	git(tb, dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	git(tb, dir, "update-ref", "refs/notes/own", first)
	git(tb, dir, "update-ref", "ORIG_HEAD", first)
	git(tb, dir, "update-ref", "refs/heads/config", first)
	git(tb, dir, "tag", "folder", "HEAD:.gxp")
	git(tb, dir, "tag", "file", "HEAD:.gxp/run.sh")
	return dir
}

// spellings are names of revisions in all forms that are read, and some that name nothing.
func spellings(tb testing.TB, dir string) []string {
	tb.Helper()
	names := []string{
		"HEAD", "@", "main", "heads/main", "refs/heads/main", "light", "tags/light", "refs/tags/light", "v1.0", "twice", "topic/deep", "heads/topic/deep",
		"release", "heads/release", "tags/release", "dead", "beef", "origin", "origin/main", "origin/HEAD", "remotes/origin/main", "refs/notes/own", "notes/own",
		"ORIG_HEAD", "config", "description", "index", "folder", "file", "nothing", "HEAD/x", "main/x", "refs", "refs/heads", "heads", "FETCH_HEAD", "hooks", "",
		"main.lock", "-x", "a b", "main^{commit}^{}", "topic", "v1.0-3-g" + git(tb, dir, "rev-parse", "main")[:8], "x-gdead", "-g" + git(tb, dir, "rev-parse", "main")[:8],
	}
	suffixed := make([]string, 0, len(names))
	for _, name := range []string{"@", "twice", "topic/deep", git(tb, dir, "rev-parse", "main")} {
		for _, suffix := range []string{
			"~", "^", "~0", "^0", "~1", "~2", "^1", "^2", "^3", "~6", "~60", "^^", "^2^", "~1^2", "^2~1", "~1~1", "^{commit}", "^{}", "^{tag}", "^{object}", "^{tree}", "^{blob}",
			"^{}~1", "^{commit}^2", "^{tag}^{}", "^{nothing}", "~99999999999999999999", "~01", "^{commit", "{}", "^{}x", "~x", "^-", "^!", "^@",
		} {
			suffixed = append(suffixed, name+suffix)
		}
	}
	names = append(names, suffixed...)
	for _, rev := range []string{"main", "topic/deep", "v1.0", "twice", "main^{tree}", "file"} {
		id := git(tb, dir, "rev-parse", rev)
		names = append(names, id, strings.ToUpper(id), id[:39], id[:12], id[:8], strings.ToUpper(id[:8]), id[:7]+"~1", id[:10]+"^{commit}", id+"0", id[:3])
	}
	return append(names, strings.Repeat("0", 40), "0000", strings.Repeat("f", 40))
}

// resolved asks git for the commit that each name means; "" for none.
func resolved(tb testing.TB, dir string, names []string) []string {
	tb.Helper()
	var input strings.Builder
	for _, name := range names {
		fmt.Fprintf(&input, "%s^{commit}\n", name)
	}
	lines := strings.Split(gitInput(tb, dir, input.String(), "--no-replace-objects", "cat-file", "--batch-check=%(objectname) %(objecttype)"), "\n")
	var ids []string
	for _, line := range lines {
		id, kind, _ := strings.Cut(line, " ")
		switch {
		case kind == "commit":
			ids = append(ids, id)
		case strings.HasSuffix(line, " missing"), strings.HasSuffix(line, " ambiguous"):
			ids = append(ids, "")
		}
	}
	if len(ids) != len(names) {
		tb.Fatalf("git names %d of %d revisions:\n%s", len(ids), len(names), strings.Join(lines, "\n"))
	}
	return ids
}

// sameAsGit compares every name of a revision, and what each commit says and holds, with git.
func sameAsGit(t *testing.T, dir string) {
	t.Helper()
	names := spellings(t, dir)
	seen := make(map[string]bool)
	for i, want := range resolved(t, dir, names) {
		if names[i] == "" {
			continue // no name was given: HEAD is read
		}
		revision, err := open(t, dir, gitrepo.Options{Ref: names[i]})
		if err != nil {
			problem, damaged := (*gitrepo.Error)(nil), errors.Is(err, gitrepo.ErrCorrupt) && !strings.Contains(err.Error(), "AppleDouble.idx")
			if want != "" || !errors.As(err, &problem) || damaged {
				t.Errorf("%q is %q to git; we say: %v", names[i], want, err)
			}
			continue
		}
		if revision.Source().Commit != want {
			t.Errorf("%q is %s, git says %q", names[i], revision.Source().Commit, want)
			continue
		}
		if !seen[want] {
			seen[want] = true
			sameCommit(t, dir, revision)
			sameFiles(t, dir, revision)
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %d commits were compared", len(seen))
	}
}

// sameCommit compares who made a commit, when, and what for.
func sameCommit(tb testing.TB, dir string, revision *gitrepo.Revision) {
	tb.Helper()
	source := revision.Source()
	output := asIs(tb, dir, "log", "-1", "--encoding=UTF-8", "--date=raw", "--format=%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%T%x00%B", source.Commit)
	when := func(at time.Time) string {
		_, offset := at.Zone()
		sign := '+'
		if offset < 0 {
			sign, offset = '-', -offset
		}
		return fmt.Sprintf("%d %c%02d%02d", at.Unix(), sign, offset/3600, offset%3600/60)
	}
	have := strings.Join([]string{
		source.Author.Name, source.Author.Email, when(source.Author.When), source.Committer.Name, source.Committer.Email, when(source.Committer.When), source.Tree,
		strings.TrimSpace(source.Message),
	}, "\x00")
	if have != output {
		tb.Errorf("commit %s says\n%q, git says\n%q", source.Commit, have, output)
	}
}

// sameFiles compares mode, blob, path and bytes of everything below .gxp.
func sameFiles(tb testing.TB, dir string, revision *gitrepo.Revision) {
	tb.Helper()
	want := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimRight(asIs(tb, dir, "ls-tree", "-r", "-z", revision.Source().Commit, "--", ".gxp"), "\x00"), "\x00") {
		head, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		want[name] = fields[0] + " " + fields[2]
	}
	have := make(map[string]string)
	err := fs.WalkDir(revision.Files(), ".gxp", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.Type() == fs.ModeDir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		mode := map[fs.FileMode]string{0o444: "100644", 0o555: "100755"}[info.Mode()]
		blob, ok := info.Sys().(interface{ BlobID() string })
		if !ok || mode == "" {
			return fmt.Errorf("%s has mode %s", name, info.Mode())
		}
		data, err := fs.ReadFile(revision.Files(), name)
		if hashed := plumbing.ComputeHash(plumbing.BlobObject, data).String(); hashed != blob.BlobID() {
			return fmt.Errorf("%s has the bytes of %s, not of %s", name, hashed, blob.BlobID())
		}
		have[name] = mode + " " + blob.BlobID()
		return err
	})
	if err != nil {
		tb.Error(err)
	}
	for name, entry := range want {
		if have[name] != entry {
			tb.Errorf("%s is %q, git says %q", name, have[name], entry)
		}
	}
	if len(have) != len(want) {
		tb.Errorf("%d files, git says %d", len(have), len(want))
	}
}

// renamePacks gives packs the names that ones made by other means have.
func renamePacks(tb testing.TB, dir string) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/pack-*"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no packs: %v", err)
	}
	for _, file := range files {
		if err := os.Rename(file, filepath.Join(filepath.Dir(file), "any name"+filepath.Ext(file))); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestEveryRevisionIsWhatGitSays(t *testing.T) {
	t.Parallel()
	template := history(t)
	for name, shape := range map[string]func(t *testing.T, dir string) string{
		"loose":           func(_ *testing.T, dir string) string { return dir },
		"git gc":          func(t *testing.T, dir string) string { t.Helper(); git(t, dir, "gc", "-q", "--prune=now"); return dir },
		"git maintenance": maintained,
		"pack index version 1": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "-c", "pack.indexVersion=1", "repack", "-q", "-a", "-d", "-f")
			return dir
		},
		"packs of any name": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "repack", "-q", "-a", "-d", "-f")
			renamePacks(t, dir)
			return dir
		},
		"multi-pack-index": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "repack", "-q")
			write(t, dir, "more", "more")
			git(t, dir, "add", "-A")
			git(t, dir, "repack", "-q", "-d")
			git(t, dir, "multi-pack-index", "write")
			git(t, dir, "commit-graph", "write", "--reachable")
			return dir
		},
		"cruft and bitmaps": func(t *testing.T, dir string) string {
			t.Helper()
			gitInput(t, dir, "unreachable", "hash-object", "-w", "--stdin")
			git(t, dir, "repack", "-q", "--cruft", "-d", "-b")
			return dir
		},
		"a damaged pack beside a whole one": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "repack", "-q", "-a", "-d")
			write(t, dir, ".git/objects/pack/AppleDouble.idx", "what macOS leaves on other file systems")
			write(t, dir, ".git/objects/pack/AppleDouble.pack", "what macOS leaves on other file systems")
			write(t, dir, ".git/objects/pack/pack-2.idx", "no pack beside it")
			return dir
		},
		"replacements and grafts": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "replace", git(t, dir, "rev-parse", "HEAD:.gxp/system_context.md"), git(t, dir, "rev-parse", "HEAD:.gxp/run.sh"))
			git(t, dir, "replace", "HEAD", "HEAD~3")
			return dir
		},
		"linked work tree": func(t *testing.T, dir string) string {
			t.Helper()
			linked := filepath.Join(t.TempDir(), "linked")
			git(t, dir, "worktree", "add", "-q", "--detach", linked, "topic/deep")
			git(t, linked, "update-ref", "refs/worktree/own", "HEAD~1")
			git(t, linked, "update-ref", "ORIG_HEAD", "HEAD~1")
			return linked
		},
		"separate git dir": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "init", "-q", "--separate-git-dir", filepath.Join(t.TempDir(), "elsewhere"))
			return dir
		},
		"a HEAD that is a symbolic link": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "pack-refs", "--all")
			remove(t, dir, ".git/HEAD")
			link(t, dir, ".git/HEAD", "refs/heads/main")
			return dir
		},
		"settings for each work tree": func(t *testing.T, dir string) string {
			t.Helper()
			git(t, dir, "config", "extensions.worktreeConfig", "true")
			git(t, dir, "config", "--worktree", "core.sparseCheckout", "true")
			return dir
		},
		"refs in every form": oddRefs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
				t.Fatal(err)
			}
			sameAsGit(t, shape(t, dir))
		})
	}
}

func maintained(t *testing.T, dir string) string {
	t.Helper()
	git(t, dir, "maintenance", "run", "--task=loose-objects")
	git(t, dir, "maintenance", "run", "--task=loose-objects") // removes what the first has packed
	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/loose-*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("git maintenance made no pack loose-*.pack: %v", err)
	}
	return dir
}

// oddRefs writes refs as other programs and old versions of git have.
func oddRefs(t *testing.T, dir string) string {
	t.Helper()
	main, first := git(t, dir, "rev-parse", "main"), git(t, dir, "rev-parse", "light")
	git(t, dir, "pack-refs", "--all")
	packed, err := os.ReadFile(filepath.Join(dir, ".git/packed-refs"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(packed), "\n")
	write(t, dir, ".git/packed-refs", rest) // without the header: neither sorted nor peeled
	write(t, dir, ".git/refs/heads/main", main+" \t and what is behind a space\n")
	write(t, dir, ".git/refs/heads/topic/deep", git(t, dir, "rev-parse", "topic/deep"))
	write(t, dir, ".git/refs/tags/light", strings.ToUpper(first)+"\r\n")
	write(t, dir, ".git/refs/remotes/origin/HEAD", "ref:\t refs/remotes/origin/main  \n")
	write(t, dir, ".git/FETCH_HEAD", first+"\t\tbranch 'main' of ../x\n"+main+"\tnot-for-merge\tbranch 'y' of ../x\n")
	write(t, dir, ".git/refs/heads/nothing/here.lock", main)
	return dir
}

func TestABrokenRefIsAnError(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "short": "deadbeef\n", "words": "what is this\n", "outside": "ref: ../../config\n", "glued": strings.Repeat("1", 41)} {
		dir, _ := sample(t)
		write(t, dir, ".git/refs/heads/broken", text)
		_, err := open(t, dir, gitrepo.Options{Ref: "broken"})
		t.Log(name)
		assertProblem(t, err, gitrepo.ErrCorrupt, "refs/heads/broken", "git update-ref")
		mustOpen(t, dir, gitrepo.Options{Ref: "main"})
	}
	dir, _ := sample(t)
	git(t, dir, "pack-refs", "--all")
	packed, err := os.ReadFile(filepath.Join(dir, ".git/packed-refs"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".git/packed-refs", string(packed)+"what is this\n")
	mustOpen(t, dir, gitrepo.Options{Ref: "main"})
	_, err = open(t, dir, gitrepo.Options{Ref: "mian"})
	assertProblem(t, err, gitrepo.ErrCorrupt, "line ", "packed-refs")
}

func TestAnAbbreviationOfSeveralCommitsNamesThem(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	byStart := make(map[string][]string)
	var raw strings.Builder
	raw.WriteString("reset refs/heads/many\n")
	for i := range 700 { // enough for two that begin alike
		fmt.Fprintf(&raw, "commit refs/heads/many\ncommitter C <c@d> %d +0000\ndata 1\nm\n", i)
	}
	gitInput(t, dir, raw.String(), "fast-import", "--quiet", "--force")
	for id := range strings.FieldsSeq(git(t, dir, "rev-list", "many")) {
		byStart[id[:4]] = append(byStart[id[:4]], id)
	}
	for start, ids := range byStart {
		revision, err := open(t, dir, gitrepo.Options{Ref: start})
		if len(ids) == 1 {
			if err != nil || revision.Source().Commit != ids[0] {
				t.Errorf("%s: %v", start, err)
			}
			continue
		}
		assertProblem(t, err, gitrepo.ErrRef, append(ids, "give more digits")...)
		return
	}
	t.Error("no two of 700 commits begin alike")
}
