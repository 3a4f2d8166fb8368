package kurrent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

var _ eventstore.Examiner = (*Log)(nil)

// Examine implements [eventstore.Examiner]: no stream of the log, nor of a content, was deleted, and none has settings of
// its own, which could cut it, hide it or let others at it. The package sets none; an administrator who wants to close the
// streams does that for all, in the server's "$settings". What a server hides from its user is not seen.
func (l *Log) Examine(ctx context.Context, report func(eventstore.Fault)) error {
	err := l.usable(ctx)
	if err == nil {
		err = l.examine(ctx, report)
	}
	if err != nil {
		return fmt.Errorf("examine log: %w", err)
	}
	return nil
}

func (l *Log) examine(ctx context.Context, report func(eventstore.Fault)) error {
	end, err := l.end(ctx)
	if err != nil || end == 0 {
		return err
	}
	settings := map[string]*esdb.RecordedEvent{} // the last of each stream
	acts := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{settingsEvent, tombstone}}
	for e, err := range upTo(l.follow(ctx, 0, acts), end) {
		if err != nil {
			return err
		}
		stream, isSettings := strings.CutPrefix(e.StreamID, settingsPrefix)
		switch {
		case !l.names.owns(stream):
		case e.EventType == tombstone:
			report(deed(e, stream, "it was deleted for ever (tombstoned)"))
		case isSettings && e.EventType == settingsEvent:
			settings[stream] = e
		}
	}
	for _, stream := range slices.Sorted(maps.Keys(settings)) {
		e := settings[stream]
		for _, text := range harm(e.Data) {
			report(deed(e, stream, text))
		}
	}
	return nil
}

// Where a server keeps the settings of a stream.
const (
	settingsEvent  = "$metadata"
	settingsPrefix = "$$"
)

// deed is the fault of what an administrator did to a stream by an event.
func deed(e *esdb.RecordedEvent, stream, text string) eventstore.Fault {
	return eventstore.Fault{
		Code: eventstore.FaultGuard, Position: eventstore.Position(e.Position.Commit), Where: fmt.Sprintf("stream %q", stream),
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
