package verify_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

func TestRelaysFollowFromThoseBefore(t *testing.T) {
	t.Parallel()
	added := domain.RelayAdded{RelayDefinition: domain.RelayDefinition{Name: "lims", To: "https://h.example.com"}, Actor: "tester", Reason: "to see", AddedAt: clock()}
	removed := domain.RelayRemoved{Name: "lims", To: added.To, Actor: "tester", Reason: "to see", RemovedAt: clock()}
	another, moved := added, removed
	another.Actor, moved.To = "eve", "https://other.example.com"
	for name, test := range map[string]struct {
		events []domain.Event
		want   string
	}{
		"added, removed, added": {[]domain.Event{added, removed, added}, ""},
		"added twice":           {[]domain.Event{added, added}, "was added already"},
		"removed and not added": {[]domain.Event{removed}, "does not exist"},
		"another actor":         {[]domain.Event{another}, "actor"},
		"another target":        {[]domain.Event{added, moved}, "target of the relay"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			for _, e := range test.events {
				l.append(eventstore.EngineStream, e)
			}
			if found := l.found(); (found == "") != (test.want == "") || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
