package rosie_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// corpus returns the directory of the real input, or skips the test and says so.
func corpus(t *testing.T) string {
	t.Helper()
	dir, given := os.LookupEnv("GXPLEDGER_CORPUS")
	if !given {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "rosie-middleware-gxp.bundle")); err != nil {
		if given {
			t.Fatalf("THE CORPUS IS NOT THERE: GXPLEDGER_CORPUS=%s: %v", dir, err)
		}
		t.Skipf("THE CORPUS IS NOT THERE, REAL INPUT IS NOT TESTED: set GXPLEDGER_CORPUS to its directory (looked in %s)", dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), "git", args...)
	run.Dir = dir
	run.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// revisions checks every tag of the corpus out and returns the directories by tag.
func revisions(t *testing.T) map[string]string {
	t.Helper()
	source := corpus(t)
	base := t.TempDir()
	git(t, base, "clone", "--quiet", "--bare", filepath.Join(source, "rosie-middleware-gxp.bundle"), "bare")
	oracles, err := filepath.Glob(filepath.Join(source, "oracle-*.json"))
	if err != nil || len(oracles) != 7 {
		t.Fatalf("the corpus has %d oracles (%v), want 7", len(oracles), err)
	}
	dirs := make(map[string]string)
	for _, file := range oracles {
		tag := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "oracle-"), ".json")
		dirs[tag] = filepath.Join(base, tag)
		git(t, filepath.Join(base, "bare"), "-c", "core.autocrlf=false", "worktree", "add", "--quiet", "--detach", dirs[tag], tag)
	}
	return dirs
}

func readOracle(t *testing.T, tag string) oracle {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus(t), "oracle-"+tag+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var o oracle
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func corpusKey(t *testing.T) rosie.Key {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(corpus(t), "evidence-public-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := rosie.ParseKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func scanDate() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// openDir opens a directory so that nothing in it leads out of it.
func openDir(t *testing.T, dir string) *os.Root {
	t.Helper()
	opened, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// Everything that the oracle of a real revision lists is read, and nothing else.
func TestReadAgreesWithTheOracleOfEveryRevision(t *testing.T) {
	t.Parallel()
	key := corpusKey(t)
	for tag, dir := range revisions(t) {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			want := readOracle(t, tag)
			tree, err := rosie.Read(t.Context(), openDir(t, dir).FS(), rosie.Options{Keys: []rosie.Key{key}, At: scanDate()})
			if err != nil {
				t.Fatal(err)
			}
			if len(tree.Faults) > 0 {
				t.Errorf("faults: %v", tree.Faults)
			}
			got := byPath(t, tree)
			for _, a := range want.Artifacts {
				compareArtifact(t, got[a.Path], a)
				delete(got, a.Path)
			}
			for path := range got {
				t.Errorf("%s was read and is not in the oracle", path)
			}
			equal(t, "ignored files", tree.Ignored, want.Ignored)
			compareRisks(t, tree, want)
			compareAnomalies(t, tree, want)
			compareContents(t, tree, want)
			compareLinks(t, tree, want)
			comparePlace(t, tag, tree)
		})
	}
}

func byPath(t *testing.T, tree rosie.Tree) map[string]domain.Artifact {
	t.Helper()
	got := make(map[string]domain.Artifact)
	for _, f := range tree.Files {
		if f.Rejected != nil {
			t.Errorf("%s is rejected: %s", f.Path, f.Rejected.Message)
			continue
		}
		if f.Unchanged || len(f.Artifacts) == 0 {
			t.Errorf("%s has no artifact", f.Path)
			continue
		}
		got[f.Path] = f.Artifacts[0]
	}
	return got
}

// The tree itself has nothing to remark on.
func comparePlace(t *testing.T, tag string, tree rosie.Tree) {
	t.Helper()
	if len(tree.Findings) > 0 {
		t.Errorf("%s: findings of the tree: %+v", tag, tree.Findings)
	}
	for _, f := range tree.Files {
		stamp := rosie.Stamp(nil)
		if strings.HasPrefix(f.Path, ".gxp/evidence/") {
			stamp = rosie.Stamp([]rosie.Key{corpusKey(t)})
		}
		equal(t, f.Path+": stamp", f.Stamp, stamp)
	}
}

// Without the key a signature cannot be verified; with one byte changed it is not valid.
func TestCorpusSignaturesWithoutTheKeyAndWithAFlippedByte(t *testing.T) {
	t.Parallel()
	dir := revisions(t)["dev-07-cbec5ad"]
	key := corpusKey(t)
	fsys := openDir(t, dir).FS()
	tree, err := rosie.Read(t.Context(), fsys, rosie.Options{At: scanDate()})
	if err != nil {
		t.Fatal(err)
	}
	damaged := fstest.MapFS{".gxp/system_context.md": {Data: []byte("---\nproject_name: x\ngxp_risk_rating: LOW\n---\n")}}
	seen := 0
	for _, f := range tree.Files {
		a := f.Artifacts[0]
		if a.Evidence == nil {
			continue
		}
		seen++
		equal(t, f.Path+": verdict without a key", a.Evidence.Signature.Verdict, domain.VerdictUnverifiable)
		for _, c := range tree.Contents {
			if a.Kind == domain.KindEvidenceJWS && c.SHA256 == a.Content.SHA256 {
				damaged[f.Path] = &fstest.MapFile{Data: flipped(c.Bytes, seen)}
			}
		}
	}
	equal(t, "pieces of evidence", seen, 68+43)
	tree, err = rosie.Read(t.Context(), damaged, rosie.Options{Keys: []rosie.Key{key}, At: scanDate()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tree.Files {
		if f.Path == ".gxp/system_context.md" {
			continue
		}
		if f.Rejected != nil {
			t.Errorf("%s: rejected: %s", f.Path, f.Rejected.Message)
			continue
		}
		equal(t, f.Path+": verdict with a flipped byte", f.Artifacts[0].Evidence.Signature.Verdict, domain.VerdictInvalid)
	}
}

// flipped changes one character of the signature, a different place for each n.
func flipped(token []byte, n int) []byte {
	changed := slices.Clone(token)
	dot := strings.LastIndexByte(string(token), '.')
	at := dot + 1 + n%(len(token)-dot-1)
	if changed[at] == 'A' {
		changed[at] = 'B'
	} else {
		changed[at] = 'A'
	}
	return changed
}

// A second reading against what the first one gave reads no file that the file system names.
func TestCorpusIsUnchangedAgainstItself(t *testing.T) {
	t.Parallel()
	fsys := openDir(t, revisions(t)["dev-07-cbec5ad"]).FS()
	options := rosie.Options{Keys: []rosie.Key{corpusKey(t)}, At: scanDate()}
	first, err := rosie.Read(context.WithoutCancel(t.Context()), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	held := make(map[string]bool)
	for _, f := range first.Files {
		held[f.Path+f.Blob+f.Stamp] = true
	}
	options.Known = func(path, blob, stamp string) bool { return held[path+blob+stamp] }
	second, err := rosie.Read(t.Context(), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range second.Files {
		if !f.Unchanged || len(f.Artifacts) > 0 {
			t.Errorf("%s is read as changed", f.Path)
		}
	}
	equal(t, "units", len(second.Files), len(first.Files))
	equal(t, "contents of an unchanged tree", len(second.Contents), 0)
	equal(t, "ignored files", second.Ignored, first.Ignored)
	options.Keys = nil
	third, err := rosie.Read(t.Context(), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range third.Files {
		equal(t, f.Path+": read again with other keys", !f.Unchanged, strings.HasPrefix(f.Path, ".gxp/evidence/"))
	}
}
