package backup_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/internal/backup"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, at string) (string, error) {
	t.Helper()
	place, _, err := backup.Create(at, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), func(folder string) (backup.Log, error) {
		write(t, filepath.Join(folder, "log.db"), "the log")
		write(t, filepath.Join(folder, "spool", "a.json"), "{}")
		return backup.Log{ID: "5b0c6a52-7d2e", Head: 7, Events: 7}, nil
	})
	return place, err
}

// entries lists what is in a folder.
func entries(t *testing.T, folder string) []string {
	t.Helper()
	found, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

func TestABackupIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place, err := create(t, filepath.Join(dir, "mine"))
	if err != nil || place != filepath.Join(dir, "mine") {
		t.Fatalf("%s, %v", place, err)
	}
	inside, err := create(t, place) // a folder: below it
	if err != nil || filepath.Base(inside) != "gxpledger-20260301T120000Z-5b0c6a52" || filepath.Dir(inside) != place {
		t.Errorf("%s, %v", inside, err)
	}
	if again, err := create(t, place); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%s, %v: want that there is one", again, err)
	}
	if _, err := create(t, filepath.Join(place, "log.db")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want that there is a file", err)
	}
	broken := errors.New("disk")
	if _, _, err := backup.Create(filepath.Join(dir, "failed"), time.Now(), func(folder string) (backup.Log, error) {
		write(t, filepath.Join(folder, "log.db"), "half")
		return backup.Log{}, broken
	}); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	if got := entries(t, dir); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("there is %v", got)
	}
}

// TestWhateverIsChangedInABackupIsFound: and nothing of it is restored.
func TestWhateverIsChangedInABackupIsFound(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		do   func(folder string)
		says string
	}{
		"a byte":         {func(f string) { write(t, filepath.Join(f, "log.db"), "the lug") }, "log.db was changed"},
		"the end":        {func(f string) { write(t, filepath.Join(f, "log.db"), "the lo") }, "log.db was changed"},
		"a missing file": {func(f string) { _ = os.Remove(filepath.Join(f, "spool", "a.json")) }, "spool/a.json is missing"},
		"another file":   {func(f string) { write(t, filepath.Join(f, "spool", "b.json"), "{}") }, "spool/b.json is not in its manifest"},
		"a link": {func(f string) {
			_ = errors.Join(os.Rename(filepath.Join(f, "log.db"), f+".moved"), os.Symlink(f+".moved", filepath.Join(f, "log.db")))
		}, "not a plain file"},
		"no manifest":  {func(f string) { _ = os.Remove(filepath.Join(f, "manifest.json")) }, "holds no manifest.json"},
		"half of it":   {func(f string) { write(t, filepath.Join(f, "manifest.json"), `{"form": 1, "files"`) }, "cannot be read"},
		"a newer form": {func(f string) { write(t, filepath.Join(f, "manifest.json"), `{"form": 2}`) }, "has form 2"},
		"a path outside": {func(f string) {
			write(t, filepath.Join(f, "manifest.json"), `{"form": 1, "files": [{"path": "../x"}]}`)
		}, `names the file "../x"`},
		"a full path": {func(f string) {
			write(t, filepath.Join(f, "manifest.json"), `{"form": 1, "files": [{"path": "/etc/x"}]}`)
		}, `names the file "/etc/x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place, err := create(t, filepath.Join(t.TempDir(), "b"))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := backup.Check(place)
			if err != nil {
				t.Fatal(err)
			}
			change.do(place)
			if _, err := backup.Check(place); !errors.Is(err, backup.ErrInvalid) || !strings.Contains(err.Error(), change.says) {
				t.Errorf("error is %v, want %q", err, change.says)
			}
			home := filepath.Join(t.TempDir(), "home")
			err = backup.Restore(t.Context(), place, whole, home, nil)
			if gone := name == "a missing file" || name == "a byte" || name == "the end" || name == "a link"; gone && err == nil {
				t.Error("what was changed after it was verified is restored")
			}
			if _, there := os.Lstat(home); err != nil && there == nil {
				t.Error("a restore that failed left a home")
			}
		})
	}
}

func TestARestoreReplacesNothing(t *testing.T) {
	t.Parallel()
	place, err := create(t, filepath.Join(t.TempDir(), "b"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := backup.Check(place)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	write(t, home, "mine")
	for _, into := range []string{home, dir} {
		if err := backup.Restore(t.Context(), place, m, into, nil); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: error is %v, want that there is something", into, err)
		}
	}
	if err := backup.Restore(t.Context(), place, m, filepath.Join(dir, "a", "b"), nil); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a", "b", "spool", "a.json")); string(data) != "{}" {
		t.Errorf("it holds %q (%v)", data, err)
	}
	if got := entries(t, dir); !slices.Equal(got, []string{"a", "home"}) {
		t.Errorf("there is %v", got)
	}
}
