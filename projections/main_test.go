package projections_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, in a process that a test has started, the part that it plays.
func TestMain(m *testing.M) {
	part := os.Getenv("GXPLEDGER_TEST_PART")
	if part == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := play(part, os.Getenv("GXPLEDGER_TEST_TABLES")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
