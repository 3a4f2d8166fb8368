package esdbserver

import (
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

func TestTheNewestPositionsAreRemembered(t *testing.T) {
	t.Parallel()
	var p positions
	const more = 10
	for at := range eventstore.Position(maxGiven + more) {
		p.learn(at, at)
		p.learn(at, at)
	}
	if len(p.lastBy) != maxGiven || len(p.order) != maxGiven {
		t.Errorf("%d numbers are remembered, want %d", len(p.lastBy), maxGiven)
	}
	for at, want := range map[eventstore.Position]bool{0: false, more - 1: false, more: true, maxGiven + more - 1: true} {
		if found, ok := p.find(at); ok != want || ok && found != at {
			t.Errorf("position %d: found %d, %t, want %t", at, found, ok, want)
		}
	}
}
