//go:build windows

package databasetest

import (
	"errors"
	"testing"
)

// sleep needs signals that Windows does not have.
func (Adapter) sleep(string) error { return errors.ErrUnsupported }

func (Adapter) testAStoppedProcessDoesNotWriteWhenItWakesUp(t *testing.T) {
	t.Skip("Windows has no signal that stops a process")
}
