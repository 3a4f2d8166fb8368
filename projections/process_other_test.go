//go:build windows

package projections_test

import "errors"

// sleep needs signals that Windows does not have.
func sleep(string) error { return errors.ErrUnsupported }
