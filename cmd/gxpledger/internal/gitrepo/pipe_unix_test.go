//go:build unix

package gitrepo_test

import (
	"syscall"
	"testing"
)

func makePipe(t testing.TB, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
