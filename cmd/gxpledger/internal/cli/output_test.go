package cli_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// formatOf tells the formats apart by how they begin.
func formatOf(content string) string {
	switch {
	case strings.HasPrefix(content, "<!DOCTYPE html>"):
		return "html"
	case strings.HasPrefix(content, "{"):
		return "json"
	case strings.HasPrefix(content, `"`):
		return "csv"
	}
	return "table"
}

func TestTheNameOfAnOutputFileImpliesTheFormat(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	folder := t.TempDir()
	for name, want := range map[string]string{
		"a.html": "html", "a.HTM": "html", "a.csv": "csv", "a.CSV": "csv", "a.json": "json", "a.txt": "table", "a": "table", "a.": "table",
		"a.csv.html": "html", "b.csv/a": "table", ".json": "json",
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		d.run("matrix", "--output", path).wantCode(0)
		if got, err := os.ReadFile(path); err != nil || formatOf(string(got)) != want {
			t.Errorf("%s holds %s, %v, want %s", name, formatOf(string(got)), err, want)
		}
	}
	for _, c := range []struct {
		args []string
		want string // the format; "" when it is refused
	}{
		{[]string{"--output", "c.html", "--format", "html"}, "html"},
		{[]string{"--output", "c.json", "--json"}, "json"},
		{[]string{"--output", "c.tsv", "--format", "csv"}, "csv"},
		{[]string{"--output", "c", "--format", "html"}, "html"},
		{[]string{"--output", "d.html", "--format", "csv"}, ""},
		{[]string{"--output", "d.htm", "--format", "table"}, ""},
		{[]string{"--output", "d.csv", "--json"}, ""},
		{[]string{"--output", "d.json", "--format", "html"}, ""},
		{[]string{"--output", "d.txt", "--format", "json"}, ""},
		{[]string{"--output", "d.pdf"}, ""},
		{[]string{"--output", "d.ods"}, ""},
		{[]string{"--output", "-"}, ""},
	} {
		args := append([]string{"matrix"}, c.args...)
		if args[2] != "-" {
			args[2] = filepath.Join(folder, args[2])
		}
		got := d.run(args...)
		if c.want == "" {
			got.wantCode(2)
			if _, err := os.Lstat(args[2]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: refused, and %s is there: %v", c.args, args[2], err)
			}
			continue
		}
		content, err := os.ReadFile(args[2])
		if got.wantCode(0); err != nil || formatOf(string(content)) != c.want {
			t.Errorf("%q: %s, %v, want %s", c.args, formatOf(string(content)), err, c.want)
		}
	}
}

// TestAnOutputReplacesNothingButPlainFiles tries every flag that names a file to be written, on whatever can be at its place.
func TestAnOutputReplacesNothingButPlainFiles(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	if err := errors.Join(os.WriteFile(at("target"), []byte("kept"), 0o600), os.Symlink("target", at("link")),
		os.Symlink(at("nowhere"), at("dangling")), os.Symlink("dangling", at("links")), os.Symlink("loop", at("loop")),
		os.Symlink(folder, at("linked folder")), os.Mkdir(at("folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	makePipe(t, at("pipe"))
	for place, what := range map[string]string{
		at("link"): "symbolic link", at("dangling"): "symbolic link", at("links"): "symbolic link", at("loop"): "symbolic link",
		at("linked folder"): "symbolic link", at("folder"): "folder", at("pipe"): map[bool]string{true: "folder", false: "named pipe"}[runtime.GOOS == "windows"], at("socket"): "socket",
		os.DevNull: "device", "/dev/zero": "device",
	} {
		before, err := os.Lstat(place)
		if err != nil {
			continue // this system has no such thing
		}
		for _, args := range [][]string{
			{"matrix", "--output", place},
			{"matrix", "--format", "html", "--output", place},
			{"matrix", "--json", "--output", place},
			{"replay", "--to", "scan:1", "--into", place, "--force"},
		} {
			got := d.run(args...)
			if got.code == 0 || !strings.Contains(got.stderr, what) || got.stdout != "" {
				t.Errorf("%q: %d, %q; want it refused as a %s", args, got.code, got.stderr, what)
			}
		}
		after, err := os.Lstat(place)
		if err != nil || after.Mode() != before.Mode() || !os.SameFile(before, after) {
			t.Errorf("%s was %v and is %v, %v", place, before.Mode(), after, err)
		}
	}
	if kept, err := os.ReadFile(at("target")); err != nil || string(kept) != "kept" {
		t.Errorf("what a link leads to holds %q, %v", kept, err)
	}
	if left, err := filepath.Glob(at("*.part")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	// A plain file is replaced, also where a link leads to its folder.
	d.run("matrix", "--output", filepath.Join(at("linked folder"), "target")).wantCode(0)
	if got, err := os.ReadFile(at("target")); err != nil || formatOf(string(got)) != "table" || string(got) == "kept" {
		t.Errorf("a plain file was not replaced: %q, %v", got, err)
	}
}
