package kurrent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

var _ eventstore.IntegrityChecker = (*Log)(nil)

// CheckIntegrity implements [eventstore.IntegrityChecker]: no stream of the log, nor of a content, was deleted, and none has settings of
// its own, which could cut it, hide it or let others at it. The package sets none; an administrator who wants to close the
// streams does that for all, in the server's "$settings". What a server hides from its user is not seen.
func (l *Log) CheckIntegrity(ctx context.Context, report func(eventstore.Fault)) error {
	err := l.usable(ctx)
	if err == nil {
		err = l.examine(ctx, report)
	}
	if err != nil {
		return fmt.Errorf("cannot check log: %w", err)
	}
	return nil
}

func (l *Log) examine(ctx context.Context, report func(eventstore.Fault)) error {
	if err := l.examineMarks(ctx, report); err != nil {
		return err
	}
	end, err := l.newestOfAll(ctx)
	if err != nil || end == nil {
		return err
	}
	settings := map[string]*event{} // the last of each stream
	acts := &filter{byType: true, prefixes: []string{settingsEvent, tombstone}}
	for e, err := range l.span(ctx, 0, end, false, acts) {
		if err != nil {
			return err
		}
		stream, isSettings := strings.CutPrefix(e.Stream, settingsPrefix)
		switch {
		case !l.names.owns(stream):
		case e.Type == tombstone:
			if err := l.blame(ctx, stream, e, "it was deleted for ever (tombstoned)", report); err != nil {
				return err
			}
		case isSettings && e.Type == settingsEvent:
			settings[stream] = e
		}
	}
	for _, stream := range slices.Sorted(maps.Keys(settings)) {
		e := settings[stream]
		for _, text := range harm(e.Data) {
			if err := l.blame(ctx, stream, e, text, report); err != nil {
				return err
			}
		}
	}
	return l.reportForeign(ctx, end, report)
}

// blame reports what was done to a stream, unless it is known to be of another application. Where nothing is left of it,
// it may have been the log's.
func (l *Log) blame(ctx context.Context, stream string, e *event, text string, report func(eventstore.Fault)) error {
	foreign, err := l.foreignStream(ctx, stream)
	if err == nil && !foreign {
		report(deed(e, stream, text))
	}
	return err
}

// examineMarks looks for the end of the log without what was kept of it. A file that is made of true places can hide events
// behind the head that it names, and whoever can write it could.
func (l *Log) examineMarks(ctx context.Context, report func(eventstore.Fault)) error {
	kept := l.marks.now()
	l.marks.set(mark{})
	head, err := l.end(ctx)
	if err != nil || head == nil || head.Position > kept.resume.Commit {
		return err // it came since
	}
	if kept.head == nil || kept.head.Position < head.Position {
		report(eventstore.Fault{
			Code: eventstore.FaultFile, Position: head.Position, Where: "file " + l.marks.file,
			Text:   fmt.Sprintf("it hides events of the log up to position %d, so that what was read before this is not the whole log", head.Position),
			Remedy: "find out who changed it; gxpledger replaced it: verify again, and rebuild the tables where that finds differences",
		})
	}
	return nil
}

// Where a server keeps the settings of a stream.
const (
	settingsEvent  = "$metadata"
	settingsPrefix = "$$"
)

// deed is the fault of what an administrator did to a stream by an event.
func deed(e *event, stream, text string) eventstore.Fault {
	return eventstore.Fault{
		Code: eventstore.FaultGuard, Position: e.Position, Where: fmt.Sprintf("stream %q", stream),
		Text: text + ", by the event at this position",
		Remedy: "find out who did it and what is lost, keep the server as it is for an inquiry, and restore the last backup that " +
			"verifies, or, if nothing is lost, have the settings of the stream removed",
	}
}

// harm says what each of the settings of a stream does to it.
func harm(text []byte) []string {
	var settings map[string]json.RawMessage
	if err := json.Unmarshal(text, &settings); err != nil {
		return []string{"it has settings that cannot be read"}
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := string(settings[name])
		switch {
		case name == "$tb" && value == forgotten:
			found = append(found, "it was deleted ($tb)")
		case name == "$tb":
			found = append(found, fmt.Sprintf("what is before its revision %s was cut off ($tb)", value))
		case name == "$maxCount":
			found = append(found, fmt.Sprintf("it is cut to its last %s events ($maxCount)", value))
		case name == "$maxAge":
			found = append(found, fmt.Sprintf("what is older than %s seconds is cut off ($maxAge)", value))
		case name == "$acl":
			found = append(found, fmt.Sprintf("it has access rules of its own: %s ($acl)", value))
		}
	}
	return found
}

// forgotten is the $tb of a stream that was deleted.
const forgotten = "9223372036854775807"

// strangers knows of streams below the log's prefix whether another application writes them. It is safe for concurrent use.
type strangers struct {
	mu      sync.Mutex
	streams map[string]bool
}

func (s *strangers) of(stream string) (foreign, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	foreign, known = s.streams[stream]
	return foreign, known
}

func (s *strangers) set(stream string, foreign bool) { //revive:disable-line:flag-parameter // a fact, not a switch
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) >= remembered {
		clear(s.streams)
	}
	s.streams[stream] = foreign
}

// engines reports whether nobody but the engine writes a stream: what others put there is tampering.
func engines(stream eventstore.StreamID) bool {
	return stream == eventstore.EngineStream || strings.HasPrefix(string(stream), eventstore.RepositoryPrefix)
}

// foreign reports whether an event below the log's prefix is of a stream of another application: one that is not of the
// engine's, and whose first event lacks the log's metadata. Guests of the log, whom a server of package esdbserver lets
// write, have that metadata.
func (l *Log) foreign(ctx context.Context, e *event) (bool, error) {
	stream, ok := l.names.batches(e.Stream)
	if !ok || engines(stream) {
		return false, nil
	}
	if foreign, known := l.strangers.of(e.Stream); known {
		return foreign, nil
	}
	if inner, ok := strings.CutSuffix(e.Stream, logStream); ok && e.Type == identity {
		if err := l.checkInner(ctx, names{prefix: inner}); err != nil {
			if given, unknown := l.givesWay(ctx, names{prefix: inner}, e); unknown != nil || !given {
				return false, cmp.Or(unknown, err)
			}
		}
	}
	first := e
	if e.Revision > 0 {
		var err error
		if first, err = l.firstOf(ctx, e.Stream); err != nil {
			return false, fmt.Errorf("find out who writes stream %q: %w", e.Stream, err)
		}
		if first == nil {
			first = e
		}
	}
	foreign := !marked(first)
	l.strangers.set(e.Stream, foreign)
	return foreign, nil
}

// checkInner returns ErrCorrupt for a log that lies inside this one, unless it was given up: its events cannot be told from
// those of this log. No such log is made any more.
func (l *Log) checkInner(ctx context.Context, inner names) error {
	last, err := l.one(ctx, readStream(inner.log(), backwards, nil, 1))
	if err != nil && !errors.Is(err, errDeleted) {
		return fmt.Errorf("look at the log %s: %w", inner, err)
	}
	if last != nil && last.Type == withdrawn {
		return nil
	}
	return fmt.Errorf("%w: the log %s is inside the log %s: copy one of them to a prefix that does not begin like the other's, "+
		"from a backup made before the other was created", eventstore.ErrCorrupt, inner, l.names)
}

// givesWay reports whether a log inside this one, which begins with an event, is the later of the two and was never used. Whoever made it was
// stopped before it was given up, which the next who opens it does.
func (l *Log) givesWay(ctx context.Context, inner names, begin *event) (bool, error) {
	own, err := l.awaitRevision(ctx, l.names.log(), 0, unlimited)
	if err != nil || begin.Position < own.Position {
		return false, err
	}
	used, err := l.used(ctx, inner, begin.Position)
	return !used, err
}

// firstOf returns the first event of a stream that the server has still, nil if it has none.
func (l *Log) firstOf(ctx context.Context, stream string) (*event, error) {
	from := uint64(0)
	e, err := l.one(ctx, readStream(stream, forwards, &from, 1))
	if e != nil || err != nil && !errors.Is(err, errDeleted) {
		return e, err
	}
	newest, err := l.newestOfAll(ctx) // $all has what was deleted for a while
	if err != nil || newest == nil {
		return nil, err
	}
	only := &filter{regex: "^" + regexp.QuoteMeta(stream) + "$"}
	return first(l.span(ctx, 0, newest, false, only))
}

// marked reports whether an event has the log's metadata, of whatever version: what is wrong in it is not a mark of others.
func marked(e *event) bool {
	var marks struct {
		Index   json.RawMessage `json:"index"`
		Size    json.RawMessage `json:"size"`
		Attempt json.RawMessage `json:"attempt"`
	}
	return e.Type != tombstone && json.Unmarshal(e.Meta, &marks) == nil &&
		marks.Index != nil && marks.Size != nil && marks.Attempt != nil
}

// foreignStream is foreign for a stream of the server of which nothing was read, as since it was cut or deleted.
func (l *Log) foreignStream(ctx context.Context, stream string) (bool, error) {
	name, ok := l.names.batches(stream)
	if !ok || engines(name) {
		return false, nil
	}
	if foreign, known := l.strangers.of(stream); known {
		return foreign, nil
	}
	first, err := l.firstOf(ctx, stream)
	if err != nil || first == nil || first.Type == tombstone {
		return false, err
	}
	return !marked(first), nil
}

// lastOwn returns the last event of a stream of the log, which is the end of a batch, nil if it has none. It is ErrInvalid
// if another application writes the stream: the log has none of that name.
func (l *Log) lastOwn(ctx context.Context, stream string) (*event, error) {
	e, err := l.lastWhole(ctx, stream)
	var foreign bool
	var unknown error
	switch {
	case err == nil && e != nil:
		foreign, unknown = l.foreign(ctx, e)
	case errors.Is(err, eventstore.ErrCorrupt): // others may cut theirs
		foreign, unknown = l.foreignStream(ctx, stream)
	}
	if unknown != nil {
		return nil, unknown
	}
	if foreign {
		return nil, fmt.Errorf("%w of the log: choose another name", &foreignError{stream: stream})
	}
	return e, err
}

// foreignError says that another application writes a stream. It is ErrInvalid.
type foreignError struct{ stream string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("another application writes stream %q, which is therefore none", e.stream)
}

func (*foreignError) Unwrap() error { return eventstore.ErrInvalid }

// mostForeign is how many streams of others are named at most.
const mostForeign = 100

// reportForeign reports the streams below the log's prefix that other applications write.
func (l *Log) reportForeign(ctx context.Context, newest *event, report func(eventstore.Fault)) error {
	seen, more := map[string]bool{}, map[string]bool{}
	var last *event
	for e, err := range l.span(ctx, 0, newest, false, l.names.guests()) {
		if err != nil {
			return err
		}
		if !l.names.owns(e.Stream) || e.Stream == l.names.log() || seen[e.Stream] || more[e.Stream] {
			continue
		}
		foreign, err := l.foreign(ctx, e)
		switch _, ok := l.names.batches(e.Stream); {
		case err != nil:
			return err
		case ok && (!foreign || e.Type == tombstone): // one of which nothing else is left may have been the log's: it is a fault
		case len(seen) < mostForeign:
			seen[e.Stream] = true
			report(foreignStream(e, fmt.Sprintf("stream %q", shorten(e.Stream)),
				fmt.Sprintf("another application writes it (the first event is of type %q): it is passed over", shorten(e.Type))))
		case len(more) < remembered:
			more[e.Stream], last = true, e
		}
	}
	if last != nil {
		report(foreignStream(last, fmt.Sprintf("%d or more further streams", len(more)),
			fmt.Sprintf("other applications write them, as stream %q: they are passed over", shorten(last.Stream))))
	}
	return nil
}

func foreignStream(e *event, where, text string) eventstore.Fault {
	return eventstore.Fault{
		Code: eventstore.WarningForeign, Position: e.Position, Where: where, Text: text,
		Remedy: "the log is intact; find out which application it is, give it other names, and let nobody else " +
			"write streams that begin with the log's prefix",
	}
}
