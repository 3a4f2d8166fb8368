package benchmarks_test

import (
	"os"
	"syscall"
)

// dataSync waits until what was written to file is on the disk.
func dataSync(file *os.File) error { return syscall.Fdatasync(int(file.Fd())) }
