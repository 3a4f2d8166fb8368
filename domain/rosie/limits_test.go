package rosie_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

func TestLimitsOfTheScan(t *testing.T) {
	t.Parallel()
	repository := make(files)
	for i := range 50 {
		repository[fmt.Sprintf(".gxp/requirements/REQ-%03d.md", i)] = strings.Repeat("x", 100)
	}
	for setting, limits := range map[string]rosie.Limits{
		"files": {Files: 40},
		"bytes": {Bytes: 4000},
	} {
		tree := read(t, repository.fs(), rosie.Options{Limits: limits})
		equal(t, setting+": files and contents", len(tree.Files)+len(tree.Contents), 0)
		if len(tree.Faults) != 1 {
			t.Fatalf("%s: faults %v, want one", setting, tree.Faults)
		}
		text := tree.Faults[0].Text
		equal(t, setting+": code", tree.Faults[0].Code, domain.ViolationLimit)
		if !strings.Contains(text, fmt.Sprintf("raise the limit %q", setting)) || !strings.Contains(text, fmt.Sprint(max(int64(limits.Files), limits.Bytes))) {
			t.Errorf("%q names neither setting nor limit", text)
		}
	}
	equal(t, "just enough bytes", len(read(t, repository.fs(), rosie.Options{Limits: rosie.Limits{Bytes: 5000 + int64(len(contextText))}}).Faults), 0)
	equal(t, "just enough files", len(read(t, repository.fs(), rosie.Options{Limits: rosie.Limits{Files: 52}}).Faults), 0)
	equal(t, "one file too many", len(read(t, repository.fs(), rosie.Options{Limits: rosie.Limits{Files: 51}}).Faults), 1)
}

func TestLimitsOfOneFile(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	many := placed(s.pack(t, spec))
	for i := range 20 {
		many[fmt.Sprintf("%s/traces/%d", packagePath, i)] = "x"
	}
	ids := "[" + strings.TrimSuffix(strings.Repeat("US-1, US-2, US-3, ", 10), ", ") + "]"
	for name, test := range map[string]struct {
		repository files
		path       string
		limits     rosie.Limits
		says       string
	}{
		"size":           {files{reqPath: strings.Repeat("x", 101)}, reqPath, rosie.Limits{File: 100}, "101 bytes long, and at most 100"},
		"front matter":   {files{reqPath: "---\na: " + strings.Repeat("x", 100) + "\n---\n"}, reqPath, rosie.Limits{FrontMatter: 50}, "at most 50"},
		"depth":          {files{reqPath: "---\na: [[[[1]]]]\n---\n"}, reqPath, rosie.Limits{Depth: 4}, "more than 4 deep"},
		"nodes":          {files{reqPath: "---\na: " + ids + "\n---\n"}, reqPath, rosie.Limits{Nodes: 20}, "more than 20 values"},
		"values of JSON": {files{jwsPath: s.sign(t, `{"a":[1,2,3,4]}`)}, jwsPath, rosie.Limits{JSONNodes: 5}, "more than 5 values"},
		"depth of JSON":  {files{jwsPath: s.sign(t, `{"a":[[1]]}`)}, jwsPath, rosie.Limits{Depth: 2}, "more than 2 deep"},
		"members":        {many, packagePath, rosie.Limits{Members: 25}, "26 files, and at most 25"},
	} {
		f := unit(t, read(t, test.repository.fs(), rosie.Options{Limits: test.limits}), test.path)
		if f.Rejected == nil || !strings.Contains(f.Rejected.Message, test.says) {
			t.Errorf("%s: %+v, want a rejection that says %q", name, f.Rejected, test.says)
		}
		f = unit(t, read(t, test.repository.fs(), rosie.Options{}), test.path)
		if f.Rejected != nil {
			t.Errorf("%s: rejected within the default limits: %s", name, f.Rejected.Message)
		}
	}
}

// An oversized file has no hash, since it was not read; a tree that holds it can be known all the same.
func TestOversizedFile(t *testing.T) {
	t.Parallel()
	repository := files{reqPath: strings.Repeat("x", 101)}
	options := rosie.Options{Limits: rosie.Limits{File: 100}}
	tree := read(t, repository.fs(), options)
	f := unit(t, tree, reqPath)
	equal(t, "content", f.Rejected.Content, domain.Content{Size: 101})
	equal(t, "kept", contentOf(tree, hash(repository[reqPath])), "not kept")
	options.Known = held(tree)
	equal(t, "unchanged", unit(t, read(t, repository.fs(), options), reqPath).Unchanged, true)
	fsys := newNamed(repository)
	tree, err := rosie.Read(t.Context(), fsys, rosie.Options{Limits: rosie.Limits{File: 100}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "blob as told", unit(t, tree, reqPath).Blob, blob(repository[reqPath]))
	equal(t, "opened", slices.Contains(fsys.opened, reqPath), false)
}

// A member that is too large leaves integrity open; a manifest that is too large rejects the package.
func TestOversizedMember(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := packageFiles(spec)
	all["test-output.log"] = strings.Repeat("ok\n", 1000)
	manifest := manifestOf(t, spec, all)
	all["manifest.json"], all["manifest.jws"] = manifest, s.sign(t, claims(manifest))
	options := s.options()
	options.Limits.File = 2500
	a := readPackage(t, all, options)
	equal(t, "checks", verdicts(a), []string{"valid", "valid", "unverifiable oversized_file:test-output.log", "valid"})
	equal(t, "findings", codes(a.Findings), []string{"oversized"})
	all["environment.json"] = "{}"
	equal(t, "a mismatch beside it", readPackage(t, all, options).Evidence.Checks[2].Verdict, domain.VerdictInvalid)
	all["manifest.jws"] = strings.Repeat("x", 3000)
	equal(t, "a large signature", readPackage(t, all, options).Evidence.Checks[1].Verdict, domain.VerdictUnverifiable)
	all["manifest.json"] = strings.Repeat(" ", 3000)
	f := unit(t, read(t, placed(all).fs(), options), packagePath)
	equal(t, "a large manifest", f.Rejected != nil && strings.Contains(f.Rejected.Message, "manifest.json is 3000 bytes"), true)
}

// A member that is too large to read is another version of the package when git names it otherwise.
func TestUnreadMemberCountsInTheDigest(t *testing.T) {
	t.Parallel()
	digest := func(text string) string {
		fsys := newNamed(placed(map[string]string{"metadata.json": `{"package_id":"P"}`, "big.bin": text}))
		tree, err := rosie.Read(t.Context(), fsys, rosie.Options{Limits: rosie.Limits{File: 100}})
		if err != nil {
			t.Fatal(err)
		}
		return artifact(t, tree, packagePath).Digest
	}
	if digest(strings.Repeat("x", 200)) == digest(strings.Repeat("y", 200)) {
		t.Error("two versions of an unread member have the same digest")
	}
}

// Lists are cut where their limit says, and the last entry counts the rest.
func TestListsAreCut(t *testing.T) {
	t.Parallel()
	var items, targets, log strings.Builder
	for i := range 30 {
		fmt.Fprintf(&items, "  - a%d: b\n", i)
		fmt.Fprintf(&targets, "  - US-%d\n", i)
		fmt.Fprintf(&log, "[d] RISK-%03d | INFRA | Risk: LOW\n", i)
	}
	options := rosie.Options{Limits: rosie.Limits{Findings: 10, Links: 5, Entries: 7}}
	repository := files{
		reqPath:  "---\ngxp_id: R\ntitle: T\nrisk: LOW\ncriteria:\n" + items.String() + "---\n",
		specPath: "---\ngxp_id: S\ntitle: T\ntier: OQ\nparent_id:\n" + targets.String() + "---\n",
		logPath:  log.String(),
	}
	fsys := repository.fs()
	for i := range 30 {
		fsys[fmt.Sprintf(".gxp/specs/link%d.md", i)] = &fstest.MapFile{Data: []byte("x"), Mode: fs.ModeSymlink}
	}
	tree := read(t, fsys, options)
	of := artifact(t, tree, reqPath).Findings
	equal(t, "findings of an artifact", len(of), 11)
	equal(t, "the last", of[10].Code+": "+of[10].Text, "truncated: 20 more findings are not listed: 20 list_item")
	equal(t, "findings of the tree", len(tree.Findings), 11)
	equal(t, "the last of the tree", tree.Findings[10].Text, "21 more findings are not listed: 1 missing_dir, 20 symlink")
	linked := artifact(t, tree, specPath)
	equal(t, "links", len(linked.Links), 5)
	equal(t, "findings of links", linked.Findings[0].Code, "truncated")
	f := unit(t, tree, logPath)
	equal(t, "entries and the file", len(f.Artifacts), 8)
	equal(t, "findings of the log", f.Artifacts[0].Findings[0].Text, "23 more entries are not listed: a risk log may hold 7")
}

// A stamp hashes the names and values of the limits that were set: a limit that a later reader adds changes none.
func TestStampOfLimitsIsOfThoseThatWereSet(t *testing.T) {
	t.Parallel()
	fsys := files{".gxp/system_context.md": "---\nproject_name: x\n---\n"}.fs()
	stampWith := func(limits rosie.Limits) string {
		got, err := rosie.Read(t.Context(), fsys, rosie.Options{Limits: limits})
		if err != nil || len(got.Files) != 1 {
			t.Fatalf("read %+v: %v", got.Files, err)
		}
		return got.Files[0].Stamp
	}
	sum := sha256.Sum256([]byte("depth=7\nlinks=9\n"))
	equal(t, "two limits", stampWith(rosie.Limits{Links: 9, Depth: 7}), "rosie/2+limits:"+hex.EncodeToString(sum[:8]))
	equal(t, "the defaults by value", stampWith(rosie.DefaultLimits()), "rosie/2")
	equal(t, "limits of the whole scan", stampWith(rosie.Limits{Files: 10, Bytes: 1000}), "rosie/2")
}
