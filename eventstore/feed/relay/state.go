package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Bounds of what a relay keeps with its cursor, so that it stays below feed.MaxState.
const (
	// MaxParked is how many streams may be parked at once. A target that refuses more refuses everything: the relay stops.
	MaxParked = 500
	// MaxSkips is how many events ahead of the relay an administrator may have asked to skip.
	MaxSkips = 500
	// MaxReason is the number of bytes that are kept of an error of a target.
	MaxReason = 300
)

// stateVersion is the form of an encoded [State].
const stateVersion = 1

var (
	// ErrTooManyParked says that more streams would be parked than a relay keeps: the target refuses what all of them hold.
	ErrTooManyParked = fmt.Errorf("more than %d repositories would be parked", MaxParked)
	// ErrTooManySkips says that more events ahead of a relay are to be skipped than it keeps.
	ErrTooManySkips = fmt.Errorf("more than %d events are to be skipped", MaxSkips)
)

// Event is what the rules need to know of a record.
type Event struct {
	Position eventstore.Position `json:"position"`
	ID       eventstore.EventID  `json:"event_id"`
	Stream   eventstore.StreamID `json:"stream"`
	Revision eventstore.Revision `json:"revision"`
}

// EventOf returns what the rules need to know of a record.
func EventOf(r eventstore.Record) Event {
	return Event{Position: r.Position, ID: r.ID, Stream: r.Stream, Revision: r.Revision}
}

// Parked is a stream whose events wait because the target refused one of them for good.
type Parked struct {
	Event // the first that waits

	// From is the first revision of the stream that was not handled. It is beyond the event once that was sent again.
	From   eventstore.Revision `json:"from"`
	Reason string              `json:"reason"` // what the target answered, neutralised, at most MaxReason bytes
	Since  time.Time           `json:"since"`
	Count  int                 `json:"count"` // events that wait, the first included
	// Retry says that what waits is being sent again.
	Retry bool `json:"retry,omitempty"`
}

// Failure is why the relay does not move now.
type Failure struct {
	Event

	Reason   string    `json:"reason"` // neutralised, at most MaxReason bytes
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"` // since then
}

// State is how far a relay has come. It is a value: the methods with a pointer receiver change it, and nothing else does. The
// position and the event id are those of the cursor; the rest is its state.
type State struct {
	Position eventstore.Position `json:"-"` // of the last event that was sent, passed over or parked
	EventID  eventstore.EventID  `json:"-"` // of that event

	// Actions is the first revision of the stream "engine" that was not read for actions of administrators.
	Actions eventstore.Revision   `json:"actions"`
	Parked  []Parked              `json:"parked,omitempty"`
	Skips   []eventstore.Position `json:"skips,omitempty"`   // of events that wait or come, to pass over
	Failure *Failure              `json:"failure,omitempty"` // nil while the target accepts
	// Ended says that the target is gone (410): nothing is sent until an administrator retries.
	Ended   *Failure `json:"ended,omitempty"`
	Sent    uint64   `json:"sent"`    // events that the target accepted, duplicates included
	Skipped uint64   `json:"skipped"` // events that an administrator skipped
}

// Choice is what to do with the next event of the log.
type Choice int

// The choices.
const (
	Send Choice = iota // send it
	Hold               // its stream is parked: it waits, with those before it
	Skip               // an administrator skipped it
)

// String names the choice for error texts.
func (c Choice) String() string {
	switch c {
	case Send:
		return "send"
	case Hold:
		return "hold"
	case Skip:
		return "skip"
	}
	return fmt.Sprintf("choice %d", int(c))
}

// DecodeState decodes what [State.Encode] gave; nothing is the state of a new relay. The position and the event id are those of the
// cursor. It refuses what a newer program wrote.
func DecodeState(data []byte) (State, error) {
	if len(data) == 0 {
		return State{}, nil
	}
	var form struct {
		Version int `json:"version"`
		State
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&form); err != nil {
		return State{}, fmt.Errorf("cannot read the state of a relay: %w", err)
	}
	if form.Version != stateVersion {
		return State{}, fmt.Errorf("cannot read the state of a relay: it has version %d, and this program knows %d: upgrade", form.Version, stateVersion)
	}
	return form.State, nil
}

// Encode returns the state as the cursor keeps it.
func (s *State) Encode() ([]byte, error) {
	data, err := json.Marshal(struct {
		Version int `json:"version"`
		State
	}{stateVersion, *s})
	if err != nil {
		return nil, fmt.Errorf("cannot write the state of a relay: %w", err)
	}
	return data, nil
}

// Choose says what to do with the next event of the log, which is after Position.
func (s *State) Choose(e Event) Choice {
	switch {
	case s.parked(e.Stream) >= 0:
		return Hold
	case slices.Contains(s.Skips, e.Position):
		return Skip
	}
	return Send
}

// Passed notes that the next event of the log is not for the target.
func (s *State) Passed(e Event) { s.Position, s.EventID = e.Position, e.ID }

// Accepted notes that the target accepted the next event of the log.
func (s *State) Accepted(e Event) {
	s.Passed(e)
	s.Failure = nil
	s.Sent++
}

// Held notes that the next event of the log waits behind those of its stream that are parked.
func (s *State) Held(e Event) {
	s.Passed(e)
	if i := s.parked(e.Stream); i >= 0 {
		s.Parked[i].Count++
	}
}

// SkippedNext notes that the next event of the log was passed over, as an administrator asked.
func (s *State) SkippedNext(e Event) {
	s.Passed(e)
	s.forgetSkip(e.Position)
	s.Failure = nil
	s.Skipped++
}

// Refused notes that the target refused the next event of the log for good: it is parked. Errors: [ErrTooManyParked], with which
// nothing changed.
func (s *State) Refused(e Event, reason string, now time.Time) error {
	if len(s.Parked) >= MaxParked {
		return ErrTooManyParked
	}
	s.Passed(e)
	s.Failure = nil
	s.Parked = append(s.Parked, Parked{Event: e, From: e.Revision, Reason: Neutral(reason), Since: now.UTC(), Count: 1})
	return nil
}

// Failed notes an attempt to send an event that failed and that is made again.
func (s *State) Failed(e Event, reason string, now time.Time) {
	if s.Failure == nil || s.Failure.Event != e {
		s.Failure = &Failure{Event: e, Since: now.UTC()}
	}
	s.Failure.Reason = Neutral(reason)
	s.Failure.Attempts++
}

// Gone notes that the target ended it, at the event that was to be sent.
func (s *State) Gone(e Event, reason string, now time.Time) {
	s.Failure = nil
	s.Ended = &Failure{Event: e, Reason: Neutral(reason), Since: now.UTC(), Attempts: 1}
}

// Retrying returns the parked stream that is to be sent next; false when there is none.
func (s *State) Retrying() (Parked, bool) {
	if i := slices.IndexFunc(s.Parked, func(p Parked) bool { return p.Retry }); i >= 0 {
		return s.Parked[i], true
	}
	return Parked{}, false
}

// Resuming notes which event of a parked stream is sent next, and reports whether an administrator skipped it.
func (s *State) Resuming(e Event) (skip bool) {
	if i := s.parked(e.Stream); i >= 0 {
		s.Parked[i].Event, s.Parked[i].From = e, e.Revision
	}
	return slices.Contains(s.Skips, e.Position)
}

// Resumed notes that the event of a parked stream that was sent next is done: the target accepted it, or it was skipped.
func (s *State) Resumed(e Event, outcome Choice) {
	s.Failure = nil
	if outcome == Skip {
		s.forgetSkip(e.Position)
		s.Skipped++
	} else {
		s.Sent++
	}
	if i := s.parked(e.Stream); i >= 0 {
		s.Parked[i].From = e.Revision + 1
		s.Parked[i].Count = max(0, s.Parked[i].Count-1)
	}
}

// RefusedAgain notes that the target refused an event of a parked stream that was sent again.
func (s *State) RefusedAgain(e Event, reason string, now time.Time) {
	s.Failure = nil
	if i := s.parked(e.Stream); i >= 0 {
		p := &s.Parked[i]
		p.Event, p.From, p.Reason, p.Since, p.Retry = e, e.Revision, Neutral(reason), now.UTC(), false
	}
}

// Unpark notes that no event of a stream waits any more.
func (s *State) Unpark(stream eventstore.StreamID) {
	if i := s.parked(stream); i >= 0 {
		s.Parked = slices.Delete(s.Parked, i, i+1)
	}
}

// Retry asks to send again what is parked: of a stream, or of all for "". It ends the end of a relay whose target was gone.
func (s *State) Retry(stream eventstore.StreamID) {
	if stream == "" {
		s.Ended = nil
	}
	for i := range s.Parked {
		if stream == "" || s.Parked[i].Stream == stream {
			s.Parked[i].Retry = true
		}
	}
}

// SkipAt asks to pass over the event at a position: the first of a parked stream, whose others are then sent, or one that was not
// sent yet. What was sent already is not affected. Errors: [ErrTooManySkips], with which nothing changed.
func (s *State) SkipAt(at eventstore.Position) error {
	first := slices.IndexFunc(s.Parked, func(p Parked) bool { return p.Position == at && p.From == p.Revision })
	switch {
	case first < 0 && at <= s.Position, slices.Contains(s.Skips, at):
		return nil
	case len(s.Skips) >= MaxSkips:
		return ErrTooManySkips
	}
	s.Skips = append(s.Skips, at)
	if first >= 0 {
		s.Parked[first].Retry = true
	}
	return nil
}

// Rewind moves the relay back, so that the events after a position are sent again. Streams that are parked at a later event are not
// parked any more. Of those that stay parked, count says how many events wait up to the position. A position that the relay has not
// reached changes nothing.
func (s *State) Rewind(to eventstore.Position, id eventstore.EventID, count map[eventstore.StreamID]int) {
	if to >= s.Position {
		return
	}
	s.Position, s.EventID = to, id
	s.Failure = nil
	s.Parked = slices.DeleteFunc(s.Parked, func(p Parked) bool { return p.Position > to })
	for i := range s.Parked {
		s.Parked[i].Count = count[s.Parked[i].Stream]
	}
}

// Waiting is how many events are parked.
func (s *State) Waiting() int {
	n := 0
	for _, p := range s.Parked {
		n += p.Count
	}
	return n
}

func (s *State) parked(stream eventstore.StreamID) int {
	return slices.IndexFunc(s.Parked, func(p Parked) bool { return p.Stream == stream })
}

func (s *State) forgetSkip(at eventstore.Position) {
	s.Skips = slices.DeleteFunc(s.Skips, func(p eventstore.Position) bool { return p == at })
}

// Neutral returns text of a target as it may be stored and shown: valid UTF-8 in one line, without control or invisible characters,
// of at most [MaxReason] bytes.
func Neutral(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= MaxReason {
		return text
	}
	cut := MaxReason - len("...")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
