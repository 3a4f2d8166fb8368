package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// heldBytes is how much of a batch, data and contents, is held: what is more is read again as it is written.
const heldBytes = 8 << 20

// batch is one batch of the source. It is read event by event, and then written.
type batch struct {
	*copier
	eventstore.Batch

	after       eventstore.Position // of the event before it
	first, last eventstore.Record   // without data
	size        int64               // bytes that are held
	taken       map[string]bool     // its contents
	again       again
}

func (c *copier) newBatch(after eventstore.Position) *batch {
	return &batch{copier: c, after: after, taken: map[string]bool{}}
}

// add adds an event, which must continue the batch or begin it.
func (b *batch) add(ctx context.Context, r eventstore.Record) error {
	index := len(b.Events)
	if r.Meta.Index != index || index > 0 && (r.Stream != b.first.Stream ||
		r.Revision != b.first.Revision+eventstore.Revision(index) || !eventstore.SameBatch(b.first, r)) {
		return broken(r)
	}
	if err := b.addContents(ctx, r); err != nil {
		return err
	}
	e := eventstore.NewEvent{ID: r.ID, Type: r.Type}
	if b.hold(int64(len(r.Data))) {
		e.Data = r.Data
	} else {
		e.Load = func() ([]byte, error) { return b.again.read(ctx, b, index) }
	}
	b.Events = append(b.Events, e)
	r.Data = nil
	if b.last = r; index == 0 {
		b.first = r
	}
	return nil
}

// hold reports whether there is room to hold size bytes more, and takes it.
func (b *batch) hold(size int64) bool {
	if b.size+size > heldBytes {
		return false
	}
	b.size += size
	return true
}

// addContents adds the contents that r names and the target does not hold. What an event of an unknown type names comes with the
// admin action.
func (b *batch) addContents(ctx context.Context, r eventstore.Record) error {
	event, err := eventstore.Decode(r)
	if err != nil {
		return nil //nolint:nilerr // verify names it; a copy is of all that is there
	}
	for _, named := range eventstore.NamedContents(event) {
		hash := named.SHA256
		if b.held[hash] || b.taken[hash] {
			continue
		}
		content := b.content(ctx, hash)
		if b.size+named.Size <= heldBytes {
			if content.Bytes, err = content.Load(); b.hold(int64(len(content.Bytes))) {
				content.Load = nil
			} else {
				content.Bytes = nil // the event said less
			}
		} else {
			err = b.keeps(ctx, hash)
		}
		if errors.Is(err, eventstore.ErrNotFound) {
			continue // it is told in the end
		}
		if err != nil {
			return fmt.Errorf("event at position %d: %w", r.Position, err)
		}
		b.Contents, b.taken[hash] = append(b.Contents, content), true
	}
	return nil
}

// append writes the batch, as recorded at a time.
func (b *batch) append(ctx context.Context, recordedAt time.Time) error {
	defer b.again.end()
	b.Stream, b.Expected, b.Meta, b.RecordedAt = b.first.Stream, eventstore.NoStream(), b.first.Meta, recordedAt
	if b.first.Revision > 0 {
		b.Expected = eventstore.AtRevision(b.first.Revision - 1)
	}
	if _, err := b.to.Append(ctx, b.Batch); err != nil {
		return fmt.Errorf("batch at position %d: %w", b.first.Position, err)
	}
	for hash := range b.taken {
		b.held[hash] = true
	}
	b.done.Written += uint64(len(b.Events))
	return nil
}

// content is a content of the source, which is read as it is written.
func (c *copier) content(ctx context.Context, hash string) eventstore.Blob {
	return eventstore.Blob{SHA256: hash, Load: func() ([]byte, error) { return c.from.Content(ctx, hash) }}
}

// keeps is ErrNotFound for a content that the source does not hold.
func (c *copier) keeps(ctx context.Context, hash string) error {
	if c.kept == nil {
		c.kept = map[string]bool{}
		for hash, err := range c.from.ContentHashes(ctx) {
			if err != nil {
				return err
			}
			c.kept[hash] = true
		}
	}
	if !c.kept[hash] {
		return eventstore.ErrNotFound
	}
	return nil
}

// again reads a batch of the source again. Events are asked for in order, and a log that tries again begins anew.
type again struct {
	next func() (eventstore.Record, error, bool)
	stop func()
	at   int // index of the event that next returns
}

func (a *again) read(ctx context.Context, b *batch, index int) ([]byte, error) {
	if a.next == nil || index < a.at {
		a.end()
		a.next, a.stop = iter.Pull2(b.from.Read(ctx, b.after, eventstore.Filter{}))
		a.at = 0
	}
	for ; ; a.at++ {
		r, err, more := a.next()
		switch {
		case err != nil:
			return nil, err
		case !more || r.ID != b.Events[a.at].ID:
			return nil, broken(b.last)
		case a.at == index:
			a.at++
			return r.Data, nil
		}
	}
}

func (a *again) end() {
	if a.next != nil {
		a.stop()
		a.next = nil
	}
}
