//go:build !unix

package config

import "io/fs"

// sharedWithOthers says how others can change a file or folder. This system has no owners of that kind: "".
func sharedWithOthers(fs.FileInfo) string { return "" }
