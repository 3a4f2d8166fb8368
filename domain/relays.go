package domain

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// RelayAdded says that a relay sends events of the log to a broker or a webhook from now on, in the stream "engine".
type RelayAdded struct {
	RelayDefinition

	Actor  string `json:"actor"`
	Reason string `json:"reason"`
	// AddedAt is when it was decided, by the engine's clock.
	AddedAt time.Time `json:"added_at"`
}

// RelayRemoved says that a relay sends nothing any more, in the stream "engine".
type RelayRemoved struct {
	Name   string `json:"name"`
	To     string `json:"to"` // that it was added with
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
	// RemovedAt is when it was decided, by the engine's clock.
	RemovedAt time.Time `json:"removed_at"`
}

// RelayDefinition says what a relay sends, and where to. It holds no secret: it names where they are.
type RelayDefinition struct {
	Name string `json:"name"` // see [CheckRelayName]
	To   string `json:"to"`   // address of the target, without user, password or secrets; see [CheckRelayTarget]
	// SecretFile or SecretVariable is where the secrets of the target are: a file, or an environment variable of the process that
	// relays. Both are empty for a target that needs none.
	SecretFile     string `json:"secret_file,omitempty"`
	SecretVariable string `json:"secret_variable,omitempty"`
	// AllowPrivate says that the target may have a loopback, private or link-local address.
	AllowPrivate bool `json:"allow_private,omitempty"`
	// What is sent; an empty list chooses all.
	Types        []string       `json:"types,omitempty"`        // stored types, with or without a version
	Repositories []RepositoryID `json:"repositories,omitempty"` // their ids
	Kinds        []Kind         `json:"kinds,omitempty"`
	Risks        []string       `json:"risks,omitempty"` // in normal form, such as high
}

// Relays are the relays that were added and not removed, in the order in which they were added: the fold of the events of the stream "engine".
type Relays []RelayAdded

// EvolveRelays folds one event into relays and returns the result, which shares nothing with relays that a later event changes. Events that
// are not about relays change nothing.
func EvolveRelays(relays Relays, e Event) Relays {
	if added, ok := e.(RelayAdded); ok {
		return append(slices.Clone(relays), added)
	}
	if removed, ok := e.(RelayRemoved); ok {
		return slices.DeleteFunc(slices.Clone(relays), func(r RelayAdded) bool { return r.Name == removed.Name })
	}
	return relays
}

// Find returns the relay with a name; nil when there is none.
func (r Relays) Find(name string) *RelayAdded {
	if i := slices.IndexFunc(r, func(added RelayAdded) bool { return added.Name == name }); i >= 0 {
		return &r[i]
	}
	return nil
}

// RelayNotChangedError says why nothing was recorded of a relay.
type RelayNotChangedError struct {
	Name string
	Why  string // with the relay as its subject
}

// Error names the relay and says why.
func (e *RelayNotChangedError) Error() string {
	return fmt.Sprintf("relay %q %s: nothing was recorded", e.Name, e.Why)
}

// maxRelayName is the number of bytes that the name of a relay may have.
const maxRelayName = 100

// CheckRelayName refuses what cannot name a relay: a name has 1 to 100 letters, digits and the characters - _ . of ASCII, and begins with a
// letter or digit.
func CheckRelayName(name string) error {
	if len(name) > maxRelayName || !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`).MatchString(name) {
		return fmt.Errorf("name %.200q: want 1 to %d letters, digits and - _ ., of which the first is a letter or digit", name, maxRelayName)
	}
	return nil
}

// The schemes of targets of relays.
const (
	RelayHTTPS  = "https"  // a webhook
	RelayHTTP   = "http"   // a webhook without TLS, on this machine alone
	RelayNATS   = "nats"   // NATS JetStream: nats://HOST:PORT/SUBJECT
	RelayRedis  = "redis"  // a Redis stream: redis://HOST:PORT/STREAM
	RelayRediss = "rediss" // a Redis stream over TLS
	RelayKafka  = "kafka"  // a Kafka topic: kafka://HOST:PORT,HOST:PORT/TOPIC
	RelayKafkas = "kafkas" // a Kafka topic over TLS
	RelayTLS    = "tls"    // NATS JetStream over TLS
)

// maxRelayTarget is the number of bytes that the address of a target may have.
const maxRelayTarget = 2000

// CheckRelayTarget says what is wrong with the address of a target. It holds no user, password, fragment or control characters, since it is
// recorded for ever; and it names what is written to.
func CheckRelayTarget(to string) (*url.URL, error) {
	if !IsPlain(to) || len(to) > maxRelayTarget {
		return nil, fmt.Errorf("the address is empty, longer than %d bytes, or has control characters or blanks around it", maxRelayTarget)
	}
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address is not a URL")
	case u.User != nil:
		return nil, fmt.Errorf("the address has a user or password: name a file or environment variable that has it")
	case u.Host == "" || u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("the address has no host, or a fragment")
	}
	path := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case RelayHTTPS, RelayHTTP:
		return u, nil
	case RelayNATS, RelayTLS, RelayRedis, RelayRediss, RelayKafka, RelayKafkas:
		if path == "" || strings.ContainsAny(path, "/ \t") {
			return nil, fmt.Errorf("the address names no subject, stream or topic: want %s://HOST:PORT/NAME", u.Scheme)
		}
		if u.RawQuery != "" {
			return nil, fmt.Errorf("the address has parameters, and %s takes none", u.Scheme)
		}
		return u, nil
	}
	return nil, fmt.Errorf("the address begins with %q: want https, nats, tls, redis, rediss, kafka or kafkas", u.Scheme)
}

// Check says what is wrong with a definition.
func (d *RelayDefinition) Check() error {
	if err := CheckRelayName(d.Name); err != nil {
		return err
	}
	if _, err := CheckRelayTarget(d.To); err != nil {
		return err
	}
	switch {
	case d.SecretFile != "" && d.SecretVariable != "":
		return fmt.Errorf("its secrets are in a file and in an environment variable: name one of them")
	case d.SecretFile != "" && !IsPlain(d.SecretFile), d.SecretVariable != "" && !IsPlain(d.SecretVariable):
		return fmt.Errorf("the name of its file or environment variable has control characters or blanks around it")
	}
	lists := slices.Concat(d.Types, d.Risks)
	for _, id := range d.Repositories {
		lists = append(lists, string(id))
	}
	for _, kind := range d.Kinds {
		if !slices.Contains(Kinds(), kind) {
			return fmt.Errorf("it has the kind %q, which is unknown", kind)
		}
	}
	if len(lists) > maxRelayFilters {
		return fmt.Errorf("it has %d types, risks and repositories: want at most %d", len(lists), maxRelayFilters)
	}
	for _, value := range lists {
		if !IsPlain(value) || len(value) > maxRelayName {
			return fmt.Errorf("it has a type, risk or repository %.200q that is empty, too long, or has control characters", value)
		}
	}
	return nil
}

// maxRelayFilters is how many types, risks and repositories a relay may name.
const maxRelayFilters = 1000

// AddRelay decides what records that a relay is added. One that was removed can be added again. The error is a *[RelayNotChangedError].
func AddRelay(relays Relays, added RelayAdded) (Event, error) {
	refuse := func(why string) (Event, error) { return nil, &RelayNotChangedError{added.Name, why} }
	if err := added.Check(); err != nil {
		return refuse("cannot be added: " + err.Error())
	}
	switch known := relays.Find(added.Name); {
	case added.Actor == "" || added.Reason == "":
		return refuse("is added by an actor, for a reason")
	case known != nil:
		return refuse("was added already, to " + known.To)
	}
	return added, nil
}

// RemoveRelay decides what records that a relay is removed. The error is a *[RelayNotChangedError].
func RemoveRelay(relays Relays, removed RelayRemoved) (Event, error) {
	refuse := func(why string) (Event, error) { return nil, &RelayNotChangedError{removed.Name, why} }
	known := relays.Find(removed.Name)
	switch {
	case removed.Actor == "" || removed.Reason == "":
		return refuse("is removed by an actor, for a reason")
	case known == nil:
		return refuse("does not exist")
	}
	removed.To = known.To
	return removed, nil
}

func (RelayAdded) event()   {}
func (RelayRemoved) event() {}
