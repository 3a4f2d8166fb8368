package gxpledger_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

const spec = `---
gxp_id: SPEC-001
title: "Stop within two seconds"
parent_id: US-001
---
`

// signer is a build server that signs evidence.
type signer struct {
	private *ecdsa.PrivateKey
	public  rosie.Key
}

func newSigner(t *testing.T) signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := rosie.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return signer{private, public}
}

// sign returns evidence of a test that passed, as a compact JWS.
func (s signer) sign(t *testing.T) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(`{"gxp_id":"EV-001","spec_id":"SPEC-001","test_results":{"passed":1,"failed":0,"skipped":0}}`))
	sum := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, s.private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

// newSignedProduct is newProduct with a spec whose evidence is signed.
func newSignedProduct(t *testing.T) (*gxpledger.Ledger, gxpledger.ScanRequest, signer) {
	t.Helper()
	ledger, request := newProduct(t)
	ci := newSigner(t)
	write(request.Repository, map[string]string{"specs/SPEC-001.md": spec, "evidence/EV-001.jws": ci.sign(t)})
	return ledger, request, ci
}

func trust(t *testing.T, ledger *gxpledger.Ledger, key rosie.Key, name string) gxpledger.KeyChange {
	t.Helper()
	done, err := ledger.Admin().TrustKey(t.Context(), gxpledger.TrustKeyRequest{Key: key, Name: name, Reason: "change request 17"})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// scanSigned records a scan that completes, and returns what it says of itself.
func scanSigned(t *testing.T, ledger *gxpledger.Ledger, request gxpledger.ScanRequest) gxpledger.ScanReport {
	t.Helper()
	result, err := ledger.Scan(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return result.Report()
}

// worth is what the evidence of the product is worth, as of a point in time.
func worth(t *testing.T, ledger *gxpledger.Ledger, when string) (state, text string) {
	t.Helper()
	view, err := ledger.View(t.Context(), gxpledger.AsOf(when))
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close() //nolint:errcheck // nothing was written
	gaps, err := view.Gaps(t.Context(), query.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gaps.Gaps {
		for _, e := range g.Evidence {
			return e.Reason, e.Text
		}
	}
	return "", ""
}

func verified(t *testing.T, ledger *gxpledger.Ledger) {
	t.Helper()
	done, err := ledger.Verify(t.Context(), gxpledger.VerifyOptions{})
	if err != nil || len(done.Faults) > 0 {
		t.Errorf("verify: %v, %+v", err, done.Faults)
	}
}

// A key that is trusted verifies each scan until it is revoked, and what was seen before stays.
func TestScansVerifyWithTheKeysInForce(t *testing.T) {
	t.Parallel()
	ledger, request, ci := newSignedProduct(t)
	trust(t, ledger, ci.public, "CI 2026")

	first := scanSigned(t, ledger, request)
	if first.Evidence == nil || first.Evidence.Valid != 1 {
		t.Fatalf("evidence is %+v, want 1 that is valid", first.Evidence)
	}
	if set := first.Settings; !slices.Equal(set.Keys, []string{ci.public.Fingerprint()}) || set.KeysRevision == nil || *set.KeysRevision != 0 || len(set.Overrides) != 0 {
		t.Errorf("the scan says %+v, want the key of revision 0", set)
	}
	revoked, err := ledger.Admin().RevokeKey(t.Context(), gxpledger.RevokeKeyRequest{Fingerprint: ci.public.Fingerprint()[:12], Reason: "it leaked"})
	if err != nil || revoked.InForce() || revoked.Name != "CI 2026" {
		t.Fatalf("revoked %+v, %v", revoked, err)
	}
	if reason, _ := worth(t, ledger, ""); reason != "" {
		t.Errorf("before the next scan the evidence is %q", reason)
	}
	second := scanSigned(t, ledger, request)
	if second.Evidence == nil || second.Evidence.Revoked != 1 || len(second.Settings.Keys) != 0 || *second.Settings.KeysRevision != 1 {
		t.Errorf("evidence is %+v under %+v, want 1 by a revoked key, of revision 1", second.Evidence, second.Settings)
	}
	want := "is unverified: key revoked at " + revoked.RevokedAt.Format("2006-01-02T15:04:05Z") + ` ("CI 2026")`
	if reason, text := worth(t, ledger, ""); reason != domain.UnverifiedRevoked || text != want {
		t.Errorf("the evidence is %q: it %s; want that it %s", reason, text, want)
	}
	if reason, text := worth(t, ledger, "scan:1"); reason != "" {
		t.Errorf("as of scan 1, the evidence is %q: %s", reason, text)
	}
	trust(t, ledger, ci.public, "CI again")
	if third := scanSigned(t, ledger, request); third.Evidence == nil || third.Evidence.Valid != 1 {
		t.Errorf("trusted again, evidence is %+v", third.Evidence)
	}
	verified(t, ledger)

	view, err := ledger.View(t.Context(), gxpledger.AsOf("scan:2"))
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close() //nolint:errcheck // nothing was written
	if keys, err := view.Keys(t.Context()); err != nil || len(keys) != 1 || keys[0].InForce() || keys[0].Name != "CI 2026" {
		t.Errorf("as of scan 2, the keys are %+v, %v", keys, err)
	}
}

// Forgetting a key is refused, and a key that is given for one scan is told with it.
func TestAScanThatForgetsAKeyIsRefused(t *testing.T) {
	t.Parallel()
	ledger, request, ci := newSignedProduct(t)
	given := request
	given.Keys = []rosie.Key{ci.public}
	if set := scanSigned(t, ledger, given).Settings; !slices.Equal(set.Overrides, []string{"keys"}) || set.KeysRevision != nil {
		t.Errorf("the scan says %+v, want that its keys were given for it", set)
	}
	_, err := ledger.Scan(t.Context(), request)
	refused, ok := errors.AsType[*domain.RefusedError](err)
	if !ok || len(refused.Violations) != 1 || refused.Violations[0].Code != domain.ViolationKeys || refused.Violations[0].Target != ci.public.Fingerprint() {
		t.Fatalf("got %v, want a refusal for the key", err)
	}
	asked := request
	asked.WithoutKnownKeys = true
	if r := scanSigned(t, ledger, asked); r.Evidence == nil || r.Evidence.Unverifiable != 1 || !slices.Equal(r.Settings.Overrides, []string{"without_known_keys"}) {
		t.Errorf("evidence is %+v under %+v, want 1 that is unverifiable since that was asked for", r.Evidence, r.Settings)
	}
	verified(t, ledger)
}

// A key that was revoked cannot be slipped in for one scan.
func TestARevokedKeyIsNotGivenForAScan(t *testing.T) {
	t.Parallel()
	ledger, request, ci := newSignedProduct(t)
	trust(t, ledger, ci.public, "CI 2026")
	done, err := ledger.Admin().RevokeKey(t.Context(), gxpledger.RevokeKeyRequest{Fingerprint: ci.public.Fingerprint(), Reason: "it leaked"})
	if err != nil {
		t.Fatal(err)
	}
	request.Keys = []rosie.Key{ci.public}
	if _, err := ledger.Scan(t.Context(), request); !errors.Is(err, gxpledger.ErrInvalid) || !strings.Contains(err.Error(), "was revoked at") {
		t.Errorf("got %v, want that the key was revoked", err)
	}
	log, err := ledger.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != done.Position {
		t.Errorf("the log ends at %d, %v; want nothing behind %d", head, err, done.Position)
	}
}

func TestAKeyThatCannotBeChangedRecordsNothing(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	ci := newSigner(t)
	admin := ledger.Admin()
	if _, err := admin.RevokeKey(t.Context(), gxpledger.RevokeKeyRequest{Fingerprint: ci.public.Fingerprint(), Reason: "x"}); !errors.Is(err, gxpledger.ErrNoLog) {
		t.Errorf("without a log: %v, want ErrNoLog", err)
	}
	for _, request := range []gxpledger.TrustKeyRequest{
		{Key: ci.public, Name: "CI"}, {Name: "CI", Reason: "x"}, {Key: ci.public, Name: strings.Repeat("a", 1001), Reason: "x"},
	} {
		if _, err := admin.TrustKey(t.Context(), request); !errors.Is(err, gxpledger.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", request, err)
		}
	}
	trust(t, ledger, ci.public, "CI")
	for name, change := range map[string]func() error{
		"trusted twice": func() error {
			_, err := admin.TrustKey(t.Context(), gxpledger.TrustKeyRequest{Key: ci.public, Name: "CI", Reason: "x"})
			return err
		},
		"another one revoked": func() error {
			_, err := admin.RevokeKey(t.Context(), gxpledger.RevokeKeyRequest{Fingerprint: newSigner(t).public.Fingerprint(), Reason: "x"})
			return err
		},
	} {
		if _, ok := errors.AsType[*domain.KeyNotChangedError](change()); !ok {
			t.Errorf("%s: %v, want a KeyNotChangedError", name, change())
		}
	}
	log, err := ledger.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != eventstore.Position(1) {
		t.Errorf("the log ends at %d, %v; want 1", head, err)
	}
}
