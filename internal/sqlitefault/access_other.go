//go:build !unix

package sqlitefault

import "os"

// access returns why this process may not read, or write, a file, as far as the system tells without opening it.
func access(path string, write bool) error { //revive:disable-line:flag-parameter // as documented
	const ownerWrites = 0o200
	info, err := os.Stat(path)
	if err == nil && write && info.Mode()&ownerWrites == 0 {
		err = &os.PathError{Op: "access", Path: path, Err: os.ErrPermission}
	}
	return err
}

func ownerOf(os.FileInfo) string { return "" }
