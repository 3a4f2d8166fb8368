//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// sharedWithOthers says how others can change a file or folder; "" when nobody but this user can.
func sharedWithOthers(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	const writableByOthers = 0o022
	switch {
	case !ok:
		return "has no owner that can be told"
	case int64(stat.Uid) != int64(os.Geteuid()):
		return fmt.Sprintf("belongs to another user (id %d)", stat.Uid)
	case info.Mode().Perm()&writableByOthers != 0:
		return "can be written by other users"
	case !info.IsDir() && stat.Nlink > 1:
		return "has another name elsewhere (a hard link)"
	}
	return ""
}
