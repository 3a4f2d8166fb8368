package wholefile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/wholefile"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantFiles checks which files a folder holds, and the text of one.
func wantFiles(t *testing.T, path, text string) {
	t.Helper()
	if data, err := os.ReadFile(path); err != nil || string(data) != text {
		t.Errorf("%s holds %q, %v; want %q", path, data, err, text)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("the folder holds %v, %v; want one file", all, err)
	}
}

func TestAFailedWriteLeavesTheFileAsItWas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "matrix.csv")
	put(t, path, "old")
	failure := errors.New("half of it")
	err := wholefile.Write(path, func(w io.Writer) error {
		_, _ = io.WriteString(w, "ne")
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("error is %v, want the one of the writer", err)
	}
	wantFiles(t, path, "old")
	if err := wholefile.Write(path, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Error(err)
	}
	wantFiles(t, path, "new")
}

func TestAFileIsReplacedOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.db")
	put(t, path, "old")
	for _, replace := range []bool{false, true} {
		file, err := wholefile.New(path)
		if err != nil {
			t.Fatal(err)
		}
		put(t, file.Temporary, "new")
		if err := file.Keep(replace); (err == nil) != replace || !replace && !errors.Is(err, fs.ErrExist) {
			t.Errorf("replace %t: error is %v", replace, err)
		}
		if err := file.Discard(); err != nil {
			t.Error(err)
		}
	}
	wantFiles(t, path, "new")
}

func TestOnlyPlainFilesThatAreNoDatabaseAreReplaced(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link, database, plain := filepath.Join(folder, "link"), filepath.Join(folder, "log.db"), filepath.Join(folder, "plain")
	put(t, database, "SQLite format 3\x00 and more")
	put(t, plain, "text")
	if err := os.Symlink(plain, link); err != nil {
		t.Skip(err)
	}
	for path, refused := range map[string]bool{folder: true, link: true, database: true, plain: false, filepath.Join(folder, "none"): false} {
		if err := wholefile.Check(path); errors.As(err, new(*wholefile.Error)) != refused {
			t.Errorf("%s: error is %v, want refused %t", path, err, refused)
		}
	}
}

// A process that was killed leaves its temporary file, and what SQLite laid beside it. The next one removes these, and leaves
// alone what a living process, another machine or a person has.
func TestWhatAKilledProcessLeftIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.db")
	dead := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	first, err := wholefile.New(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Discard() }()
	own := "-" + strconv.Itoa(os.Getpid()) + "."
	gone := strings.Replace(first.Temporary, own, "-"+strconv.Itoa(dead.Process.Pid)+".", 1)
	if gone == first.Temporary {
		t.Fatalf("%s does not name its process", first.Temporary)
	}
	other := filepath.Join(filepath.Dir(path), "audit.db.00000000-"+strconv.Itoa(dead.Process.Pid)+".1.part")
	kept := []string{first.Temporary, other, path + ".part", path + ".mine.1.part"}
	for _, file := range append([]string{gone, gone + "-journal", gone + "-wal", gone + "-shm"}, kept[1:]...) {
		put(t, file, "x")
	}
	second, err := wholefile.New(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Discard() }()
	for _, file := range kept {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%v, want it left alone", err)
		}
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != len(kept)+1 {
		t.Errorf("the folder holds %v, %v, want what others have and the new file", all, err)
	}
}
