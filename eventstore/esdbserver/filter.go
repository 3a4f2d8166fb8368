package esdbserver

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// Limits of what a filter may cost.
const (
	maxPrefixes   = 1000
	maxExpression = 4 << 10 // bytes of a regular expression
)

// defaultWindow is how many records a checkpoint stands for, times the multiplier of the client, where the client names no number.
const defaultWindow = 32

// filter chooses records by the name of their stream or by their type. Without prefixes and without an expression it chooses none.
type filter struct {
	byType     bool
	prefixes   []string // any of them
	expression *pattern // or this one, anywhere in the name
	interval   uint64   // records considered between two checkpoints of a subscription
}

// parseFilter checks a filter. What it says of checkpoints matters to subscriptions alone: some clients send 0 with every read.
func parseFilter(o *wire.ReadReq_Options_FilterOptions, live bool) (*filter, error) { //nolint:revive // what is asked for, not a switch
	f := &filter{}
	var e *wire.ReadReq_Options_FilterOptions_Expression
	switch by := o.GetFilter().(type) {
	case *wire.ReadReq_Options_FilterOptions_StreamIdentifier:
		e = by.StreamIdentifier
	case *wire.ReadReq_Options_FilterOptions_EventType:
		e, f.byType = by.EventType, true
	default:
		return nil, malformed("the filter says neither stream nor event type")
	}
	if err := f.parseExpression(e); err != nil {
		return nil, err
	}
	window := uint64(defaultWindow)
	switch w := o.GetWindow().(type) {
	case *wire.ReadReq_Options_FilterOptions_Max:
		window = uint64(w.Max)
	case *wire.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, malformed("the filter has no window")
	}
	f.interval = window * uint64(o.GetCheckpointIntervalMultiplier())
	if live && f.interval == 0 {
		return nil, malformed("the window or the checkpoint interval multiplier of the filter is 0")
	}
	return f, nil
}

func (f *filter) parseExpression(e *wire.ReadReq_Options_FilterOptions_Expression) error {
	f.prefixes = e.GetPrefix()
	text := e.GetRegex()
	switch {
	case text != "" && len(f.prefixes) > 0:
		return malformed("the filter has both prefixes and a regular expression")
	case len(f.prefixes) > maxPrefixes:
		return malformed(fmt.Sprintf("the filter has %d prefixes: the limit is %d", len(f.prefixes), maxPrefixes))
	case len(text) > maxExpression:
		return malformed(fmt.Sprintf("the regular expression has %d bytes: the limit is %d", len(text), maxExpression))
	case text == "":
		return nil
	}
	var err error
	if f.expression, err = parsePattern(text); err != nil {
		return malformed(fmt.Sprintf("the regular expression is not of RE2 syntax, which has neither lookaround (but for (?!...) "+
			"after a leading ^) nor backreferences: %v", err))
	}
	return nil
}

// match reports whether r passes f. A nil filter lets everything pass.
func (f *filter) match(r eventstore.Record) bool {
	if f == nil {
		return true
	}
	name := string(r.Stream)
	if f.byType {
		name = r.Type
	}
	if f.expression != nil {
		return f.expression.match(name)
	}
	for _, prefix := range f.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// pattern is a regular expression as clients write it: one of RE2, with which clients of the protocol exclude what begins with
// something, "^(?!\\$|content-)". RE2 has no lookahead; at the start of the text it is a second expression that must not match.
type pattern struct {
	expression *regexp.Regexp
	excluded   []*regexp.Regexp
}

func parsePattern(text string) (*pattern, error) {
	p := &pattern{}
	rest, anchored := strings.CutPrefix(text, "^")
	for anchored && strings.HasPrefix(rest, "(?!") {
		end := groupEnd(rest)
		if end < 0 {
			break // the parenthesis has no end: what follows says so
		}
		excluded, err := regexp.Compile("^(?:" + rest[len("(?!"):end] + ")")
		if err != nil {
			return nil, err
		}
		p.excluded, rest = append(p.excluded, excluded), rest[end+1:]
	}
	if len(p.excluded) > 0 && !hasAlternatives(rest) {
		text = "^(?:" + rest + ")"
	}
	var err error
	p.expression, err = regexp.Compile(text)
	return p, err
}

func (p *pattern) match(name string) bool {
	for _, e := range p.excluded {
		if e.MatchString(name) {
			return false
		}
	}
	return p.expression.MatchString(name)
}

// groupEnd returns the index of the parenthesis that ends the group at the start of text, -1 if there is none.
func groupEnd(text string) int {
	end := -1
	walkPattern(text, func(i, depth int) bool {
		if depth == 0 && text[i] == ')' {
			end = i
		}
		return end < 0
	})
	return end
}

// hasAlternatives reports whether text has a | outside of every group: then a lookahead before it belongs to the first one alone.
func hasAlternatives(text string) bool {
	found := false
	walkPattern(text, func(i, depth int) bool {
		found = found || depth == 0 && text[i] == '|'
		return !found
	})
	return found
}

// walkPattern calls visit for each byte of text that is neither escaped nor in brackets, with the number of groups that are open
// behind it, until visit returns false.
func walkPattern(text string, visit func(i, depth int) bool) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			continue
		case '[':
			if i = bracketEnd(text, i); i < 0 {
				return
			}
			continue
		case '(':
			depth++
		case ')':
			depth--
		}
		if !visit(i, depth) {
			return
		}
	}
}

// bracketEnd returns the index of the bracket that ends the class which begins at i, -1 if there is none.
func bracketEnd(text string, i int) int {
	i++
	if i < len(text) && text[i] == '^' {
		i++
	}
	for first := true; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == ']' && !first:
			return i
		}
		first = false
	}
	return -1
}

// query is a checked request to read.
type query struct {
	all       bool // of $all, else of stream
	stream    string
	backwards bool
	from      place
	limit     uint64
	live      bool    // continue with new events; then from is exclusive and limit means nothing
	filter    *filter // nil for none; of $all only
	textIDs   bool    // event ids as text
	// endings asks for a message at the end of a page of a stream, which says where the stream ends.
	endings bool
}

// place is where reading begins.
type place struct {
	kind placeKind
	at   uint64 // position or revision of placeExact
}

type placeKind int

const (
	placeStart placeKind = iota
	placeEnd
	placeExact
)

// parseQuery checks a request. It refuses what is not stated, rather than guess.
func parseQuery(request *wire.ReadReq) (query, error) {
	o := request.GetOptions()
	q := query{textIDs: o.GetUuidOption().GetString_() != nil, endings: o.GetControlOption().GetCompatibility() > 0}
	switch o.GetReadDirection() {
	case wire.ReadReq_Options_Forwards:
	case wire.ReadReq_Options_Backwards:
		q.backwards = true
	default:
		return query{}, malformed("unknown read direction")
	}
	switch count := o.GetCountOption().(type) {
	case *wire.ReadReq_Options_Count:
		q.limit = count.Count
	case *wire.ReadReq_Options_Subscription:
		q.live = true
	default:
		return query{}, malformed("neither a count nor a subscription is asked for")
	}
	if q.live && q.backwards {
		return query{}, malformed("a subscription cannot run backwards")
	}
	if err := q.parseSource(o); err != nil {
		return query{}, err
	}
	return q, q.parseFilter(o)
}

func (q *query) parseSource(o *wire.ReadReq_Options) error {
	switch source := o.GetStreamOption().(type) {
	case *wire.ReadReq_Options_Stream:
		q.stream = string(source.Stream.GetStreamIdentifier().GetStreamName())
		if q.stream == "" {
			return malformed("no stream is named")
		}
		return q.parseRevision(source.Stream)
	case *wire.ReadReq_Options_All:
		q.all = true
		return q.parsePosition(source.All)
	default:
		return malformed("neither a stream nor $all is asked for")
	}
}

func (q *query) parseRevision(o *wire.ReadReq_Options_StreamOptions) error {
	switch from := o.GetRevisionOption().(type) {
	case *wire.ReadReq_Options_StreamOptions_Start:
		q.from = place{kind: placeStart}
	case *wire.ReadReq_Options_StreamOptions_End:
		q.from = place{kind: placeEnd}
	case *wire.ReadReq_Options_StreamOptions_Revision:
		q.from = exactly(from.Revision)
	default:
		return malformed("no revision to begin at")
	}
	return nil
}

func (q *query) parsePosition(o *wire.ReadReq_Options_AllOptions) error {
	switch from := o.GetAllOption().(type) {
	case *wire.ReadReq_Options_AllOptions_Start:
		q.from = place{kind: placeStart}
	case *wire.ReadReq_Options_AllOptions_End:
		q.from = place{kind: placeEnd}
	case *wire.ReadReq_Options_AllOptions_Position:
		commit, prepare := from.Position.GetCommitPosition(), from.Position.GetPreparePosition()
		if commit != prepare {
			return invalidPosition()
		}
		if q.from = exactly(commit); commit == 0 {
			q.from = place{kind: placeStart}
		}
	default:
		return malformed("no position to begin at")
	}
	return nil
}

// exactly is the place at, or the end: some clients say -1 for it.
func exactly(at uint64) place {
	if at == math.MaxUint64 {
		return place{kind: placeEnd}
	}
	return place{kind: placeExact, at: at}
}

func (q *query) parseFilter(o *wire.ReadReq_Options) error {
	option, ok := o.GetFilterOption().(*wire.ReadReq_Options_Filter)
	if !ok {
		return nil // some clients send no_filter, some nothing
	}
	if !q.all {
		return malformed("a filter is for $all, not for a stream")
	}
	var err error
	q.filter, err = parseFilter(option.Filter, q.live)
	return err
}

func invalidPosition() *refusal { return malformed("Trying to read from an invalid position.") }
