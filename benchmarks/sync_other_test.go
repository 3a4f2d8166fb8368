//go:build !linux

package benchmarks_test

import "os"

// dataSync waits until what was written to file is on the disk.
func dataSync(file *os.File) error { return file.Sync() }
