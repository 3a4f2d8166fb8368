package domain_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// trusted is a key that is trusted; what is in it does not matter here.
func trusted(key string) domain.KeyTrusted {
	sum := sha256.Sum256([]byte(key))
	return domain.KeyTrusted{
		Fingerprint: hex.EncodeToString(sum[:]), Name: "key " + key, Actor: "ada", Reason: "change request 17",
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(key)})),
		TrustedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func revoked(key string) domain.KeyRevoked {
	return domain.KeyRevoked{
		Fingerprint: trusted(key).Fingerprint, Actor: "bob", Reason: "it leaked", RevokedAt: time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC),
	}
}

// Keys as of any point are the fold of the events before it, which is what a list of who is trusted says.
func TestPropertyKeysAreTheFoldOfTheirEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var keys domain.Keys
		model := map[string]bool{} // whether a key that was ever trusted is in force
		var before []domain.Keys
		var after [][]string
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
			var event domain.Event
			var err error
			inForce, known := model[key]
			if rapid.Bool().Draw(t, "trust") {
				if event, err = domain.TrustKey(keys, trusted(key)); (err == nil) == (known && inForce) {
					t.Fatalf("trusting %s: %v, and it is known: %t, in force: %t", key, err, known, inForce)
				}
			} else if event, err = domain.RevokeKey(keys, revoked(key)); (err == nil) != (known && inForce) {
				t.Fatalf("revoking %s: %v, and it is known: %t, in force: %t", key, err, known, inForce)
			}
			if err != nil {
				if _, ok := errors.AsType[*domain.KeyNotChangedError](err); !ok {
					t.Fatalf("the error is %v", err)
				}
				continue
			}
			_, model[key] = event.(domain.KeyTrusted)
			keys = domain.EvolveKeys(keys, event)
			before, after = append(before, keys), append(after, keys.InForce())
		}
		var inForce, out []string
		for key, in := range model {
			if in {
				inForce = append(inForce, trusted(key).Fingerprint)
			} else {
				out = append(out, trusted(key).Fingerprint)
			}
		}
		slices.Sort(inForce)
		slices.Sort(out)
		if !slices.Equal(keys.InForce(), inForce) || !slices.Equal(keys.Revoked(), out) {
			t.Fatalf("in force %v, revoked %v; want %v and %v", keys.InForce(), keys.Revoked(), inForce, out)
		}
		for i, was := range before { // a later event changes none of them
			if !slices.Equal(was.InForce(), after[i]) {
				t.Fatalf("after event %d, %v were in force, and now %v", i, after[i], was.InForce())
			}
		}
	})
}

func TestAKeyThatCannotBeTrustedSaysWhy(t *testing.T) {
	t.Parallel()
	keys := domain.EvolveKeys(nil, trusted("known"))
	for name, test := range map[string]struct {
		change func(*domain.KeyTrusted)
		want   string
	}{
		"trusted already":     {func(k *domain.KeyTrusted) { *k = trusted("known") }, `is trusted already, as "key known"`},
		"no name":             {func(k *domain.KeyTrusted) { k.Name = "" }, "is empty"},
		"control characters":  {func(k *domain.KeyTrusted) { k.Name = "a\x1b[2J" }, "control characters"},
		"no actor":            {func(k *domain.KeyTrusted) { k.Actor = "" }, "by an actor"},
		"no reason":           {func(k *domain.KeyTrusted) { k.Reason = "" }, "for a reason"},
		"no key":              {func(k *domain.KeyTrusted) { k.PublicKey = "x" }, "not one PEM block"},
		"two keys":            {func(k *domain.KeyTrusted) { k.PublicKey += k.PublicKey }, "not one PEM block"},
		"another fingerprint": {func(k *domain.KeyTrusted) { k.Fingerprint = strings.Repeat("0", 64) }, "fingerprint"},
		"a private key":       {func(k *domain.KeyTrusted) { k.PublicKey = strings.ReplaceAll(k.PublicKey, "PUBLIC", "PRIVATE") }, "not one PEM block"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := trusted("new")
			test.change(&k)
			event, err := domain.TrustKey(keys, k)
			if event != nil || err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "nothing was recorded") {
				t.Errorf("event %v, error %v; want one that says %s", event, err, test.want)
			}
		})
	}
}

func TestAKeyIsNamedByTheBeginningOfItsFingerprint(t *testing.T) {
	t.Parallel()
	keys := domain.Keys{
		{Trusted: domain.KeyTrusted{Fingerprint: "0123456789ab"}},
		{Trusted: domain.KeyTrusted{Fingerprint: "0123456789cd"}},
		{Trusted: domain.KeyTrusted{Fingerprint: "ffff56789abc"}},
	}
	for given, want := range map[string]string{"0123456789ab": "0123456789ab", "0123456789C": "0123456789cd", " FFFF5678 ": "ffff56789abc"} {
		if got, err := keys.Resolve(given); got != want || err != nil {
			t.Errorf("%q is %q, %v; want %q", given, got, err, want)
		}
	}
	for given, want := range map[string]string{"": "is not named", "ffff567": "is not named", "01234567": "is one of several", "eeeeeeee": "was never trusted"} {
		if got, err := keys.Resolve(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %q, %v; want an error that says %s", given, got, err, want)
		}
	}
}

// signedBy is evidence that a key verifies; without a key, none that is at hand does.
func signedBy(id, key, stamp string) domain.File {
	f := Evidence(id, "SPEC-1", domain.VerdictUnverifiable)
	if key != "" {
		f = Evidence(id, "SPEC-1", domain.VerdictValid)
		f.Artifacts[0].Evidence.Signature.Fingerprint = key
	}
	f.Artifacts[0].Digest = Hash(id)
	f.Artifacts[0].Content.SHA256 = f.Artifacts[0].Digest
	return ReadBy(stamp, f)
}

func keysOf(scan domain.Scan, keys ...string) domain.Scan {
	scan.Settings = &domain.Settings{Keys: keys}
	return scan
}

func TestAScanWithoutAKeyThatVerifiedEvidenceIsRefused(t *testing.T) {
	t.Parallel()
	verified := GivenScanned(t, Tree(signedBy("EV-1", "k1", "with"), signedBy("EV-2", "k1", "with"), signedBy("EV-3", "k2", "with")))
	lost := Tree(signedBy("EV-1", "", "without"), signedBy("EV-2", "", "without"), signedBy("EV-3", "k2", "without"))
	path := lost[0].Path
	scan := Scan(Flag(), lost...)

	verified.When(keysOf(scan, "k2")).ThenRefused(t, Because(domain.ViolationKeys, path))
	_, err := domain.Decide(verified.State(), keysOf(scan, "k2"))
	if want := "the key k1 verified 2 pieces of evidence"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want that %s", err, want)
	}
	for name, allowed := range map[string]func() domain.Scan{
		"the key is at hand":      func() domain.Scan { return keysOf(scan, "k1", "k2") },
		"the key was revoked":     func() domain.Scan { s := keysOf(scan, "k2"); s.RevokedKeys = []string{"k1"}; return s },
		"somebody asked for it":   func() domain.Scan { s := keysOf(scan, "k2"); s.WithoutKnownKeys = true; return s },
		"the evidence is gone":    func() domain.Scan { return keysOf(Scan(Flag(), lost[2]), "k2") },
		"the evidence is another": func() domain.Scan { return keysOf(Scan(Flag(), changed(lost[0]), changed(lost[1]), lost[2]), "k2") },
		"another key verifies it": func() domain.Scan {
			return keysOf(Scan(Flag(), signedBy("EV-1", "k2", "x"), signedBy("EV-2", "k2", "x"), lost[2]), "k2")
		},
		"the scan did not look at it": func() domain.Scan {
			return keysOf(Scan(Flag(), Unchanged(signedBy("EV-1", "k1", "with")), Unchanged(signedBy("EV-2", "k1", "with"))), "k2")
		},
		"settings were not recorded then": func() domain.Scan { return scan },
	} {
		if _, err := domain.Decide(verified.State(), allowed()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Evidence that moved with its bytes is the same evidence.
func TestAMoveDoesNotHideThatAKeyIsMissing(t *testing.T) {
	t.Parallel()
	verified := GivenScanned(t, Tree(signedBy("EV-1", "k1", "with")))
	moved := signedBy("EV-1", "", "without")
	moved.Path = ".gxp/evidence/moved.jws"
	moved.Artifacts[0].Path = moved.Path
	verified.When(keysOf(Scan(Flag(), moved))).ThenRefused(t, Because(domain.ViolationKeys, moved.Path))
}

func changed(f domain.File) domain.File {
	f.Artifacts = slices.Clone(f.Artifacts)
	f.Artifacts[0].Digest = Hash("another " + f.Path)
	f.Artifacts[0].Content.SHA256 = f.Artifacts[0].Digest
	f.Blob = f.Artifacts[0].Digest[:40]
	return f
}

func TestEvidenceOfARevokedKeyIsUnverified(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		signature, check domain.Verdict
		overall          domain.Verdict
		reason           string
	}{
		{domain.VerdictRevoked, domain.VerdictValid, domain.VerdictRevoked, domain.UnverifiedRevoked},
		{domain.VerdictRevoked, domain.VerdictUnverifiable, domain.VerdictRevoked, domain.UnverifiedRevoked},
		{domain.VerdictUnverifiable, domain.VerdictRevoked, domain.VerdictRevoked, domain.UnverifiedRevoked},
		{domain.VerdictRevoked, domain.VerdictInvalid, domain.VerdictInvalid, domain.UnverifiedInvalid},
		{domain.VerdictRevoked, domain.VerdictUnsigned, domain.VerdictUnsigned, domain.UnverifiedUnsigned},
	} {
		e := domain.Evidence{
			Signature: domain.Signature{Verdict: test.signature, Fingerprint: "k1"}, Checks: []domain.Check{{Name: domain.CheckIntegrity, Verdict: test.check}},
			Results: Totals(1, 0, 0),
		}
		state, reason := e.Judge()
		if e.Overall() != test.overall || state != domain.EvidenceUnverified || reason != test.reason || e.VerifiedBy() != "" {
			t.Errorf("signature %s and check %s are %s, %s: %s, verified by %q", test.signature, test.check, e.Overall(), state, reason, e.VerifiedBy())
		}
	}
}

func TestAFailureIsAnAttemptOnlyWhereNothingIsKnown(t *testing.T) {
	t.Parallel()
	head := domain.Head{Scan: "s", Repository: domain.Repository{ID: "r", Name: "typo", URL: "u"}, Actor: "ada", Number: 7}
	unreadable := []domain.Violation{{Code: domain.ViolationUnreadable, Text: "no such ref"}}
	for name, test := range map[string]struct {
		state      domain.State
		violations []domain.Violation
		want       bool
	}{
		"a ref that does not resolve":        {domain.State{}, unreadable, true},
		"after other failures":               {domain.State{Scans: 3}, unreadable, true},
		"the log could not be reached":       {domain.State{}, []domain.Violation{{Code: domain.ViolationUnavailable}}, true},
		"a repository that is known":         {domain.State{Registered: true}, unreadable, false},
		"a policy refused it":                {domain.State{}, []domain.Violation{{Code: domain.ViolationMissingParent}}, false},
		"a limit":                            {domain.State{}, []domain.Violation{{Code: domain.ViolationLimit}}, false},
		"what a later version refuses it by": {domain.State{}, []domain.Violation{{Code: "novel"}}, false},
	} {
		attempt, ok := domain.FailAttempt(test.state, head, test.violations)
		if ok != test.want {
			t.Errorf("%s: %t, want %t", name, ok, test.want)
		}
		if ok && (attempt.Name != "typo" || attempt.Code != test.violations[0].Code || fmt.Sprint(attempt.Violations) != fmt.Sprint(test.violations)) {
			t.Errorf("%s: %+v", name, attempt)
		}
	}
}
