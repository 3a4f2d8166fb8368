package verify_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/verify/verifytest"
)

// TestWhatABatchTellsTwiceIsCompared: whoever makes checksums and guards again must change all that depends on what he changes.
func TestWhatABatchTellsTwiceIsCompared(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, func(t *testing.T) eventstore.Log { t.Helper(); return memory.New(clock) })
}
