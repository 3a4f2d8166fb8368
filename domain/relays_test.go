package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
)

func added(change func(*domain.RelayAdded)) domain.RelayAdded {
	r := domain.RelayAdded{RelayDefinition: domain.RelayDefinition{Name: "lims", To: "https://lims.example.com/hooks"}, Actor: "ada", Reason: "cr 18"}
	if change != nil {
		change(&r)
	}
	return r
}

func TestARelayIsAddedOnceAndCanBeAddedAgainOnceItWasRemoved(t *testing.T) {
	t.Parallel()
	var relays domain.Relays
	apply := func(e domain.Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		relays = domain.EvolveRelays(relays, e)
	}
	apply(domain.AddRelay(relays, added(nil)))
	apply(domain.AddRelay(relays, added(func(r *domain.RelayAdded) { r.Name = "bus" })))
	before := relays
	if _, err := domain.AddRelay(relays, added(nil)); !errors.As(err, new(*domain.RelayNotChangedError)) {
		t.Errorf("adding it twice gives %v", err)
	}
	removed := domain.RelayRemoved{Name: "lims", To: "https://forged.example.com", Actor: "bob", Reason: "replaced"}
	event, err := domain.RemoveRelay(relays, removed)
	if e, ok := event.(domain.RelayRemoved); !ok || err != nil || e.To != "https://lims.example.com/hooks" {
		t.Fatalf("%+v, %v", event, err)
	}
	apply(event, nil)
	if relays.Find("lims") != nil || relays.Find("bus") == nil || before.Find("lims") == nil {
		t.Errorf("the relays are %+v, and were %+v", relays, before)
	}
	if _, err := domain.RemoveRelay(relays, removed); err == nil {
		t.Error("it was removed twice")
	}
	apply(domain.AddRelay(relays, added(nil)))
	apply(domain.KeyRevoked{}, nil)
	if len(relays) != 2 {
		t.Errorf("the relays are %+v", relays)
	}
}

func TestARelayThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*domain.RelayAdded){
		"no actor":          func(r *domain.RelayAdded) { r.Actor = "" },
		"no reason":         func(r *domain.RelayAdded) { r.Reason = "" },
		"no name":           func(r *domain.RelayAdded) { r.Name = "" },
		"a path":            func(r *domain.RelayAdded) { r.Name = "a/b" },
		"a long name":       func(r *domain.RelayAdded) { r.Name = strings.Repeat("a", 101) },
		"no address":        func(r *domain.RelayAdded) { r.To = "" },
		"a user":            func(r *domain.RelayAdded) { r.To = "https://u@h.example.com" },
		"a password":        func(r *domain.RelayAdded) { r.To = "redis://:p@h.example.com/s" },
		"a fragment":        func(r *domain.RelayAdded) { r.To = "https://h.example.com/#x" },
		"no host":           func(r *domain.RelayAdded) { r.To = "https:///x" },
		"opaque":            func(r *domain.RelayAdded) { r.To = "https:x" },
		"another scheme":    func(r *domain.RelayAdded) { r.To = "file://h/x" },
		"control":           func(r *domain.RelayAdded) { r.To = "https://h.example.com/\n" },
		"no subject":        func(r *domain.RelayAdded) { r.To = "nats://h.example.com/" },
		"a path of topics":  func(r *domain.RelayAdded) { r.To = "kafka://h.example.com/a/b" },
		"parameters":        func(r *domain.RelayAdded) { r.To = "redis://h.example.com/s?password=x" },
		"two secrets":       func(r *domain.RelayAdded) { r.SecretFile, r.SecretVariable = "a", "B" },
		"a secret of lines": func(r *domain.RelayAdded) { r.SecretFile = "a\nb" },
		"an unknown kind":   func(r *domain.RelayAdded) { r.Kinds = []domain.Kind{"poem"} },
		"an empty type":     func(r *domain.RelayAdded) { r.Types = []string{""} },
		"too many":          func(r *domain.RelayAdded) { r.Risks = strings.Split(strings.Repeat("x,", 1001), ",")[:1001] },
	} {
		if e, err := domain.AddRelay(nil, added(change)); !errors.As(err, new(*domain.RelayNotChangedError)) || e != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	for _, to := range []string{"http://127.0.0.1:1/x?y=z", "nats://h/s", "tls://h:4222/a.b.c", "redis://h/s", "rediss://h/s", "kafka://a:1,b:2/t", "kafkas://a:1/t"} {
		if _, err := domain.CheckRelayTarget(to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
}
