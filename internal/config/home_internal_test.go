package config

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestANewHomeIsFlushedWithItsParents: a power loss takes neither the home nor a folder that leads there.
func TestANewHomeIsFlushedWithItsParents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var flushed []string
	sync := func(folder string) error {
		flushed = append(flushed, folder)
		return nil
	}
	home := filepath.Join(dir, "data", "gxpledger")
	if err := createHome(home, sync); err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "data"), dir, home}; !slices.Equal(flushed, want) {
		t.Errorf("flushed %q, want %q", flushed, want)
	}
	if err := createHome(home, sync); err != nil || len(flushed) != 3 {
		t.Errorf("a home that is there: %v, flushed %q", err, flushed)
	}
}
