package esdbserver_test

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Names that programs of .NET use are taken for streams and types, are read back byte for byte, and filters find them.
func TestOrdinaryNamesOfOtherLanguagesAreTaken(t *testing.T) {
	t.Parallel()
	names := []string{
		"My.Ns.OrderPlaced, My.Assembly, Version=1.0.0.0", "Bestellung größer 10 €", "Bestellung gro\u0308ßer 10 €", "注文", "order 😀", " ",
		strings.Repeat("n", 300), strings.Repeat("é", eventstore.MaxName/2), "a\u202eb\u2028c",
	}
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, name := range names {
				e := esdb.EventData{EventID: uuid.New(), EventType: name, ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
				if _, err := client.AppendToStream(within(t), name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, e); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range names {
				page, err := client.ReadStream(within(t), name, esdb.ReadStreamOptions{}, 10)
				onlyOf(t, name, drain(t, page, err))
				for _, filter := range []*esdb.SubscriptionFilter{
					{Type: esdb.StreamFilterType, Prefixes: []string{name}}, {Type: esdb.EventFilterType, Prefixes: []string{name}},
				} {
					s := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: filter})
					e := s.Recv()
					for e.EventAppeared == nil && e.SubscriptionDropped == nil {
						e = s.Recv()
					}
					if e.EventAppeared == nil || e.EventAppeared.OriginalEvent().StreamID != name {
						t.Errorf("a filter by %q gives %+v", name, e)
					}
				}
			}
		})
	}
}

// onlyOf checks that events are the one whose stream and type have a name.
func onlyOf(t *testing.T, name string, events []*esdb.RecordedEvent) {
	t.Helper()
	if len(events) != 1 || events[0].StreamID != name || events[0].EventType != name {
		t.Errorf("%q has %d events, first %+v", name, len(events), events[:min(1, len(events))])
	}
}
