package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gxpledger/gxpledger/eventstore"
)

// findHeld notes which contents the target holds.
func (c *copier) findHeld(ctx context.Context) error {
	for hash, err := range c.to.ContentHashes(ctx) {
		if err != nil {
			return err
		}
		c.held[hash] = true
	}
	return nil
}

// name notes the contents that an event of the source names.
func (c *copier) name(r eventstore.Record) {
	event, err := eventstore.Decode(r)
	if err != nil {
		return
	}
	for _, hash := range eventstore.ContentsNamed(event) {
		c.named[hash] = true
	}
}

// contentsOf returns the contents that records name and the target does not hold. What an event of an unknown type names
// comes with the admin action.
func (c *copier) contentsOf(ctx context.Context, records []eventstore.Record) ([]eventstore.Blob, error) {
	var blobs []eventstore.Blob
	taken := map[string]bool{}
	for _, r := range records {
		event, err := eventstore.Decode(r)
		if err != nil {
			continue // verify names it; a copy is of all that is there
		}
		for _, hash := range eventstore.ContentsNamed(event) {
			if c.held[hash] || taken[hash] {
				continue
			}
			data, err := c.from.Content(ctx, hash)
			if errors.Is(err, eventstore.ErrNotFound) {
				continue // it is told in the end
			}
			if err != nil {
				return nil, fmt.Errorf("event at position %d: %w", r.Position, err)
			}
			blobs, taken[hash] = append(blobs, eventstore.Blob{SHA256: hash, Bytes: data}), true
		}
	}
	return blobs, nil
}

// checkContents reads from the target every content of the source. It returns those that the target does not hold, since
// no event that was copied names them.
func (c *copier) checkContents(ctx context.Context) (loose []eventstore.Blob, err error) {
	if c.done.Until > 0 {
		return nil, c.checkNamed(ctx)
	}
	for hash, err := range c.from.ContentHashes(ctx) {
		if err != nil {
			return nil, err
		}
		_, err := c.to.Content(ctx, hash)
		if errors.Is(err, eventstore.ErrNotFound) {
			var data []byte
			if data, err = c.from.Content(ctx, hash); err == nil {
				loose = append(loose, eventstore.Blob{SHA256: hash, Bytes: data})
			}
		}
		if err != nil {
			return nil, err
		}
		delete(c.named, hash)
		c.done.Contents++
		c.say(Contents, c.done.Contents, 0)
	}
	c.done.Lost = append(c.done.Lost, slices.Sorted(maps.Keys(c.named))...)
	return loose, nil
}

// checkNamed reads from the target the contents that events name which were copied. What else the source holds may be of
// events that were left out.
func (c *copier) checkNamed(ctx context.Context) error {
	for _, hash := range slices.Sorted(maps.Keys(c.named)) {
		_, err := c.to.Content(ctx, hash)
		switch {
		case errors.Is(err, eventstore.ErrNotFound):
			c.done.Lost = append(c.done.Lost, hash)
			continue
		case err != nil:
			return err
		}
		c.done.Contents++
		c.say(Contents, c.done.Contents, 0)
	}
	return nil
}
