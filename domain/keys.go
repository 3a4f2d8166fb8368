package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// KeyTrusted says that a public key verifies evidence from now on, in the stream "engine".
type KeyTrusted struct {
	Fingerprint string `json:"fingerprint"` // SHA-256 of its SPKI form, which PublicKey holds
	Name        string `json:"name"`        // the operator's name for it
	PublicKey   string `json:"public_key"`  // PEM, one block PUBLIC KEY
	Actor       string `json:"actor"`
	Reason      string `json:"reason"`
	// TrustedAt is when it was decided, by the engine's clock.
	TrustedAt time.Time `json:"trusted_at"`
}

// KeyRevoked says that a key verifies nothing any more, in the stream "engine". What only it verifies is unverified from the next scan on.
type KeyRevoked struct {
	Fingerprint string `json:"fingerprint"`
	Name        string `json:"name"` // that it was trusted under
	Actor       string `json:"actor"`
	Reason      string `json:"reason"`
	// RevokedAt is when it was decided, by the engine's clock.
	RevokedAt time.Time `json:"revoked_at"`
}

// Keys are the evidence keys that were ever trusted, in the order in which they were first trusted: the fold of the events of the stream "engine".
type Keys []EvidenceKey

// EvidenceKey is a key, as the last event about it says.
type EvidenceKey struct {
	Trusted KeyTrusted
	// Revoked is nil while the key is in force.
	Revoked *KeyRevoked
}

// EvolveKeys folds one event into keys and returns the result, which shares nothing with keys that a later event changes. Events that are not
// about keys change nothing.
func EvolveKeys(keys Keys, e Event) Keys {
	keys = slices.Clone(keys)
	if trusted, ok := e.(KeyTrusted); ok {
		if i := keys.index(trusted.Fingerprint); i >= 0 {
			keys[i] = EvidenceKey{Trusted: trusted}
			return keys
		}
		return append(keys, EvidenceKey{Trusted: trusted})
	}
	if revoked, ok := e.(KeyRevoked); ok {
		if i := keys.index(revoked.Fingerprint); i >= 0 {
			keys[i].Revoked = &revoked
		}
	}
	return keys
}

// FingerprintOf is that of the key that an event is about; "" for other events.
func FingerprintOf(e Event) string {
	if trusted, ok := e.(KeyTrusted); ok {
		return trusted.Fingerprint
	}
	if revoked, ok := e.(KeyRevoked); ok {
		return revoked.Fingerprint
	}
	return ""
}

func (k Keys) index(fingerprint string) int {
	return slices.IndexFunc(k, func(key EvidenceKey) bool { return key.Trusted.Fingerprint == fingerprint })
}

// Find returns the key with a fingerprint; nil when it was never trusted.
func (k Keys) Find(fingerprint string) *EvidenceKey {
	if i := k.index(fingerprint); i >= 0 {
		return &k[i]
	}
	return nil
}

// shortestFingerprint is how many digits of a fingerprint name a key.
const shortestFingerprint = 8

// Resolve returns the fingerprint of the key that text names: its fingerprint, or the first eight digits of it or more, in either case. The
// error is a *[KeyNotChangedError].
func (k Keys) Resolve(text string) (string, error) {
	prefix := strings.ToLower(strings.TrimSpace(text))
	if len(prefix) < shortestFingerprint {
		return "", &KeyNotChangedError{text, fmt.Sprintf("is not named: give its fingerprint, or the first %d digits of it or more", shortestFingerprint)}
	}
	var found []string
	for _, key := range k {
		if strings.HasPrefix(key.Trusted.Fingerprint, prefix) {
			found = append(found, key.Trusted.Fingerprint)
		}
	}
	switch len(found) {
	case 0:
		return "", &KeyNotChangedError{text, "was never trusted"}
	case 1:
		return found[0], nil
	}
	return "", &KeyNotChangedError{text, "is one of several: " + strings.Join(found, ", ")}
}

// InForce returns the fingerprints of the keys that were not revoked, sorted.
func (k Keys) InForce() []string {
	return k.fingerprints(func(key EvidenceKey) bool { return key.Revoked == nil })
}

// Revoked returns the fingerprints of the keys that were revoked, sorted.
func (k Keys) Revoked() []string {
	return k.fingerprints(func(key EvidenceKey) bool { return key.Revoked != nil })
}

func (k Keys) fingerprints(which func(EvidenceKey) bool) []string {
	var out []string
	for _, key := range k {
		if which(key) {
			out = append(out, key.Trusted.Fingerprint)
		}
	}
	slices.Sort(out)
	return out
}

// KeyNotChangedError says why nothing was recorded of a key.
type KeyNotChangedError struct {
	Fingerprint string // or what was given in its place
	Why         string // with the key as its subject
}

// Error names the key and says why.
func (e *KeyNotChangedError) Error() string {
	return fmt.Sprintf("key %s %s: nothing was recorded", e.Fingerprint, e.Why)
}

// Check says what is wrong with what the event says of the key.
func (e KeyTrusted) Check() error {
	block, rest := pem.Decode([]byte(e.PublicKey))
	switch {
	case block == nil, block.Type != "PUBLIC KEY", strings.TrimSpace(string(rest)) != "":
		return errors.New("the public key is not one PEM block PUBLIC KEY")
	case !IsPlain(e.Name):
		return fmt.Errorf("name %q is empty, has control characters, or blanks around it", e.Name)
	}
	if sum := sha256.Sum256(block.Bytes); hex.EncodeToString(sum[:]) != e.Fingerprint {
		return fmt.Errorf("the fingerprint of the public key is %x, and not %s", sum, e.Fingerprint)
	}
	return nil
}

// TrustKey decides what records that a key is trusted. One that was revoked can be trusted again. The error is a *[KeyNotChangedError].
func TrustKey(keys Keys, trusted KeyTrusted) (Event, error) {
	refuse := func(why string) (Event, error) { return nil, &KeyNotChangedError{trusted.Fingerprint, why} }
	if err := trusted.Check(); err != nil {
		return refuse("cannot be trusted: " + err.Error())
	}
	switch known := keys.Find(trusted.Fingerprint); {
	case trusted.Actor == "" || trusted.Reason == "":
		return refuse("is trusted by an actor, for a reason")
	case known != nil && known.Revoked == nil:
		return refuse(fmt.Sprintf("is trusted already, as %q", known.Trusted.Name))
	}
	return trusted, nil
}

// RevokeKey decides what records that a key is revoked. The error is a *[KeyNotChangedError].
func RevokeKey(keys Keys, revoked KeyRevoked) (Event, error) {
	refuse := func(why string) (Event, error) { return nil, &KeyNotChangedError{revoked.Fingerprint, why} }
	known := keys.Find(revoked.Fingerprint)
	switch {
	case revoked.Actor == "" || revoked.Reason == "":
		return refuse("is revoked by an actor, for a reason")
	case known == nil:
		return refuse("was never trusted")
	case known.Revoked != nil:
		return refuse(fmt.Sprintf("was revoked at %s by %s already", known.Revoked.RevokedAt.UTC().Format(time.RFC3339), known.Revoked.Actor))
	}
	revoked.Name = known.Trusted.Name
	return revoked, nil
}

func (KeyTrusted) event() {}
func (KeyRevoked) event() {}

// missingKeys lists the keys that verified evidence whose bytes did not change, and that this scan was not given: without them it would
// make that evidence unverifiable. Of a key that was revoked, that is right.
func (t *tree) missingKeys(scan Scan) []Violation {
	if scan.WithoutKnownKeys || scan.Settings == nil {
		return nil
	}
	type loss struct {
		path  string
		count int
	}
	missing := map[string]*loss{}
	for _, n := range t.nodes {
		if n.parsed == nil || n.from == nil || n.from.known.Digest != n.known.Digest || n.known.VerifiedBy != "" {
			continue
		}
		key := n.from.known.VerifiedBy
		if key == "" || slices.Contains(scan.Settings.Keys, key) || slices.Contains(scan.RevokedKeys, key) {
			continue
		}
		if missing[key] == nil {
			missing[key] = &loss{path: n.Path}
		}
		missing[key].count++
	}
	var out []Violation
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		lost := missing[key]
		pieces := "1 piece of evidence"
		if lost.count > 1 {
			pieces = fmt.Sprintf("%d pieces of evidence", lost.count)
		}
		out = append(out, Violation{
			Code: ViolationKeys, Path: lost.path, Target: key,
			Text: fmt.Sprintf("the key %s verified %s whose bytes did not change (the first: %s), and is not at hand: trust it with gxpledger keys trust, "+
				"give it with --evidence-key, or scan with --without-known-keys", key, pieces, lost.path),
		})
	}
	return out
}
