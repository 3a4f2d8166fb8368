package feedtest_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/feedtest"
)

func TestCursorsInMemory(t *testing.T) {
	t.Parallel()
	feedtest.TestCursors(t, func(testing.TB) func() feed.Cursors {
		store := feedtest.NewCursors()
		return func() feed.Cursors { return shared{store} }
	})
}

// shared is a handle of a store that others use too.
type shared struct{ feed.Cursors }

func (shared) Close() error { return nil }
