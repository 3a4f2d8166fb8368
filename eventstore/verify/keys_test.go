package verify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
)

func trusted(key string) domain.KeyTrusted {
	sum := sha256.Sum256([]byte(key))
	return domain.KeyTrusted{
		Fingerprint: hex.EncodeToString(sum[:]), Name: key, Actor: "tester", Reason: "to see", TrustedAt: clock(),
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(key)})),
	}
}

func revoked(key string) domain.KeyRevoked {
	return domain.KeyRevoked{Fingerprint: trusted(key).Fingerprint, Name: key, Actor: "tester", Reason: "to see", RevokedAt: clock()}
}

// A scan verified with the keys that were in force at the revision that it names, but for what it says was given for it alone.
func TestAScanUsesTheKeysInForce(t *testing.T) {
	t.Parallel()
	k1, k2 := trusted("k1").Fingerprint, trusted("k2").Fingerprint
	at := func(revision int64) *int64 { return &revision }
	for name, test := range map[string]struct {
		keys      []string
		revision  *int64
		overrides []string
		want      string
	}{
		"as of the last change":      {[]string{k2}, at(2), nil, ""},
		"as of an earlier one":       {inOrder(k1, k2), at(1), nil, ""},
		"a key is left out":          {nil, at(2), nil, "was in force and not used"},
		"a key that was revoked":     {inOrder(k1, k2), at(2), nil, "was used and not in force"},
		"a key of another revision":  {[]string{k2}, at(0), nil, "was in force and not used"},
		"a revision that is none":    {[]string{k2}, at(3), nil, "no event about a key"},
		"an override":                {inOrder("f00", k2), at(2), []string{"keys"}, ""},
		"no override":                {inOrder("f00", k2), at(2), nil, "was used and not in force"},
		"an override leaves one out": {[]string{"f00"}, at(2), []string{"keys"}, "was in force and not used"},
		"nothing was recorded":       {[]string{"f00"}, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			for _, e := range []domain.Event{trusted("k1"), trusted("k2"), revoked("k1")} {
				l.append(eventstore.EngineStream, e)
			}
			head := l.head()
			head.Settings = &domain.Settings{Keys: test.keys, KeysRevision: test.revision, Overrides: test.overrides}
			events, err := domain.Decide(l.state, domain.Scan{Head: head, Files: []domain.File{domaintest.Requirement("REQ-1", "a")}})
			if err != nil {
				t.Fatal(err)
			}
			l.append(toldStream, events...)
			if found := l.found(); (found == "") != (test.want == "") || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

func inOrder(a, b string) []string {
	if b < a {
		a, b = b, a
	}
	return []string{a, b}
}

// No scan uses older keys than the one before it: a key that was revoked would verify again.
func TestKeysOfACompletedScanAreNotOlderThanThoseOfTheOneBefore(t *testing.T) {
	t.Parallel()
	type scan struct {
		revision int64
		failed   bool
	}
	for name, c := range map[string]struct {
		scans []scan
		want  string
	}{
		"older":                            {[]scan{{1, false}, {0, false}}, "revision of the keys is 0, and a completed scan before it used 1"},
		"a failure that was recorded late": {[]scan{{1, false}, {0, true}, {1, false}}, ""},
		"older, behind a failure with older ones": {[]scan{{1, false}, {0, true}, {0, false}}, "revision of the keys is 0, and a completed scan before it used 1"},
		"newer": {[]scan{{0, false}, {1, false}}, ""},
	} {
		l := newTold(t)
		l.append(eventstore.EngineStream, trusted("k1"))
		l.append(eventstore.EngineStream, revoked("k1"))
		for _, scan := range c.scans {
			head := l.head()
			head.Settings = &domain.Settings{KeysRevision: &scan.revision}
			if scan.revision == 0 {
				head.Settings.Keys = []string{trusted("k1").Fingerprint}
			}
			if scan.failed {
				l.append(toldStream, domain.Fail(l.state, head, []domain.Violation{{Code: domain.ViolationNoContext, Text: "there is none"}}, 1))
				continue
			}
			events, err := domain.Decide(l.state, domain.Scan{Head: head, Files: []domain.File{domaintest.ReadBy(keyed, domaintest.Requirement("REQ-1", "a"))}})
			if err != nil {
				t.Fatal(err)
			}
			l.append(toldStream, events...)
		}
		if found := l.found(); (found == "") != (c.want == "") || !strings.Contains(found, c.want) {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
		}
	}
}

// What is said to be signed with a revoked key names one that was revoked.
func TestEvidenceOfARevokedKeyNamesIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key  string
		want string
	}{{"k1", ""}, {"k2", "was not revoked"}, {"k3", "was not revoked"}} {
		l := newTold(t)
		for _, e := range []domain.Event{trusted("k1"), trusted("k2"), revoked("k1")} {
			l.append(eventstore.EngineStream, e)
		}
		revision := int64(2)
		head := l.head()
		head.Settings = &domain.Settings{Keys: []string{trusted("k2").Fingerprint}, KeysRevision: &revision}
		evidence := domaintest.Evidence("EV-1", "SPEC-1", domain.VerdictRevoked)
		evidence.Artifacts[0].Evidence.Signature.Fingerprint = trusted(test.key).Fingerprint
		events, err := domain.Decide(l.state, domain.Scan{Head: head, Files: []domain.File{domaintest.ReadBy(keyed, evidence)}})
		if err != nil {
			t.Fatal(err)
		}
		l.append(toldStream, events...)
		if found := l.found(); (found == "") != (test.want == "") || !strings.Contains(found, test.want) {
			t.Errorf("%s: found %q, want %q", test.key, found, test.want)
		}
	}
}

// An event about a key follows from those before it.
func TestEventsAboutKeysFit(t *testing.T) {
	t.Parallel()
	other := revoked("k1")
	other.Name = "other"
	forged := trusted("k1")
	forged.PublicKey = trusted("k2").PublicKey
	blamed := trusted("k1")
	blamed.Actor = "somebody else"
	for name, test := range map[string]struct {
		events []domain.Event
		want   string
	}{
		"trusted, revoked and trusted again": {[]domain.Event{trusted("k1"), revoked("k1"), trusted("k1"), revoked("k1")}, ""},
		"trusted twice":                      {[]domain.Event{trusted("k1"), trusted("k1")}, "is trusted already"},
		"revoked twice":                      {[]domain.Event{trusted("k1"), revoked("k1"), revoked("k1")}, "was revoked at"},
		"revoked and never trusted":          {[]domain.Event{trusted("k2"), revoked("k1")}, "was never trusted"},
		"another name":                       {[]domain.Event{trusted("k1"), other}, "name of the key"},
		"another key":                        {[]domain.Event{forged}, "fingerprint"},
		"another actor":                      {[]domain.Event{blamed}, "actor is"},
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
	l := newTold(t)
	l.append(toldStream, trusted("k1"))
	if found := l.found(); !strings.Contains(found, "where no such event is appended") {
		t.Errorf("a key in the stream of a repository: found %q", found)
	}
}
