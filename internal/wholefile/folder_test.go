package wholefile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/internal/wholefile"
)

func writes(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

func newFolder(t *testing.T, path string) *wholefile.Folder {
	t.Helper()
	f, err := wholefile.NewFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFolderIsThereWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "release")
	dropped := newFolder(t, place)
	if _, err := dropped.Write("a", writes("half")); err != nil {
		t.Fatal(err)
	}
	if err := dropped.Discard(); err != nil {
		t.Fatal(err)
	}
	if all, err := os.ReadDir(filepath.Dir(place)); err != nil || len(all) != 0 {
		t.Fatalf("what was discarded left %v, %v", all, err)
	}
	kept := newFolder(t, place)
	for name, text := range map[string]string{"a": "one", "b/c d": "two", "files/%~2/e%0A": ""} {
		if _, err := kept.Write(name, writes(text)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(kept.Temporary, "tables.db"), "of somebody else")
	if err := kept.Add("tables.db"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(place); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("it is in its place before it is whole: %v", err)
	}
	if _, err := kept.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := kept.Discard(); err != nil {
		t.Error(err)
	}
	if all, err := os.ReadDir(filepath.Dir(place)); err != nil || len(all) != 1 {
		t.Errorf("beside it is %v, %v", all, err)
	}
	checkSums(t, place)
}

// checkSums lets the program that people have check the manifest.
func checkSums(t *testing.T, place string) {
	t.Helper()
	program, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("there is no sha256sum")
	}
	check := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), program, "--strict", "-c", wholefile.Sums)
		cmd.Dir = place
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil || strings.Count(out, ": OK") != 4 {
		t.Errorf("sha256sum -c: %v\n%s", err, out)
	}
	put(t, filepath.Join(place, "b", "c d"), "tampered")
	if out, err := check(); err == nil {
		t.Errorf("sha256sum -c finds nothing:\n%s", out)
	}
}

func TestAFolderReplacesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	place := filepath.Join(folder, "release")
	first, second := newFolder(t, place), newFolder(t, place)
	if _, err := first.Keep(); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Keep(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the second one was kept: %v", err)
	}
	if err := errors.Join(first.Discard(), second.Discard()); err != nil {
		t.Error(err)
	}
	late := filepath.Join(folder, "late")
	third := newFolder(t, late)
	if err := os.Mkdir(late, 0o700); err != nil { // empty, which a rename would replace
		t.Fatal(err)
	}
	if _, err := third.Keep(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that came meanwhile was replaced: %v", err)
	}
	if err := third.Discard(); err != nil {
		t.Error(err)
	}
	put(t, filepath.Join(folder, "file"), "x")
	for _, there := range []string{folder, place, filepath.Join(folder, "file"), filepath.Join(folder, "none", "x")} {
		if _, err := wholefile.NewFolder(there); !errors.As(err, new(*wholefile.Error)) {
			t.Errorf("%s: error is %v", there, err)
		}
	}
}

func TestNoNameLeadsOutOfAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	f := newFolder(t, filepath.Join(folder, "release"))
	if err := os.Symlink(folder, filepath.Join(f.Temporary, "link")); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"../x", "/x", "a/../../x", "", ".", "a//b", "link/x", "a\nb", `a\b`, wholefile.Sums, "twice"} {
		if name == "twice" {
			_, _ = f.Write(name, writes("x"))
		}
		if _, err := f.Write(name, writes("x")); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if err := f.Discard(); err != nil {
		t.Error(err)
	}
	if all, err := os.ReadDir(folder); err != nil || len(all) != 0 {
		t.Errorf("outside is %v, %v", all, err)
	}
}

func TestPathsKeepTheirNamesUnlessASystemCannotHoldThem(t *testing.T) {
	t.Parallel()
	var names wholefile.Names
	for _, c := range []struct{ path, want string }{
		{".gxp/requirements/REQ-001.md", ".gxp/requirements/REQ-001.md"},
		{".gxp/Größe 1.md", ".gxp/Größe 1.md"},
		{".gxp/requirements/req-001.MD", "%~2/.gxp/requirements/req-001.MD"},
		{".gxp/requirements/Req-001.md", "%~3/.gxp/requirements/Req-001.md"},
		{".GXP", "%~4/.GXP"},
		{".gxp/requirements/REQ-001.md/x", "%~5/.gxp/requirements/REQ-001.md/x"},
		{"../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"},
		{"/abs", "%/abs"},
		{"a%2E", "a%252E"},
		{"line\nend", "line%0Aend"},
		{`back\slash`, "back%5Cslash"},
		{"\xff\u202e", "%FF%E2%80%AE"},
		{"aux.md", "%61ux.md"},
		{"dot.", "dot%2E"},
		{"e\u0301", "e%CC%81"},
		{"C:x", "C%3Ax"},
	} {
		if got := names.Place(c.path); got != c.want {
			t.Errorf("Place(%q) = %q, want %q", c.path, got, c.want)
		}
	}
}

// TestPropertyEveryPathHasAPlaceOfItsOwn draws paths that collide by case, length and kind, and hostile ones.
func TestPropertyEveryPathHasAPlaceOfItsOwn(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.SampledFrom([]string{
		"a", "A", "\u212a", "k", "..", ".", "", "con", "NUL.txt", "x ", "x.", "%", "%41", "~1", "a\x00b", "\r\n", `\`, "\xff", "\uff21",
		strings.Repeat("long", 60), strings.Repeat("long", 60) + "X", strings.Repeat("ß", 150),
	}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		var names wholefile.Names
		files := map[string]bool{} // in lower case
		for range rapid.IntRange(1, 12).Draw(t, "paths") {
			path := strings.Join(rapid.SliceOfN(part, 1, 6).Draw(t, "parts"), "/")
			place := names.Place(path)
			if !fs.ValidPath(place) || strings.ContainsAny(place, "\\\r\n\x00:*?\"<>|") || len(place) > 1100 {
				t.Fatalf("%q is placed at %q", path, place)
			}
			for one := range strings.SplitSeq(place, "/") {
				if len(one) > 255 || strings.HasSuffix(one, ".") || strings.HasSuffix(one, " ") {
					t.Fatalf("%q is placed at %q", path, place)
				}
			}
			lower := strings.Map(unicode.ToLower, strings.Map(unicode.ToUpper, place))
			for other := range files {
				if other == lower || strings.HasPrefix(other, lower+"/") || strings.HasPrefix(lower, other+"/") {
					t.Fatalf("%q is placed at %q, where %q is", path, place, other)
				}
			}
			files[lower] = true
		}
	})
}

func TestAFolderThatAKilledProcessLeftIsRemoved(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "release")
	dead := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	first := newFolder(t, place)
	defer func() { _ = first.Discard() }()
	parts := strings.Split(filepath.Base(first.Temporary), "-")
	tail := strings.SplitN(parts[1], ".", 2)
	gone := filepath.Join(filepath.Dir(place), parts[0]+"-"+strconv.Itoa(dead.Process.Pid)+"."+tail[1])
	if err := errors.Join(os.Mkdir(gone, 0o700), os.WriteFile(filepath.Join(gone, "half"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	second := newFolder(t, place)
	defer func() { _ = second.Discard() }()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(place), "*"))
	want := []string{first.Temporary, second.Temporary}
	slices.Sort(want)
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("there is %v, want %v", all, want)
	}
}
