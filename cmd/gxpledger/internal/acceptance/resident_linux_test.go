package acceptance_test

import (
	"os"
	"syscall"
)

// residentMiB is the most memory that a process had resident.
func residentMiB(p *os.ProcessState) float64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(usage.Maxrss) / 1024
}
