//go:build !linux

package benchmarks_test

// resident is not asked for here.
func resident() uint64 { return 0 }
