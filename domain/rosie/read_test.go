package rosie_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	slashpath "path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a tree must have and has not is a fault or a finding that says what to do.
func TestMissingParts(t *testing.T) {
	t.Parallel()
	valid := "---\ngxp_id: X\n---\n"
	tests := map[string]struct {
		tree     fstest.MapFS
		faults   []string
		findings []string
	}{
		"nothing":        {fstest.MapFS{"README.md": {}}, []string{"no_gxp_directory .gxp"}, nil},
		"only a file":    {fstest.MapFS{".gxp": {Data: []byte("x")}}, []string{"no_gxp_directory .gxp"}, nil},
		"only a link":    {fstest.MapFS{".gxp": {Data: []byte("real"), Mode: fs.ModeSymlink}, "real/system_context.md": {}}, []string{"no_gxp_directory .gxp"}, nil},
		"in other case":  {fstest.MapFS{".GXP/system_context.md": {}}, []string{"no_gxp_directory .gxp"}, []string{"odd_path .GXP"}},
		"no context":     {fstest.MapFS{reqPath: {Data: []byte(valid)}, specPath: {Data: []byte(valid)}, ".gxp/user_stories/a": {}}, []string{"no_system_context .gxp/system_context.md"}, nil},
		"no directories": {files{}.fs(), nil, []string{"missing_dir .gxp/requirements", "missing_dir .gxp/user_stories", "missing_dir .gxp/specs"}},
		"a context that is malformed": {
			fstest.MapFS{contextPath: {Data: []byte("---\n- x\n---\n")}, ".gxp/requirements/a": {}, ".gxp/user_stories/a": {}, ".gxp/specs/a": {}},
			nil, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := read(t, test.tree, rosie.Options{})
			var faults, findings []string
			for _, f := range tree.Faults {
				faults = append(faults, f.Code+" "+f.Path)
				if !strings.Contains(f.Text, ": add ") {
					t.Errorf("%q does not say what to do", f.Text)
				}
			}
			for _, f := range tree.Findings {
				findings = append(findings, f.Code+" "+f.Path)
			}
			equal(t, "faults", faults, test.faults)
			equal(t, "findings", findings, test.findings)
		})
	}
}

// A fault of the tree does not hide what else is there, so that every violation can be named at once.
func TestFilesAreReadBesideAFault(t *testing.T) {
	t.Parallel()
	tree := read(t, fstest.MapFS{reqPath: {Data: []byte("---\ngxp_id: REQ-001\n---\n")}}, rosie.Options{})
	equal(t, "id", artifact(t, tree, reqPath).GxPID, "REQ-001")
}

// named is a file system that tells blob ids and counts what is opened.
type named struct {
	fstest.MapFS
	opened []string
}

type blobName string

func (b blobName) BlobID() string { return string(b) }

func newNamed(repository files) *named {
	n := &named{MapFS: repository.fs()}
	for _, file := range n.MapFS {
		file.Sys = blobName(blob(string(file.Data)))
	}
	return n
}

func (n *named) Open(name string) (fs.File, error) {
	if file, ok := n.MapFS[name]; ok && !file.Mode.IsDir() {
		n.opened = append(n.opened, name)
	}
	return n.MapFS.Open(name)
}

// held remembers units as a state would.
func held(tree rosie.Tree) func(path, blob, stamp string) bool {
	all := make(map[string]bool)
	for _, f := range tree.Files {
		all[f.Path+" "+f.Blob+" "+f.Stamp] = true
	}
	return func(path, blob, stamp string) bool { return all[path+" "+blob+" "+stamp] }
}

// listing tells blob ids when it lists, and cannot tell a size.
type listing struct{ *named }

func (l listing) Open(name string) (fs.File, error) {
	file, err := l.named.Open(name)
	if dir, ok := file.(fs.ReadDirFile); ok && err == nil {
		file = folder{ReadDirFile: dir, path: name, in: l.named}
	}
	return file, err
}

type folder struct {
	fs.ReadDirFile
	path string
	in   *named
}

func (f folder) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := f.ReadDirFile.ReadDir(n)
	for i, e := range entries {
		if !e.IsDir() {
			entries[i] = listed{DirEntry: e, path: slashpath.Join(f.path, e.Name()), in: f.in}
		}
	}
	return entries, err
}

type listed struct {
	fs.DirEntry
	path string
	in   *named
}

func (e listed) BlobID() string { return blob(string(e.in.MapFS[e.path].Data)) }

func (e listed) Info() (fs.FileInfo, error) {
	return nil, errors.New("asked for the size of " + e.path)
}

// A file of which the listing tells that it is known costs no more than that.
func TestKnownUnitsAreNotEvenAskedForTheirSize(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	repository := placed(s.pack(t, spec))
	repository[jwsPath] = s.sign(t, evidencePayload(spec))
	repository[reqPath] = "---\ngxp_id: REQ-001\n---\n"
	options := s.options()
	first, err := rosie.Read(t.Context(), newNamed(repository), options)
	if err != nil {
		t.Fatal(err)
	}
	options.Known = held(first)
	second, err := rosie.Read(t.Context(), listing{newNamed(repository)}, options)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range second.Files {
		if !f.Unchanged || f.Blob != first.Files[i].Blob {
			t.Errorf("%s: unchanged is %t, blob %s, want %s", f.Path, f.Unchanged, f.Blob, first.Files[i].Blob)
		}
	}
}

// A file whose blob is told and known is not even opened; one that changed is, alone.
func TestKnownUnitsAreNotRead(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	repository := placed(s.pack(t, spec))
	repository[jwsPath] = s.sign(t, evidencePayload(spec))
	repository[reqPath] = "---\ngxp_id: REQ-001\n---\n"
	repository[specPath] = "---\n- malformed\n---\n"
	options := s.options()
	first, err := rosie.Read(t.Context(), newNamed(repository), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range first.Files {
		if f.Path != packagePath {
			equal(t, f.Path+": blob", f.Blob, blob(repository.fsText(f.Path)))
		}
	}
	options.Known = held(first)
	repository[reqPath] = "---\ngxp_id: REQ-002\n---\n"
	repository[packagePath+"/test-output.log"] = "changed"
	fsys := newNamed(repository)
	second, err := rosie.Read(t.Context(), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	var changed []string
	for _, f := range second.Files {
		if !f.Unchanged {
			changed = append(changed, f.Path)
		}
	}
	equal(t, "changed", changed, []string{packagePath, reqPath})
	want := []string{reqPath}
	for path := range repository {
		if strings.HasPrefix(path, packagePath+"/") {
			want = append(want, path)
		}
	}
	equal(t, "opened", slices.Sorted(slices.Values(fsys.opened)), slices.Sorted(slices.Values(want)))
	equal(t, "malformed before, unchanged now", unit(t, second, specPath).Unchanged, true)
}

func (f files) fsText(path string) string { return string(f.fs()[path].Data) }

// Another key, or another limit, makes a scan read again what it bears on.
func TestStampsDecideWhatIsReadAgain(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t), newSigner(t)
	repository := files{reqPath: "---\ngxp_id: REQ-001\n---\n", jwsPath: s.sign(t, evidencePayload(spec))}
	first := read(t, repository.fs(), s.options())
	readAgain := func(options rosie.Options) []string {
		options.Known = held(first)
		var again []string
		for _, f := range read(t, repository.fs(), options).Files {
			if !f.Unchanged {
				again = append(again, f.Path)
			}
		}
		return again
	}
	equal(t, "the same", readAgain(s.options()), nil)
	equal(t, "another key", readAgain(rosie.Options{Keys: []rosie.Key{other.public}}), []string{jwsPath})
	equal(t, "no key", readAgain(rosie.Options{}), []string{jwsPath})
	options := s.options()
	options.Limits.Depth = 5
	equal(t, "another limit of files", readAgain(options), []string{jwsPath, reqPath, contextPath})
	options = s.options()
	options.Limits.Bytes = 1 << 30
	equal(t, "another limit of the scan", readAgain(options), nil)
}

// Bytes that are not what git names them are not read as if they were.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	fsys := newNamed(files{reqPath: "---\ngxp_id: REQ-001\n---\n"})
	fsys.MapFS[reqPath].Data[10] ^= 1
	_, err := rosie.Read(t.Context(), fsys, rosie.Options{})
	if !errors.Is(err, rosie.ErrDamaged) || !strings.Contains(err.Error(), reqPath) {
		t.Errorf("error %v, want ErrDamaged with the path", err)
	}
}

// An id that is no SHA-1 is not taken for one.
func TestForeignBlobNamesAreIgnored(t *testing.T) {
	t.Parallel()
	fsys := newNamed(files{reqPath: "---\ngxp_id: REQ-001\n---\n"})
	fsys.MapFS[reqPath].Sys = blobName(strings.Repeat("a", 64))
	tree, err := rosie.Read(t.Context(), fsys, rosie.Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "blob", unit(t, tree, reqPath).Blob, blob("---\ngxp_id: REQ-001\n---\n"))
}

// The blob of a package follows its members: their names and their bytes.
func TestBlobOfAPackage(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := s.pack(t, spec)
	blobOf := func(all map[string]string) string {
		return unit(t, read(t, placed(all).fs(), s.options()), packagePath).Blob
	}
	want := blobOf(all)
	named, err := rosie.Read(t.Context(), newNamed(placed(all)), s.options())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "told or computed", unit(t, named, packagePath).Blob, want)
	renamed := maps.Clone(all)
	renamed["test-output2.log"] = renamed["test-output.log"]
	delete(renamed, "test-output.log")
	changed := maps.Clone(all)
	changed["test-output.log"] = "other"
	if blobOf(renamed) == want || blobOf(changed) == want {
		t.Error("another package has the same blob")
	}
}

// The same bytes are kept once, whoever has them.
func TestContentsAreStoredOnce(t *testing.T) {
	t.Parallel()
	text := "---\ngxp_id: REQ-001\n---\n"
	tree := read(t, files{reqPath: text, ".gxp/requirements/copy.md": text, ".gxp/README.md": "ignored"}.fs(), rosie.Options{})
	equal(t, "contents", len(tree.Contents), 2)
	equal(t, "bytes", contentOf(tree, hash(text)), text)
	equal(t, "ignored files have none", contentOf(tree, hash("ignored")), "not kept")
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var last rosie.Progress
	options := rosie.Options{Progress: func(p rosie.Progress) {
		if p.Units < last.Units || p.Bytes < last.Bytes || p.Listed < last.Listed {
			t.Errorf("progress went back from %+v to %+v", last, p)
		}
		last = p
	}}
	read(t, files{reqPath: "x", specPath: "yy"}.fs(), options)
	equal(t, "last", last, rosie.Progress{Listed: 5, Units: 3, Total: 3, Bytes: int64(len(contextText)) + 3})
}

// The order in which a reading goes does not show in what it gives.
func TestReadingIsDeterministic(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	fsys := thousand(t, s).fs()
	first, second := read(t, fsys, s.options()), read(t, fsys, s.options())
	equal(t, "tree", fmt.Sprintf("%+v", second.Files[:50]), fmt.Sprintf("%+v", first.Files[:50]))
	equal(t, "sorted", slices.IsSortedFunc(first.Files, func(a, b domain.File) int { return strings.Compare(a.Path, b.Path) }), true)
	for i := range first.Contents {
		if first.Contents[i].SHA256 != second.Contents[i].SHA256 {
			t.Fatal("contents come in another order")
		}
	}
}

func TestCancelledReading(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	options := rosie.Options{Progress: func(p rosie.Progress) {
		if p.Units == 5 {
			cancel()
		}
	}}
	tree, err := rosie.Read(ctx, thousand(t, newSigner(t)).fs(), options)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	equal(t, "files of a cancelled reading", len(tree.Files), 0)
	_, err = rosie.Read(ctx, files{}.fs(), rosie.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// failing is a file system in which one path cannot be opened.
type failing struct {
	fstest.MapFS
	path string
}

func (f failing) Open(name string) (fs.File, error) {
	if name == f.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.Open(name)
}

func (f failing) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == f.path {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.ReadDir(name)
}

// A file system that fails is an error: a tree of which a part could not be read is no tree.
func TestFailingFileSystem(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	repository := placed(s.pack(t, spec))
	repository[reqPath] = "---\ngxp_id: R\n---\n"
	for _, path := range []string{".", ".gxp", ".gxp/requirements", reqPath, packagePath + "/manifest.json"} {
		_, err := rosie.Read(t.Context(), failing{MapFS: repository.fs(), path: path}, rosie.Options{})
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one of permission with the path", path, err)
		}
	}
}
