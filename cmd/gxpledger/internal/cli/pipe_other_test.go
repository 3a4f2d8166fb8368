//go:build !unix

package cli_test

import (
	"os"
	"testing"
)

// makePipe makes a folder: as little a file as a pipe is.
func makePipe(tb testing.TB, path string) {
	tb.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		tb.Fatal(err)
	}
}
