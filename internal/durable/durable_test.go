package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/internal/durable"
)

// synced is a Sync that notes the folders, as they are below dir.
func synced(t *testing.T, dir string) (durable.Sync, *[]string) {
	t.Helper()
	var folders []string
	return func(folder string) error {
		below, err := filepath.Rel(dir, folder)
		if err != nil {
			t.Error(err)
		}
		folders = append(folders, filepath.ToSlash(below))
		return durable.SyncFolder(folder)
	}, &folders
}

func TestEveryNewNameIsFlushed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		do   func(durable.Sync) error
		want []string
	}{
		{"folders", func(s durable.Sync) error { return durable.MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700, s) }, []string{"a/b", "a", "."}},
		{"a folder in one that is there", func(s durable.Sync) error { return durable.MkdirAll(filepath.Join(dir, "a", "d"), 0o700, s) }, []string{"a"}},
		{"a folder that is there", func(s durable.Sync) error { return durable.MkdirAll(filepath.Join(dir, "a", "d"), 0o700, s) }, nil},
		{"a file", func(s durable.Sync) error {
			f, err := durable.Create(filepath.Join(dir, "a", "f"), s)
			return errors.Join(err, f.Close())
		}, []string{"a"}},
		{"a file in its place", func(s durable.Sync) error {
			return durable.Rename(filepath.Join(dir, "a", "f"), filepath.Join(dir, "a", "b", "f"), s)
		}, []string{"a/b"}},
	} {
		s, folders := synced(t, dir)
		if err := c.do(s); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !slices.Equal(*folders, c.want) {
			t.Errorf("%s: flushed %q, want %q", c.name, *folders, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "b", "f")); err != nil {
		t.Error(err)
	}
}

func TestAFolderThatCannotBeFlushedIsAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is gone")
	fails := func(string) error { return broken }
	dir := t.TempDir()
	if err := durable.MkdirAll(filepath.Join(dir, "a"), 0o700, fails); !errors.Is(err, broken) {
		t.Errorf("MkdirAll: %v", err)
	}
	if _, err := durable.Create(filepath.Join(dir, "f"), fails); !errors.Is(err, broken) {
		t.Errorf("Create: %v", err)
	}
	if err := durable.Rename(filepath.Join(dir, "f"), filepath.Join(dir, "g"), fails); !errors.Is(err, broken) {
		t.Errorf("Rename: %v", err)
	}
	if _, err := durable.Create(filepath.Join(dir, "g"), nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create where a file is: %v", err)
	}
	if err := durable.MkdirAll(filepath.Join(dir, "g", "h"), 0o700, nil); err == nil {
		t.Error("a folder was created in a file")
	}
}
