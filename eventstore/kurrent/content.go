package kurrent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	contentEvent = "content.v1"
	// contentPart is the largest part of a content that is one event.
	contentPart = 4 << 20
	// storing is how many contents are written at one time: each waits for the server's disk, as do the others.
	storing = 64
	// remembered is how many hashes are held at most, to spare writing a content again that the server has.
	remembered = 100_000
)

// knownContents are hashes of contents that the server has. It is safe for concurrent use.
type knownContents struct {
	mu     sync.Mutex
	hashes map[string]bool
}

func (k *knownContents) has(hash string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hashes[hash]
}

func (k *knownContents) add(hash string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.hashes) >= remembered {
		clear(k.hashes)
	}
	k.hashes[hash] = true
}

// store writes those of contents that the server does not have yet. It holds no more of them than there is room for: what is to be loaded is
// loaded one after the other, as others are written.
func (l *Log) store(ctx context.Context, contents []eventstore.Blob) error {
	missing, err := l.missing(contents)
	if err != nil {
		return err
	}
	faults := make(chan error, len(missing)+1)
	slots := make(chan struct{}, storing)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	for _, c := range missing {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break // one failed, or nobody waits: the rest would wait for the server one by one
		}
		data, size, err := l.loadContent(ctx, c)
		if err != nil {
			faults <- err
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			defer l.room.hold(-size)
			if err := l.storeOne(ctx, c.SHA256, data); err != nil {
				faults <- err
				cancel()
			}
		})
	}
	running.Wait()
	close(faults)
	if err, failed := <-faults; failed {
		return err
	}
	return context.Cause(ctx)
}

// missing returns those of contents, each once, that the server is not known to have. One in memory that is too large is refused before any is
// written.
func (l *Log) missing(contents []eventstore.Blob) ([]eventstore.Blob, error) {
	seen := make(map[string]bool, len(contents))
	var missing []eventstore.Blob
	for _, c := range contents {
		if seen[c.SHA256] || l.contents.has(c.SHA256) {
			continue
		}
		seen[c.SHA256] = true
		missing = append(missing, c)
		if c.Load == nil {
			if err := l.checkContent(c.SHA256, c.Bytes); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// checkContent refuses a content that is larger than an append.
func (l *Log) checkContent(hash string, data []byte) error {
	return l.options.checkSize("content "+hash, l.parts(hash, data))
}

// loadContent returns the bytes of a content and how much of the room they take, which the caller must give back. Only one at a time loads, so that
// less than one content is held beyond the room.
func (l *Log) loadContent(ctx context.Context, c eventstore.Blob) (data []byte, size int64, err error) {
	done, err := l.turns.take(ctx, "load")
	if err != nil {
		return nil, 0, err
	}
	defer done()
	if err := l.room.take(ctx, 1); err != nil {
		return nil, 0, err
	}
	data, err = c.Read()
	if err == nil {
		err = l.checkContent(c.SHA256, data)
	}
	if err != nil {
		l.room.hold(-1)
		return nil, 0, err
	}
	size = max(1, int64(len(data)))
	l.room.hold(size - 1)
	return data, size, nil
}

// storeOne writes a content. One that is there is no matter: a stream of that name is only ever that. A server need not say so, as
// while the answer to whoever wrote it is open: where a try fails, the content is looked for before the next.
func (l *Log) storeOne(ctx context.Context, hash string, data []byte) error {
	parts := l.parts(hash, data)
	retry := l.retry()
	defer retry.done()
	for {
		_, sent, err := l.writeOnce(ctx, l.names.content(hash), eventstore.NoStream(), parts)
		conflict := errors.Is(err, eventstore.ErrConflict)
		if conflict || err != nil && sent && !refused(err) && errors.Is(err, eventstore.ErrTransient) {
			there, unknown := l.stored(ctx, hash, data)
			switch {
			case there:
				err = nil
			case unknown != nil && (conflict || !errors.Is(unknown, eventstore.ErrTransient)):
				err = unknown
			case conflict:
				err = &passingError{text: fmt.Sprintf("stream %q has events that are not shown yet", l.names.content(hash))}
			}
		}
		if err == nil {
			l.contents.add(hash)
			return nil
		}
		if err := retry.again(ctx, err); err != nil {
			return fmt.Errorf("store content %s: %w", hash, err)
		}
	}
}

// stored reports whether the server shows a content, which is data. It asks once, and not for long: another try is as good. Other bytes in
// its stream are ErrCorrupt.
func (l *Log) stored(ctx context.Context, hash string, data []byte) (bool, error) {
	want, stream, from, n := data, l.names.content(hash), uint64(0), 0
	limit := min(l.limit(), l.cluster.patience.spent)
	for e, err := range l.fetchWithin(ctx, limit, readStream(stream, forwards, &from, unlimited)) {
		switch {
		case errors.Is(err, eventstore.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		case e.Stream != stream || !bytes.HasPrefix(want, e.Data):
			return false, otherBytes(hash)
		}
		want = want[len(e.Data):]
		n++
	}
	if n > 0 && len(want) > 0 {
		return false, otherBytes(hash)
	}
	return n > 0, nil
}

func otherBytes(hash string) error {
	return fmt.Errorf("%w: stream of content %s has other bytes: it was truncated or tampered with", eventstore.ErrCorrupt, hash)
}

// parts makes the events of a content. Their ids come from its name, so that writing it again is known for what it is.
func (l *Log) parts(hash string, data []byte) []newEvent {
	sum := sha256.Sum256([]byte(l.names.content(hash)))
	chunks := slices.Collect(slices.Chunk(data, contentPart))
	if len(chunks) == 0 {
		chunks = [][]byte{{}}
	}
	events := make([]newEvent, len(chunks))
	for i, chunk := range chunks {
		events[i] = newEvent{
			ID: eventstore.DeriveEventID([16]byte(sum[:16]), i), Type: contentEvent,
			Data: chunk,
		}
	}
	return events
}

// Content implements [eventstore.ContentStore]. Of contents that are read at the same time, some wait until there is room for them.
func (l *Log) Content(ctx context.Context, hash string) ([]byte, error) {
	content, err := l.content(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read content %s: %w", hash, err)
	}
	return content, nil
}

func (l *Log) content(ctx context.Context, hash string) ([]byte, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size || strings.ToLower(hash) != hash {
		return nil, eventstore.ErrNotFound
	}
	// Its size is not known before: most are one part, few as large as an append, and none larger than what a server takes.
	var err error
	for _, most := range []int64{contentPart, max(contentPart, l.options.MaxAppendBytes), largestChunk} {
		var content []byte
		if content, err = l.contentWithin(ctx, hash, most); !errors.Is(err, errNoRoom) {
			return content, err
		}
	}
	return nil, fmt.Errorf("%w: what is stored has more than %d bytes, which nobody could write", eventstore.ErrCorrupt, largestChunk)
}

// errNoRoom: a content is larger than what was taken for it.
var errNoRoom = errors.New("content is larger than its room")

// contentWithin returns a content of up to so many bytes, for which it takes room while it reads.
func (l *Log) contentWithin(ctx context.Context, hash string, most int64) ([]byte, error) {
	if err := l.room.take(ctx, most); err != nil {
		return nil, err
	}
	defer l.room.hold(-most)
	stream, sum := l.names.content(hash), sha256.New()
	var parts [][]byte
	for e, err := range l.forthStream(ctx, stream, 0, unlimited) {
		if errors.Is(err, eventstore.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		if most -= int64(len(e.Data)); most < 0 {
			return nil, errNoRoom
		}
		sum.Write(e.Data)
		parts = append(parts, e.Data)
	}
	if len(parts) == 0 {
		if err := l.guard.look(ctx, l, stream); err != nil {
			return nil, err
		}
		return nil, eventstore.ErrNotFound
	}
	if sum := sum.Sum(nil); hex.EncodeToString(sum) != hash {
		return nil, fmt.Errorf("%w: what is stored has the hash %x: it was truncated or tampered with", eventstore.ErrCorrupt, sum)
	}
	if content := slices.Concat(parts...); content != nil {
		return content, nil
	}
	return []byte{}, nil
}

// ContentHashes implements [eventstore.ContentStore]. The server sends the contents with their names.
func (l *Log) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	end, err := l.newestOfAll(ctx)
	return func(yield func(string, error) bool) {
		if err != nil {
			yield("", fmt.Errorf("list contents: %w", err))
			return
		}
		if end == nil {
			return
		}
		for m, err := range l.span(ctx, 0, end, false, l.names.contents()) {
			if err != nil {
				yield("", fmt.Errorf("list contents: %w", err))
				return
			}
			hash, ok := strings.CutPrefix(m.Stream, l.names.content(""))
			if ok && m.Revision == 0 && !yield(hash, nil) {
				return
			}
		}
	}
}
