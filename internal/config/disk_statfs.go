//go:build linux || darwin

package config

import "syscall"

// freeBytes returns how many bytes this user may still write on the file system of a folder.
func freeBytes(folder string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return 0, err
	}
	return stat.Bavail * uint64(stat.Bsize), nil //nolint:gosec // no block has a negative size
}
