package rosie_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	text := string(publicPEM(t, &s.private.PublicKey))
	block, _ := pem.Decode([]byte(text))
	raw := base64.StdEncoding.EncodeToString(block.Bytes)
	for name, given := range map[string]string{
		"PEM":                  text,
		"PEM with blanks":      "\n  " + text + "\n\n",
		"PEM with CRLF":        strings.ReplaceAll(text, "\n", "\r\n"),
		"base64":               raw,
		"base64 in lines":      raw[:40] + "\n" + raw[40:] + "\n",
		"with byte order mark": "\ufeff" + text,
	} {
		key, err := rosie.ParseKey([]byte(given))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		equal(t, name, key.Fingerprint(), hash(string(block.Bytes)))
	}
}

// What is no such key is refused by what it is, and never repeated.
func TestParseKeyRefusals(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	text := string(publicPEM(t, &s.private.PublicKey))
	private, err := x509.MarshalECPrivateKey(s.private)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, test := range map[string]struct{ given, says string }{
		"nothing":        {" \n", "empty"},
		"words":          {"my secret words!", "neither PEM nor base64"},
		"base64 of else": {"aGVsbG8=", "not a public key in SPKI form"},
		"broken PEM":     {"-----BEGIN PUBLIC KEY-----\n!!\n", "PEM block is broken"},
		"a private key":  {block("EC PRIVATE KEY", private), "private key"},
		"a certificate":  {block("CERTIFICATE", []byte("x")), `"CERTIFICATE"`},
		"text before":    {"Bag Attributes\n    friendlyName: evidence\n" + text, "text before the PEM block"},
		"two keys":       {text + text, "one file for each key"},
		"P-384":          {string(publicPEM(t, &p384.PublicKey)), "P-384"},
		"RSA":            {string(publicPEM(t, &rsaKey.PublicKey)), "an RSA key"},
		"Ed25519":        {string(publicPEM(t, edKey)), "an Ed25519 key"},
	} {
		key, err := rosie.ParseKey([]byte(test.given))
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want one that says %q", name, err, test.says)
		}
		equal(t, name+": key", key.Fingerprint(), "")
	}
}

// A stamp follows the set of keys, whatever their order, and nothing else.
func TestStamp(t *testing.T) {
	t.Parallel()
	a, b := newSigner(t).public, newSigner(t).public
	equal(t, "without keys", rosie.Stamp(nil), "rosie/2")
	equal(t, "with the zero key", rosie.Stamp([]rosie.Key{{}}), "rosie/2")
	both := rosie.Stamp([]rosie.Key{a, b})
	equal(t, "in another order, one twice", rosie.Stamp([]rosie.Key{b, a, b}), both)
	if !strings.HasPrefix(both, "rosie/2+keys:") || both == rosie.Stamp([]rosie.Key{a}) || rosie.Stamp([]rosie.Key{a}) == rosie.Stamp([]rosie.Key{b}) {
		t.Errorf("stamps do not tell keys apart: %s", both)
	}
}

// Evidence that only a revoked key verifies is neither valid nor invalid, whatever other keys are at hand.
func TestEvidenceOfARevokedKey(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 4, 1, 12, 0, 0, 0, time.FixedZone("", 7200))
	s, other := newSigner(t), newSigner(t)
	compact := s.sign(t, evidencePayload("SPEC-001-001"))
	revoked := s.public.Revoke("CI 2025", at)
	signature := func(keys ...rosie.Key) domain.Signature {
		options := s.options()
		options.Keys = keys
		e := readEvidence(t, compact, options).Artifacts[0].Evidence
		equal(t, "check of the evidence", e.Overall(), e.Signature.Verdict)
		return domain.Signature{Verdict: e.Signature.Verdict, Fingerprint: e.Signature.Fingerprint, Reason: e.Signature.Reason}
	}
	want := domain.Signature{
		Verdict: domain.VerdictRevoked, Fingerprint: s.public.Fingerprint(), Reason: `Key revoked at 2026-04-01T10:00:00Z ("CI 2025").`,
	}
	equal(t, "by the revoked key alone", signature(revoked), want)
	equal(t, "by another key too", signature(other.public, revoked), want)
	equal(t, "given twice, in force and revoked", signature(s.public, revoked), want)
	equal(t, "by another revoked key alone", signature(other.public.Revoke("x", at)).Verdict, domain.VerdictUnverifiable)
	equal(t, "by another key in force and another revoked one", signature(newSigner(t).public, other.public.Revoke("x", at)).Verdict, domain.VerdictInvalid)
}

// Each set of keys reads evidence differently, so each has a stamp of its own; that of keys in force is as it always was.
func TestARevocationChangesTheStamp(t *testing.T) {
	t.Parallel()
	k := newSigner(t).public
	other := newSigner(t).public
	at := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	seen := map[string]string{}
	for name, keys := range map[string][]rosie.Key{
		"none": nil, "in force": {k}, "revoked": {k.Revoke("x", at)}, "revoked later": {k.Revoke("x", at.Add(time.Hour))},
		"two": {k, other}, "one of two revoked": {k.Revoke("x", at), other}, "the other revoked": {k, other.Revoke("x", at)},
	} {
		stamp := rosie.Stamp(keys)
		if before, met := seen[stamp]; met {
			t.Errorf("%s and %s have the stamp %s", name, before, stamp)
		}
		seen[stamp] = name
	}
	sum := hash(k.Fingerprint() + "\n")
	equal(t, "stamp of a key in force", rosie.Stamp([]rosie.Key{k}), "rosie/2+keys:"+sum[:16])
}

func TestAKeyIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	k := newSigner(t).public
	again, err := rosie.ParseKey([]byte(k.PEM()))
	if err != nil || again.Fingerprint() != k.Fingerprint() || again.PEM() != k.PEM() {
		t.Errorf("read back as %s, %v; want %s", again.Fingerprint(), err, k.Fingerprint())
	}
	equal(t, "PEM of no key", rosie.Key{}.PEM(), "")
}
