//go:build unix

package sqlitefault

import (
	"fmt"
	"os"
	"syscall"
)

// access returns why this process may not read, or write, a file.
func access(path string, write bool) error { //revive:disable-line:flag-parameter // as documented
	const mayWrite, mayRead = 2, 4
	mode := uint32(mayRead)
	if write {
		mode = mayWrite
	}
	if err := syscall.Access(path, mode); err != nil {
		return &os.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}

func ownerOf(info os.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf(" and the owner %d", stat.Uid)
	}
	return ""
}
