package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
)

// TrustKeyRequest says which public key verifies evidence from now on, and why.
type TrustKeyRequest struct {
	Key rosie.Key
	// Name is what people call it, such as "CI 2026".
	Name string
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// RevokeKeyRequest says which key verifies nothing any more, and why.
type RevokeKeyRequest struct {
	// Fingerprint is that of a key in force, or its first eight digits or more, if no other key begins so.
	Fingerprint string
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// KeyChange is what was recorded of a key. The JSON names are stable.
type KeyChange struct {
	EvidenceKey

	Position eventstore.Position `json:"position"`
}

// EvidenceKey is a key that was trusted, and whether it still is. The JSON names are stable.
type EvidenceKey struct {
	Fingerprint   string    `json:"fingerprint"`
	Name          string    `json:"name"`
	PublicKey     string    `json:"public_key"` // PEM
	TrustedBy     string    `json:"trusted_by"`
	TrustedReason string    `json:"trusted_reason"`
	TrustedAt     time.Time `json:"trusted_at"`
	// RevokedAt is zero while the key is in force.
	RevokedAt     time.Time `json:"revoked_at,omitzero"`
	RevokedBy     string    `json:"revoked_by,omitempty"`
	RevokedReason string    `json:"revoked_reason,omitempty"`
}

// InForce reports whether the key verifies evidence.
func (k *EvidenceKey) InForce() bool { return k.RevokedAt.IsZero() }

func evidenceKey(key domain.EvidenceKey) EvidenceKey {
	t := key.Trusted
	out := EvidenceKey{
		Fingerprint: t.Fingerprint, Name: t.Name, PublicKey: t.PublicKey, TrustedBy: t.Actor, TrustedReason: t.Reason, TrustedAt: t.TrustedAt,
	}
	if r := key.Revoked; r != nil {
		out.RevokedAt, out.RevokedBy, out.RevokedReason = r.RevokedAt, r.Actor, r.Reason
	}
	return out
}

// TrustKey records that scans verify evidence by a key from now on. One that was revoked can be trusted again.
//
// It waits for the log. Errors: [ErrInvalid] without a reason, a *[domain.KeyNotChangedError] where the key is trusted already, and
// [eventstore.ErrOutcomeUnknown]: look whether it was recorded.
func (a Admin) TrustKey(ctx context.Context, request TrustKeyRequest) (KeyChange, error) {
	if err := checkKeyRequest(request.Name, request.Actor, request.Reason); err != nil {
		return KeyChange{}, fmt.Errorf("cannot trust key: %w", err)
	}
	if request.Key.Fingerprint() == "" {
		return KeyChange{}, fmt.Errorf("cannot trust key: %w: no key is given", ErrInvalid)
	}
	if err := a.ledger.settings.CreateHome(); err != nil {
		return KeyChange{}, err
	}
	trusted := domain.KeyTrusted{
		Fingerprint: request.Key.Fingerprint(), Name: request.Name, PublicKey: request.Key.PEM(),
		Actor: cmp.Or(request.Actor, a.ledger.config.Actor), Reason: request.Reason, TrustedAt: a.ledger.config.Now().UTC(),
	}
	return a.changeKeys(ctx, trusted.Actor, trusted.Reason, func(keys domain.Keys) (domain.Event, error) { return domain.TrustKey(keys, trusted) })
}

// RevokeKey records that a key verifies nothing any more. Evidence that no other key verifies is unverified from the next scan of its
// repository on; what earlier scans saw stays.
//
// It waits for the log. Errors: [ErrNoLog], [ErrInvalid] without a reason, a *[domain.KeyNotChangedError] where the key was never trusted or
// was revoked already, and [eventstore.ErrOutcomeUnknown]: look whether it was recorded.
func (a Admin) RevokeKey(ctx context.Context, request RevokeKeyRequest) (KeyChange, error) {
	if err := checkKeyRequest(request.Fingerprint, request.Actor, request.Reason); err != nil {
		return KeyChange{}, fmt.Errorf("cannot revoke key: %w", err)
	}
	if a.ledger.config.OpenedLog == nil {
		if err := a.ledger.settings.RequireLog(); err != nil {
			return KeyChange{}, err
		}
	}
	revoked := domain.KeyRevoked{
		Actor: cmp.Or(request.Actor, a.ledger.config.Actor), Reason: request.Reason, RevokedAt: a.ledger.config.Now().UTC(),
	}
	return a.changeKeys(ctx, revoked.Actor, revoked.Reason, func(keys domain.Keys) (domain.Event, error) {
		var err error
		if revoked.Fingerprint, err = keys.Resolve(request.Fingerprint); err != nil {
			return nil, err
		}
		return domain.RevokeKey(keys, revoked)
	})
}

func checkKeyRequest(name, actor, reason string) error {
	switch {
	case reason == "":
		return fmt.Errorf("%w: a reason is required", ErrInvalid)
	case max(len(name), len(actor), len(reason)) > longestText:
		return fmt.Errorf("%w: names, Actor and Reason have at most %d bytes", ErrInvalid, longestText)
	case len(rosie.FindSecrets([]byte(name), 1)) > 0:
		return fmt.Errorf("%w: the name may hold a password", ErrSecret)
	}
	return nil
}

func (a Admin) changeKeys(ctx context.Context, actor, reason string, decide func(domain.Keys) (domain.Event, error)) (KeyChange, error) {
	log, err := a.ledger.openLog(ctx, config.ToAppend)
	if err != nil {
		return KeyChange{}, err
	}
	records, err := a.ledger.newRecorder(log)
	if err != nil {
		return KeyChange{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return KeyChange{}, fmt.Errorf("cannot create an id: %w", err)
	}
	var done KeyChange
	done.Position, err = records.ChangeKeys(ctx, recorder.KeyChange{
		ID: id, Actor: actor, Reason: reason,
		Decide: func(keys domain.Keys) (domain.Event, error) {
			event, err := decide(keys)
			if err != nil {
				return nil, err
			}
			done.EvidenceKey = evidenceKey(*domain.EvolveKeys(keys, event).Find(domain.FingerprintOf(event)))
			return event, nil
		},
	})
	return done, err
}

// Keys returns every evidence key that was ever trusted, as of the point in time that the view shows, in the order in which they were first
// trusted.
//
// It waits for the log, which it reads. Errors: those of package eventstore.
func (v *View) Keys(ctx context.Context) ([]EvidenceKey, error) {
	var upTo eventstore.Position
	if v.asOf {
		upTo = v.Shown.Position
	}
	at, err := recorder.LoadKeys(ctx, v.log, upTo)
	if err != nil {
		return nil, err
	}
	out := make([]EvidenceKey, len(at.Keys))
	for i, key := range at.Keys {
		out[i] = evidenceKey(key)
	}
	return out, nil
}

// scanKeys are the keys that a scan reads evidence with.
type scanKeys struct {
	reading  []rosie.Key // those in force, those given, and those that were revoked
	inForce  []string    // fingerprints of the keys in force and of those given, sorted
	revoked  []string    // fingerprints
	revision *int64      // of recorder.KeysAt
}

// newScanKeys adds the keys that a scan was given to those that the log knows.
func newScanKeys(at recorder.KeysAt, given []rosie.Key) (scanKeys, error) {
	keys := scanKeys{inForce: at.Keys.InForce(), revoked: at.Keys.Revoked(), revision: at.Revision}
	for _, known := range at.Keys {
		key, err := rosie.ParseKey([]byte(known.Trusted.PublicKey))
		if err == nil && key.Fingerprint() != known.Trusted.Fingerprint {
			err = errors.New("it has another fingerprint")
		}
		if err != nil {
			return scanKeys{}, fmt.Errorf("cannot use the recorded key %s: %w: %w", known.Trusted.Fingerprint, eventstore.ErrCorrupt, err)
		}
		if known.Revoked != nil {
			key = key.Revoke(known.Trusted.Name, known.Revoked.RevokedAt)
		}
		keys.reading = append(keys.reading, key)
	}
	for _, key := range given {
		fingerprint := key.Fingerprint()
		if fingerprint == "" || slices.Contains(keys.inForce, fingerprint) {
			continue
		}
		if known := at.Keys.Find(fingerprint); known != nil {
			return scanKeys{}, fmt.Errorf("cannot scan: %w: the key %s (%q) was revoked at %s; trust it again to use it",
				ErrInvalid, fingerprint, known.Trusted.Name, known.Revoked.RevokedAt.UTC().Format(time.RFC3339))
		}
		keys.reading, keys.inForce = append(keys.reading, key), append(keys.inForce, fingerprint)
	}
	slices.Sort(keys.inForce)
	return keys, nil
}

// loadKeys finds the keys to read evidence with.
func (s *scan) loadKeys(ctx context.Context) error {
	known, err := s.records.Keys(ctx)
	if err != nil {
		return err
	}
	s.keys, err = newScanKeys(known, s.asked.Keys)
	return err
}
