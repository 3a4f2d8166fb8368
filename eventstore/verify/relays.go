package verify

import (
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// checkRelays compares an event about a relay with its record and with the relays before it.
func (v *verifier) checkRelays(r eventstore.Record, event domain.Event) []string {
	var d differences
	if e, ok := event.(domain.RelayAdded); ok {
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
		if _, err := domain.AddRelay(v.relays, e); err != nil {
			d.add("%s", err.Error())
		}
	}
	if e, ok := event.(domain.RelayRemoved); ok {
		want(&d, "actor", e.Actor, r.Meta.Actor)
		want(&d, "reason", e.Reason, r.Meta.Reason)
		if known := v.relays.Find(e.Name); known != nil {
			want(&d, "target of the relay", e.To, known.To)
		}
		if _, err := domain.RemoveRelay(v.relays, e); err != nil {
			d.add("%s", err.Error())
		}
	}
	v.relays = domain.EvolveRelays(v.relays, event)
	return d
}

// warnRelay warns when the clock of a change of a relay is far from that of its record.
func warnRelay(warn func(format string, args ...any), r eventstore.Record, name string, decided time.Time) {
	if apart := r.RecordedAt.Sub(decided).Abs(); apart > clockLate {
		warn("the change of the relay %q was recorded at %s, and decided at %s", name, shortTime(r.RecordedAt), shortTime(decided))
	}
}
