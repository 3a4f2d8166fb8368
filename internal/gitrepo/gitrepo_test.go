package gitrepo_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

func TestACommitIsReadFromTheObjectStoreAlone(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	// Nothing on disk but .git matters.
	if err := os.RemoveAll(filepath.Join(dir, ".gxp")); err != nil {
		t.Fatal(err)
	}
	revision := mustOpen(t, dir, gitrepo.Options{})
	assertTree(t, revision.Files(), dir, id)
	if err := fstest.TestFS(revision.Files(), ".gxp/system_context.md", ".gxp/requirements/REQ-001.md"); err != nil {
		t.Error(err)
	}
}

func TestTheSourceTellsWhatTheCommitClaims(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	source := mustOpen(t, dir, gitrepo.Options{}).Source()
	if source.Ref != "HEAD" || source.Commit != id || source.Tree != git(t, dir, "rev-parse", "HEAD^{tree}") {
		t.Errorf("source names %s %s %s", source.Ref, source.Commit, source.Tree)
	}
	if source.Message != "First commit\n\nWith a body.\n" || source.Worktree || source.Dirty {
		t.Errorf("source is %+v", source)
	}
	if a := source.Author; a.Name != "Ada Author" || a.Email != "ada@example.org" || a.When.Format(time.RFC3339) != "2026-02-03T04:05:06+02:00" {
		t.Errorf("author is %+v", a)
	}
	if c := source.Committer; c.Name != "Carl Committer" || c.When.Format(time.RFC3339) != "2026-02-04T04:05:06-07:30" {
		t.Errorf("committer is %+v", c)
	}
}

func TestEveryShapeOfRepositoryReadsTheSame(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	for i := range 40 { // enough for deltas
		write(t, dir, ".gxp/requirements/REQ-002.md", strings.Repeat("a line that hardly changes\n", 200)+strings.Repeat("x", i))
		id = commit(t, dir, "Change")
	}
	elsewhere := func(t *testing.T) string {
		t.Helper()
		clone := filepath.Join(t.TempDir(), "clone")
		git(t, dir, "clone", "-q", "--no-local", dir, clone)
		return clone
	}
	for name, shape := range map[string]func(t *testing.T) string{
		"loose": elsewhereless(dir),
		"packed": func(t *testing.T) string {
			t.Helper()
			clone := elsewhere(t)
			git(t, clone, "gc", "-q", "--prune=now")
			return clone
		},
		"bare": func(t *testing.T) string {
			t.Helper()
			bare := filepath.Join(t.TempDir(), "bare.git")
			git(t, dir, "clone", "-q", "--bare", "--no-local", dir, bare)
			return bare
		},
		"subfolder": func(*testing.T) string { return filepath.Join(dir, ".gxp", "requirements") },
		"dot git":   func(*testing.T) string { return filepath.Join(dir, ".git") },
		"shallow": func(t *testing.T) string {
			t.Helper()
			clone := filepath.Join(t.TempDir(), "shallow")
			git(t, dir, "clone", "-q", "--depth", "1", "file://"+dir, clone)
			return clone
		},
		"linked work tree": func(t *testing.T) string {
			t.Helper()
			clone := elsewhere(t)
			linked := filepath.Join(t.TempDir(), "linked")
			git(t, clone, "worktree", "add", "-q", "--detach", linked)
			return linked
		},
		"several packs and loose objects": func(t *testing.T) string {
			t.Helper()
			clone := elsewhere(t)
			git(t, clone, "repack", "-q")
			return clone
		},
		"reference deltas": func(t *testing.T) string {
			t.Helper()
			clone := elsewhere(t)
			git(t, clone, "-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f")
			return clone
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			revision := mustOpen(t, shape(t), gitrepo.Options{})
			if revision.Source().Commit != id {
				t.Errorf("commit %s, want %s", revision.Source().Commit, id)
			}
			assertTree(t, revision.Files(), dir, id)
		})
	}
}

func elsewhereless(dir string) func(*testing.T) string {
	return func(*testing.T) string { return dir }
}

func TestARefIsFoundByEachOfItsNames(t *testing.T) {
	t.Parallel()
	dir, first := sample(t)
	git(t, dir, "tag", "v1")
	git(t, dir, "tag", "-a", "signed", "-m", "annotated")
	git(t, dir, "tag", "-a", "twice", "signed", "-m", "a tag of a tag")
	write(t, dir, ".gxp/x.md", "x")
	second := commit(t, dir, "Second")
	git(t, dir, "branch", "topic/deep", first)
	git(t, dir, "update-ref", "refs/remotes/origin/main", first)
	git(t, dir, "update-ref", "refs/notes/own", first)
	for _, packed := range []string{"loose", "packed"} {
		if packed == "packed" {
			git(t, dir, "gc", "-q")
		}
		for ref, want := range map[string]string{
			"": second, "HEAD": second, "main": second, "heads/main": second, "refs/heads/main": second,
			"v1": first, "tags/v1": first, "signed": first, "twice": first, "topic/deep": first, "origin/main": first, "refs/notes/own": first,
			first: first, strings.ToUpper(first): first, first[:7]: first, second[:4]: second,
			git(t, dir, "rev-parse", "signed"): first,
		} {
			revision := mustOpen(t, dir, gitrepo.Options{Ref: ref})
			if revision.Source().Commit != want {
				t.Errorf("%s: %q is %s, want %s", packed, ref, revision.Source().Commit, want)
			}
		}
	}
}

func TestAnUnknownRefIsAnsweredWithItsNeighbours(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	git(t, dir, "tag", "release-1.0")
	git(t, dir, "tag", "blob", git(t, dir, "rev-parse", "HEAD:.gxp/system_context.md"))
	git(t, dir, "branch", "both", "HEAD")
	write(t, dir, "more", "x")
	commit(t, dir, "More")
	git(t, dir, "tag", "both")
	for ref, says := range map[string][]string{
		"release-1.9":             {`"release-1.9"`, "did you mean release-1.0"},
		"mian":                    {"main"},
		"xyzzy":                   {"it has", "blob, both, main"},
		"HEAD~2":                  {"HEAD~2", "has no parent"},
		"HEAD^2":                  {"HEAD^2", "has one parent"},
		"HEAD@{1}":                {"HEAD@{1}", "reflog", "git rev-parse"},
		"HEAD^{/More}":            {"search", "git rev-parse"},
		"HEAD:.gxp":               {"a file", "git rev-parse"},
		"main..both":              {"range", "one commit"},
		"main^{tree}":             {"names no commit", "^{commit}"},
		"main^{tag}":              {"a commit, not a tag"},
		"config":                  {"no revision"},
		"blob":                    {"blob", "not a commit"},
		"both":                    {"refs/tags/both", "refs/heads/both", "in full"},
		"../../config":            {"no revision"},
		"-x":                      {"no revision"},
		"dead":                    {"no revision"},
		"refs/heads/../../../etc": {"no revision"},
	} {
		_, err := open(t, dir, gitrepo.Options{Ref: ref})
		assertProblem(t, err, gitrepo.ErrRef, says...)
	}
	_, err := open(t, dir, gitrepo.Options{Ref: strings.Repeat("0", 39) + "1"})
	assertProblem(t, err, gitrepo.ErrMissing, "git fsck")
}

func TestWhatIsNoRepositorySaysWhatWasLookedFor(t *testing.T) {
	t.Parallel()
	plain := t.TempDir()
	write(t, plain, "file", "x")
	broken := t.TempDir()
	write(t, broken, ".git/HEAD", "ref: refs/heads/main\n")
	dangling := t.TempDir()
	write(t, dangling, ".git", "gitdir: /nowhere/at/all\n")
	garbage := t.TempDir()
	write(t, garbage, ".git", "what is this\n")
	for path, says := range map[string][]string{
		plain:                        {plain, ".git", "bare repository", "--worktree"},
		filepath.Join(plain, "file"): {"is a file", "bundle"},
		filepath.Join(plain, "no"):   {"there is no folder"},
		broken:                       {"HEAD, objects and refs"},
		dangling:                     {"/nowhere/at/all", "git worktree repair"},
		garbage:                      {"gitdir: PATH"},
		"\x00":                       {"cannot be used"},
	} {
		_, err := open(t, path, gitrepo.Options{})
		assertProblem(t, err, gitrepo.ErrNotRepository, says...)
	}
}

func TestAnEmptyRepositorySaysSo(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	_, err := open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrEmpty, dir, "commit something")

	git(t, dir, "commit", "-q", "--allow-empty", "-m", "x")
	git(t, dir, "symbolic-ref", "HEAD", "refs/heads/unborn")
	_, err = open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrRef, "branch without a commit", "--ref", "main")
}

func TestUnknownFormatsAreRefusedNotMisread(t *testing.T) {
	t.Parallel()
	sha256 := t.TempDir()
	git(t, sha256, "init", "-q", "--object-format=sha256")
	_, err := open(t, sha256, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrUnsupported, "SHA-256")

	for key, says := range map[string]string{"refStorage": "reftable", "novelty": "novelty"} {
		dir, _ := sample(t)
		git(t, dir, "config", "core.repositoryformatversion", "1")
		git(t, dir, "config", "extensions."+key, "reftable")
		_, err := open(t, dir, gitrepo.Options{})
		assertProblem(t, err, gitrepo.ErrUnsupported, says)
	}
	dir, _ := sample(t)
	write(t, dir, ".git/config", "[core]\n\trepositoryformatversion = 7\n")
	_, err = open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrUnsupported, "version 7")
	write(t, dir, ".git/config", "[[[\n")
	_, err = open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrUnsupported, "config")
}

func TestTheNameIsTheOriginWithoutCredentials(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"https://user:s3cret@Example.org/team/repo.git":    "https://example.org/team/repo.git",
		"https://example.org/team/repo.git?token=s3cret#x": "https://example.org/team/repo.git",
		"git@example.org:team/repo.git":                    "ssh://example.org/team/repo.git",
		"ssh://git@example.org:2222/repo":                  "ssh://example.org:2222/repo",
	} {
		dir, _ := sample(t)
		git(t, dir, "remote", "add", "origin", origin)
		found, err := gitrepo.Locate(dir, gitrepo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if found.Name() != want || found.URL() != dir {
			t.Errorf("origin %s: name %s at %s, want %s at %s", origin, found.Name(), found.URL(), want, dir)
		}
	}
}

func TestTheNameIsThePathWhereThereIsNoOriginOnTheNetwork(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "--detach", linked)
	git(t, dir, "remote", "add", "origin", "../relative")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, ".gxp"), filepath.Join(dir, ".git"), linked, link} {
		found, err := gitrepo.Locate(path, gitrepo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if found.Name() != dir {
			t.Errorf("name of %s is %s, want %s", path, found.Name(), dir)
		}
	}
}

func TestALongOrForeignMessageIsCutAtARune(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	commit(t, dir, "x"+strings.Repeat("ä", 3000))
	message := mustOpen(t, dir, gitrepo.Options{}).Source().Message
	if message != "x"+strings.Repeat("ä", 2047) { // 4095 bytes: the next rune would be cut in two
		t.Errorf("message has %d bytes and ends in %q", len(message), message[len(message)-4:])
	}
	raw := "tree " + git(t, dir, "rev-parse", "HEAD^{tree}") + "\nauthor J\xf6rg <j> 99999999999999 +9900\ncommitter \xff <c> 5 +0000\nencoding ISO-8859-1\n\nGr\xfc\xdfe\n"
	id := gitInput(t, dir, raw, "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	source := mustOpen(t, dir, gitrepo.Options{Ref: id}).Source()
	if source.Author.Name != "Jörg" || source.Message != "Grüße\n" || source.Committer.Name != "ÿ" {
		t.Errorf("read %q, %q, %q", source.Author.Name, source.Message, source.Committer.Name)
	}
	if _, err := source.Author.When.MarshalJSON(); err != nil {
		t.Errorf("a claimed time that cannot be stored: %v", err)
	}
}

func TestOpenedFilesCannotBeEscapedFrom(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	tree := mustOpen(t, dir, gitrepo.Options{}).Files()
	for _, name := range []string{"../x", "/etc/passwd", ".gxp/../../x", ".gxp/nothing", ".gxp/system_context.md/x", "", "."} {
		if file, err := tree.Open(name); err == nil {
			info, _ := file.Stat()
			if name != "." || !info.IsDir() {
				t.Errorf("opened %q", name)
			}
		}
	}
	if _, err := fs.ReadDir(tree, ".gxp/system_context.md"); err == nil {
		t.Error("listed a file")
	}
}
