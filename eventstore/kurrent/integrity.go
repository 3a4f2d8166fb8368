package kurrent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

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
