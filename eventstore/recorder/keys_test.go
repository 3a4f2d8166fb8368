package recorder_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

func trusted(key, actor string) domain.KeyTrusted {
	sum := sha256.Sum256([]byte(key))
	return domain.KeyTrusted{
		Fingerprint: hex.EncodeToString(sum[:]), Name: key, Actor: actor, Reason: "change request 17", TrustedAt: clock(),
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(key)})),
	}
}

func (d *fixture) trust(id uuid.UUID, k domain.KeyTrusted) (eventstore.Position, error) {
	d.t.Helper()
	return d.recorder.ChangeKeys(d.t.Context(), recorder.KeyChange{
		ID: id, Actor: k.Actor, Reason: k.Reason, Decide: func(keys domain.Keys) (domain.Event, error) { return domain.TrustKey(keys, k) },
	})
}

func (d *fixture) inForce() []string {
	d.t.Helper()
	at, err := d.recorder.Keys(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return at.Keys.InForce()
}

// Two who trust a key at the same moment: one does, and the other is told that it is trusted.
func TestAKeyIsTrustedOnce(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		d.log.onAppend = nil
		if _, err := d.trust(uuid.Must(uuid.NewV7()), trusted("k", "the faster")); err != nil {
			t.Error(err)
		}
		return do()
	}
	_, err := d.trust(uuid.Must(uuid.NewV7()), trusted("k", "the slower"))
	if _, ok := errors.AsType[*domain.KeyNotChangedError](err); !ok {
		t.Errorf("the slower is told %v, want a KeyNotChangedError", err)
	}
	d.wantTypes("key.trusted")
	if only := d.records()[0]; only.Meta.Actor != "the faster" || only.Stream != eventstore.EngineStream {
		t.Errorf("it was trusted by %s, in %s", only.Meta.Actor, only.Stream)
	}
}

// What else is recorded in the stream between, such as an admin action or another key, is no matter.
func TestAChangeOfKeysIsDecidedAgainBehindWhatCameBetween(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		d.log.onAppend = nil
		if _, err := d.recorder.RecordAction(t.Context(), domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "admin", At: clock()}); err != nil {
			t.Error(err)
		}
		if _, err := d.trust(uuid.Must(uuid.NewV7()), trusted("other", "ada")); err != nil {
			t.Error(err)
		}
		return do()
	}
	at, err := d.trust(uuid.Must(uuid.NewV7()), trusted("k", "ada"))
	if err != nil || at != 3 {
		t.Errorf("recorded at %d, %v; want 3", at, err)
	}
	d.wantTypes("admin.acted", "key.trusted", "key.trusted")
	if keys := d.inForce(); len(keys) != 2 {
		t.Errorf("in force are %v, want both", keys)
	}
}

// An answer that was lost, and the same change again: the log holds it once.
func TestAChangeOfKeysWhoseAnswerWasLostIsRecordedOnce(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.log.onAppend = func(call int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		at, err := do()
		if call == 1 {
			return eventstore.Appended{}, errLost
		}
		return at, err
	}
	if at, err := d.trust(uuid.Must(uuid.NewV7()), trusted("k", "ada")); err != nil || at != 1 {
		t.Errorf("recorded at %d, %v; want 1", at, err)
	}
	d.wantTypes("key.trusted")
}

// The keys as of a position are those of the events up to it, and the revision is that of the last event about a key.
func TestKeysAsOfAPosition(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	a, b := trusted("a", "ada"), trusted("b", "ada")
	var ends []eventstore.Position
	for _, k := range []domain.KeyTrusted{a, b} {
		at, err := d.trust(uuid.Must(uuid.NewV7()), k)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, at)
	}
	if _, err := d.recorder.RecordAction(t.Context(), domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "admin", At: clock()}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		upTo     eventstore.Position
		want     []string
		revision int64
	}{{ends[0], []string{a.Fingerprint}, 0}, {ends[1], both(a, b), 1}, {0, both(a, b), 1}} {
		at, err := recorder.LoadKeys(t.Context(), d.log, test.upTo)
		if err != nil || !slices.Equal(at.Keys.InForce(), test.want) || at.Revision == nil || *at.Revision != test.revision {
			t.Errorf("up to %d: %+v, %v; want %v of revision %d", test.upTo, at, err, test.want, test.revision)
		}
	}
}

func both(a, b domain.KeyTrusted) []string {
	out := []string{a.Fingerprint, b.Fingerprint}
	slices.Sort(out)
	return out
}

// TestFailedAttemptsDoNotMakeScansSlow: the stream that the keys are in grows with each failed attempt, and is not read whole.
func TestFailedAttemptsDoNotMakeScansSlow(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	key := trusted("k", "ada")
	if _, err := d.trust(uuid.Must(uuid.NewV7()), key); err != nil {
		t.Fatal(err)
	}
	act := func() {
		t.Helper()
		id := uuid.Must(uuid.NewV7()).String()
		if _, err := d.recorder.RecordAction(t.Context(), domain.AdminActed{ID: id, Action: "x", Actor: "ada", Outcome: "succeeded", At: clock()}); err != nil {
			t.Fatal(err)
		}
	}
	most := 0
	for i := range 1000 {
		act()
		if i%50 != 0 {
			continue
		}
		d.log.reads = 0
		if got := d.inForce(); !slices.Equal(got, []string{key.Fingerprint}) {
			t.Fatalf("after %d actions the keys in force are %v", i, got)
		}
		most = max(most, d.log.reads)
	}
	if most > 300 {
		t.Errorf("the keys took %d records to read; want no more than lie between two snapshots", most)
	}
	for name, spoil := range map[string]func(*eventstore.Snapshot){
		"another version": func(s *eventstore.Snapshot) { s.Version++ },
		"another event":   func(s *eventstore.Snapshot) { s.EventID = uuid.Must(uuid.NewV7()) },
		"another place":   func(s *eventstore.Snapshot) { s.Revision-- },
		"behind the end":  func(s *eventstore.Snapshot) { s.Revision += 100_000 },
		"other keys":      func(s *eventstore.Snapshot) { s.Data = []byte(strings.ReplaceAll(string(s.Data), key.Name, "j")) },
		"no digest":       func(s *eventstore.Snapshot) { s.Data = []byte("{}") },
	} {
		whole, err := d.log.LoadSnapshot(t.Context(), eventstore.EngineStream)
		if err != nil {
			t.Fatal(err)
		}
		spoiled := whole
		spoil(&spoiled)
		if err := d.log.SaveSnapshot(t.Context(), spoiled); err != nil {
			t.Fatal(err)
		}
		if got := d.inForce(); !slices.Equal(got, []string{key.Fingerprint}) {
			t.Errorf("%s: the keys in force are %v", name, got)
		}
		after, err := d.log.LoadSnapshot(t.Context(), eventstore.EngineStream)
		if err != nil || after.Version == spoiled.Version && after.EventID == spoiled.EventID && after.Revision == spoiled.Revision && bytes.Equal(after.Data, spoiled.Data) {
			t.Errorf("%s: the snapshot was not replaced: %v", name, err)
		}
	}
	if _, err := d.recorder.ChangeKeys(t.Context(), recorder.KeyChange{
		ID: uuid.Must(uuid.NewV7()), Actor: "ada", Reason: "lost", Decide: func(keys domain.Keys) (domain.Event, error) {
			return domain.RevokeKey(keys, domain.KeyRevoked{Fingerprint: key.Fingerprint, Actor: "ada", Reason: "lost", RevokedAt: clock()})
		},
	}); err != nil {
		t.Fatal(err)
	}
	if got := d.inForce(); len(got) != 0 {
		t.Errorf("after the revocation, the keys in force are %v", got)
	}
}
