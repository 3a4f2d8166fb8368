package esdbserver

import (
	"fmt"
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
