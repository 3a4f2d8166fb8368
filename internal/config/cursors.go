package config

import (
	"context"
	"errors"

	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// OpenCursors TEMPORARY until the stores are merged.
func (s Settings) OpenCursors(context.Context) (feed.Cursors, error) {
	return nil, errors.New("no store yet")
}
