package kurrent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// marks say how far the server was looked through and where the log ended there, so that what other applications write is
// passed over once. A file keeps them from process to process; what it says is compared with the server before it is used.
// They are safe for concurrent use.
type marks struct {
	file string // "" for memory alone

	mu     sync.Mutex // guards all below
	loaded bool
	kept   bool // the file says the same
	mark
}

// mark is one state of marks.
type mark struct {
	resume place  // the newest event of the server up to which it was looked through; the zero one for none
	head   *event // the last of the log's up to there, nil for none
}

// place is an event of the server, as a file keeps it. Stored form: names must not be changed.
type place struct {
	Commit   eventstore.Position `json:"commit"`
	Prepare  eventstore.Position `json:"prepare"`
	Stream   string              `json:"stream"`
	Revision uint64              `json:"revision"`
	ID       uuid.UUID           `json:"id"`
}

// storedMarks is the file.
type storedMarks struct {
	Resume place  `json:"resume"`
	Head   *place `json:"head,omitempty"`
}

func placeOf(e *event) place {
	return place{Commit: e.Position, Prepare: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID}
}

// keepIn keeps the marks of the log id in a folder.
func (m *marks) keepIn(dir string, id uuid.UUID) {
	if dir != "" {
		m.file = filepath.Join(dir, "positions-"+id.String()+".json")
	}
}

func (m *marks) now() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mark
}

func (m *marks) isLoaded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loaded
}

func (m *marks) set(now mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mark, m.loaded, m.kept = now, true, false
}

// skip returns from where a subscription that has all up to a position may begin: nothing of the log is between the two.
func (m *marks) skip(at eventstore.Position) eventstore.Position {
	now := m.now()
	if at > 0 && now.head != nil && now.head.Position <= at && at < now.resume.Commit {
		return now.resume.Commit
	}
	return at
}

// save writes the file, if there is one and it says something else.
func (m *marks) save() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == "" || m.kept || m.resume.Commit == 0 {
		return nil
	}
	stored := storedMarks{Resume: m.resume}
	if m.head != nil {
		head := placeOf(m.head)
		stored.Head = &head
	}
	text, err := json.Marshal(stored)
	if err == nil {
		err = replace(m.file, text)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is no such folder, as before a command that only reads
	}
	m.kept = err == nil
	return err
}

// read returns what the file says, which need not be true, false if it says nothing.
func (m *marks) read() (stored storedMarks, ok bool) {
	if m.file == "" {
		return storedMarks{}, false
	}
	text, err := os.ReadFile(m.file)
	return stored, err == nil && json.Unmarshal(text, &stored) == nil
}

// load takes what the file says and the server confirms. The turn of the end must be held.
func (l *Log) load(ctx context.Context) error {
	if l.marks.isLoaded() {
		return nil
	}
	var found mark
	stored, ok := l.marks.read()
	if ok && stored.Head != nil {
		var err error
		if found.head, err = l.keptAt(ctx, *stored.Head); err != nil {
			return err
		}
		if found.head == nil || !l.chosen(found.head, "") || l.rest(found.head) > 0 {
			ok = false
		} else if foreign, err := l.foreign(ctx, found.head); err != nil || foreign {
			return err
		}
	}
	if ok {
		found.resume = stored.Resume
		switch e, err := l.keptAt(ctx, stored.Resume); {
		case err != nil:
			return err
		case e == nil && found.head == nil:
			ok = false
		case e == nil: // others may cut their streams
			found.resume = placeOf(found.head)
		}
	}
	if !ok || found.head != nil && found.resume.Commit < found.head.Position {
		found = mark{}
	}
	hides, err := l.hides(ctx, found)
	if hides {
		found = mark{}
	}
	if err == nil {
		l.marks.set(found)
	}
	return err
}

// hides reports whether a mark that a file keeps hides events of the log, as far as two reads tell: later ones of the stream of its last
// event, and of the engine's. Events of other streams cost passing over all between the two again, which verify does.
func (l *Log) hides(ctx context.Context, m mark) (bool, error) {
	if m.head == nil || m.resume.Commit <= m.head.Position {
		return false, nil
	}
	next := m.head.Revision + 1
	for _, request := range []*api.ReadReq{
		readStream(m.head.Stream, forwards, &next, 1), readStream(l.names.stream(eventstore.EngineStream), backwards, nil, 1),
	} {
		e, err := l.one(ctx, request)
		if err != nil && !errors.Is(err, errDeleted) {
			return false, err
		}
		if e != nil && m.head.Position < e.Position && e.Position <= m.resume.Commit {
			return true, nil
		}
	}
	return false, nil
}

// keptAt is eventAt for a place that the server showed once. A leader that does not show it may have been replaced and not know
// it, or be a new one that lags: that the event is gone is said by one that reaches as far, or by the nodes that confirm that
// the log ends before.
func (l *Log) keptAt(ctx context.Context, p place) (*event, error) {
	e, err := l.eventAt(ctx, p)
	if e != nil || err != nil {
		return e, err
	}
	switch err := l.beyond(ctx, p.Commit, errShorter); {
	case errors.Is(err, errShorter):
		return nil, nil //nolint:nilnil // nothing is an answer here
	case err != nil:
		return nil, err
	}
	err = l.try(ctx, func() error {
		return l.reaching(ctx, p.Commit, func() (err error) {
			e, err = l.eventAt(ctx, p)
			return err
		})
	})
	return e, err
}

// eventAt returns the event at a place, nil if the server has another there or does not show it. The stream is asked: a server
// that is another, or was restored, might never have given the position.
func (l *Log) eventAt(ctx context.Context, p place) (*event, error) {
	if p.Stream == "" || p.Revision >= unlimited {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	e, err := l.one(ctx, readStream(p.Stream, forwards, &p.Revision, 1))
	switch {
	case errors.Is(err, errDeleted), errors.Is(err, ErrRefused), e == nil && err == nil:
		return nil, nil //nolint:nilnil // nothing is an answer here
	case err != nil:
		return nil, err
	case placeOf(e) != p:
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	return e, nil
}

// end returns the last event of the log, nil when it has none. The newest event of the server, which only a leader tells,
// says whether anything came since it was last looked for; what came is passed over on the server.
func (l *Log) end(ctx context.Context) (*event, error) {
	for {
		before := l.marks.now() // what is read after it was known must not be older
		newest, err := l.newestOfAll(ctx)
		if err != nil {
			return nil, err
		}
		var at eventstore.Position
		if newest != nil {
			at = newest.Position
		}
		switch {
		case at < before.resume.Commit:
			err = l.beyond(ctx, before.resume.Commit, errShorter)
			if errors.Is(err, errShorter) { // readers find out what it lost
				l.marks.set(mark{})
				err = nil
			}
			if err != nil {
				return nil, err
			}
			continue
		case at == before.resume.Commit:
			if newest == nil || newest.ID == before.resume.ID {
				return before.head, nil
			}
			l.marks.set(mark{}) // it was restored, and went on as far
		}
		return l.advance(ctx, newest)
	}
}

// errShorter: the server ends earlier than it did.
var errShorter = errors.New("the server ends earlier than it did")

// advance moves the marks to an event that was the newest of the server, and returns the last event of the log.
func (l *Log) advance(ctx context.Context, newest *event) (*event, error) {
	done, err := l.turns.take(ctx, "end")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	now := l.marks.now()
	if now.resume.Commit >= newest.Position {
		return now.head, nil
	}
	head, passed, err := l.lastUpTo(ctx, newest, now)
	if err != nil {
		return nil, err
	}
	if head != nil && head.Position > newest.Position {
		newest = head
	}
	l.marks.set(mark{resume: placeOf(newest), head: head})
	if passed {
		if err := l.marks.save(); err != nil {
			l.options.Observe(fmt.Errorf("keep where the log ends: %w", err))
		}
	}
	return head, nil
}

// lastUpTo returns the last event of the log up to the newest of the server, or of the batch that this is of. It says
// whether events of others were passed over.
func (l *Log) lastUpTo(ctx context.Context, newest *event, now mark) (head *event, passed bool, err error) {
	if l.chosen(newest, "") {
		foreign, err := l.foreign(ctx, newest)
		if err != nil {
			return nil, false, err
		}
		if !foreign {
			head, err = l.whole(ctx, newest)
			return head, false, err
		}
	}
	f := l.names.filter("")
	if now.resume.Commit == 0 {
		if head, ok, err := l.lastOfPage(ctx, newest.Position, f); ok || err != nil {
			return head, true, err
		}
	}
	head = now.head
	for e, err := range l.choose(ctx, l.span(ctx, now.resume.Commit, newest, l.chosen(newest, ""), f), "") {
		if err != nil {
			return nil, false, err
		}
		head = e
	}
	return head, true, nil
}

// lastOfPage looks for the last event of the log backwards from the end, which does not send what the log has before it. The
// leader must reach the newest event of the server. It is not ok where the last event cannot be told from one page, or not in
// the time of one answer.
func (l *Log) lastOfPage(ctx context.Context, newest eventstore.Position, f *filter) (head *event, ok bool, err error) {
	count := uint64(0)
	err = l.reaching(ctx, newest, func() (err error) {
		head, err = first(l.choose(ctx, l.counted(l.fetch(ctx, readAll(backwards, 0, f, l.sizes.firstPage)), &count), ""))
		return err
	})
	switch {
	case errors.Is(err, eventstore.ErrTransient):
		return nil, false, l.usable(ctx)
	case err != nil:
		return nil, false, err
	case head != nil:
		head, err = l.whole(ctx, head)
		return head, err == nil, err
	}
	return nil, count < l.sizes.firstPage, nil
}

// counted counts the events that are yielded.
func (*Log) counted(found events, count *uint64) events {
	return func(yield func(*event, error) bool) {
		for e, err := range found {
			*count++
			if !yield(e, err) {
				return
			}
		}
	}
}
