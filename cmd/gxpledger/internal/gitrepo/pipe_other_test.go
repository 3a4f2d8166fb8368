//go:build !unix

package gitrepo_test

import (
	"os"
	"testing"
)

// makePipe makes a folder: as little a file as a pipe is.
func makePipe(t testing.TB, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
