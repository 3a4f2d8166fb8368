package esdbserver

import (
	"fmt"
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

// defaultWindow is how many records a checkpoint stands for at least, times the multiplier of the client.
const defaultWindow = 32

// filter chooses records by the name of their stream or by their type.
type filter struct {
	byType     bool
	prefixes   []string       // any of them
	expression *regexp.Regexp // or this one, anywhere in the name
	interval   uint64         // records considered between two checkpoints
}

func parseFilter(o *wire.ReadReq_Options_FilterOptions) (*filter, error) {
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
		window = max(window, uint64(w.Max))
	case *wire.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, malformed("the filter has no window")
	}
	if o.GetCheckpointIntervalMultiplier() == 0 {
		return nil, malformed("the checkpoint interval multiplier of the filter is 0")
	}
	f.interval = window * uint64(o.GetCheckpointIntervalMultiplier())
	return f, nil
}

func (f *filter) parseExpression(e *wire.ReadReq_Options_FilterOptions_Expression) error {
	f.prefixes = e.GetPrefix()
	pattern := e.GetRegex()
	switch {
	case (pattern == "") == (len(f.prefixes) == 0):
		return malformed("the filter needs either prefixes or a regular expression")
	case len(f.prefixes) > maxPrefixes:
		return malformed(fmt.Sprintf("the filter has %d prefixes: the limit is %d", len(f.prefixes), maxPrefixes))
	case len(pattern) > maxExpression:
		return malformed(fmt.Sprintf("the regular expression has %d bytes: the limit is %d", len(pattern), maxExpression))
	case pattern == "":
		return nil
	}
	var err error
	if f.expression, err = regexp.Compile(pattern); err != nil {
		return malformed(fmt.Sprintf("the regular expression is not of RE2 syntax, which has neither lookaround nor "+
			"backreferences: %v", err))
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
		return f.expression.MatchString(name)
	}
	for _, prefix := range f.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
