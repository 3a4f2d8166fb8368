package kurrent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

// guard finds out who told the server to cut streams of the log. It is safe for concurrent use.
type guard struct {
	mu     sync.Mutex
	looked map[string]bool // streams whose metadata was found to be harmless
}

// lookOnce is look, but for a stream that was looked at before. What was cut since then shows as missing revisions.
func (g *guard) lookOnce(ctx context.Context, l *Log, stream string) error {
	g.mu.Lock()
	looked := g.looked[stream]
	g.mu.Unlock()
	if looked {
		return nil
	}
	if err := g.look(ctx, l, stream); err != nil {
		return err
	}
	g.mu.Lock()
	g.looked[stream] = true
	g.mu.Unlock()
	return nil
}

// look returns ErrCorrupt if the metadata of a stream makes the server cut it or hide it.
func (g *guard) look(ctx context.Context, l *Log, stream string) error {
	e, err := l.one(ctx, readStream(settingsPrefix+stream, backwards, nil, 1))
	switch {
	case err != nil:
		return fmt.Errorf("read metadata of stream %q: %w", stream, err)
	case e == nil:
		return nil
	}
	var settings map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &settings); err != nil {
		return fmt.Errorf("%w: metadata of stream %q: %w", eventstore.ErrCorrupt, stream, err)
	}
	for name, value := range settings {
		if slices.Contains([]string{"$maxCount", "$maxAge", "$tb"}, name) {
			return fmt.Errorf("%w: metadata of stream %q sets %s to %s, which makes the server cut the log: its events were "+
				"truncated, deleted or tampered with", eventstore.ErrCorrupt, stream, name, value)
		}
	}
	return nil
}
