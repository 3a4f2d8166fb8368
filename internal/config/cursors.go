package config

import (
	"context"

	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// OpenCursors opens the store of cursors beside the log. Errors: an [*Error]; always, until a store is built in.
func (s Settings) OpenCursors(context.Context) (feed.Cursors, error) {
	return nil, &Error{
		Setting: Home, Err: ErrInvalid, Problem: "this build has no store of cursors, which relays need", Remedy: "use a build that has one",
	}
}
