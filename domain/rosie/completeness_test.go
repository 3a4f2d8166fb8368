package rosie_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// Completeness compares what git has with the manifest, also what is not read.
func TestCompletenessCountsWhatIsNotRead(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	const regular fs.FileMode = 0
	for name, test := range map[string]struct {
		path string
		mode fs.FileMode
		code string // of the finding of the tree
	}{
		"a symbolic link":               {"evil.sh", fs.ModeSymlink, "symlink"},
		"a link for a directory":        {"traces", fs.ModeSymlink, "symlink"},
		"a link deeper":                 {"artifacts/more", fs.ModeSymlink, "symlink"},
		"text that turns around":        {"x\u202etxt.exe", regular, "odd_path"},
		"an invisible character":        {"test-output\u200b.log", regular, "odd_path"},
		"a backslash":                   {`..\x`, regular, "odd_path"},
		"not UTF-8":                     {"caf\xe9.txt", regular, "odd_path"},
		"a git directory":               {"sub/.git/config", regular, "odd_path"},
		"a submodule":                   {"module", fs.ModeDir | fs.ModeIrregular, "submodule"},
		"a pipe":                        {"pipe", fs.ModeNamedPipe, "odd_path"},
		"a name too long":               {strings.Repeat("x", 256), regular, "odd_path"},
		"metadata in another case":      {"METADATA.json", regular, ""},
		"a directory in another case":   {"Artifacts/test-results.json", regular, ""},
		"a file":                        {"more.txt", regular, ""},
		"a manifest in another case":    {"Manifest.json", regular, ""},
		"the other name of a signature": {"signature.JWS", regular, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := placed(s.pack(t, spec)).fs()
			before := unit(t, read(t, fsys, s.options()), packagePath)
			equal(t, "sound", verdicts(before.Artifacts[0]), []string{"valid", "valid", "valid", "valid"})
			fsys[packagePath+"/"+test.path] = &fstest.MapFile{Data: []byte("x"), Mode: test.mode}
			tree := read(t, fsys, s.options())
			after := unit(t, tree, packagePath)
			got := verdicts(after.Artifacts[0])
			if equal(t, "the other checks", got[:3], []string{"valid", "valid", "valid"}); !strings.HasPrefix(got[3], "invalid unlisted_file:") {
				t.Errorf("completeness: %s", got[3])
			}
			if _, reason := after.Artifacts[0].Evidence.Judge(); reason == "" && after.Artifacts[0].Evidence.Overall() != domain.VerdictInvalid {
				t.Errorf("overall %s", after.Artifacts[0].Evidence.Overall())
			}
			if before.Blob == after.Blob || before.Artifacts[0].Digest == after.Artifacts[0].Digest {
				t.Error("the package is held to be the same as before")
			}
			found := test.code == ""
			for _, f := range tree.Findings {
				found = found || f.Code == test.code
			}
			equal(t, "finding", found, true)
		})
	}
}

// Of the two names of a signature file, the one that is used is admitted and the other is a file like any.
func TestOnlyTheSignatureThatIsUsedIsAdmitted(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := s.pack(t, spec)
	all["signature.jws"] = all["manifest.jws"]
	all["manifest.jws"] = "garbage"
	equal(t, "garbage beside a signature", verdicts(readPackage(t, all, s.options())),
		[]string{"valid", "valid", "valid", "invalid unlisted_file:manifest.jws"})
	delete(all, "manifest.jws")
	equal(t, "alone", verdicts(readPackage(t, all, s.options())), []string{"valid", "valid", "valid", "valid"})
	listed := packageFiles(spec)
	listed["manifest.jws"] = "kept for the record"
	manifest := manifestOf(t, spec, listed)
	listed["manifest.json"], listed["signature.jws"] = manifest, s.sign(t, claims(manifest))
	equal(t, "listed", verdicts(readPackage(t, listed, s.options())), []string{"valid", "valid", "valid", "valid"})
}

// A link that the manifest lists is no file of the package.
func TestAListedLinkIsMissing(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	fsys := placed(s.pack(t, spec)).fs()
	fsys[packagePath+"/test-output.log"] = &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}
	equal(t, "checks", verdicts(artifact(t, read(t, fsys, s.options()), packagePath)),
		[]string{"valid", "valid", "invalid missing_file:test-output.log", "invalid unlisted_file:test-output.log"})
	equal(t, "without a key", artifact(t, read(t, fsys, rosie.Options{}), packagePath).Evidence.Overall(), domain.VerdictInvalid)
}
