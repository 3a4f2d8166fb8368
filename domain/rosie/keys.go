package rosie

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key is a public key that the operator trusts to sign evidence: on the curve P-256, for ES256. The zero value is no
// key and verifies nothing.
type Key struct {
	public      *ecdsa.PublicKey
	fingerprint string
	revoked     string // a sentence; "" for a key in force
}

// Fingerprint is the SHA-256 of the key's SPKI form (DER), 64 lower-case hexadecimal digits.
func (k Key) Fingerprint() string { return k.fingerprint }

// PEM is the key as one PEM block PUBLIC KEY; "" for the zero value.
func (k Key) PEM() string {
	if k.public == nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil { // it was marshalled when it was parsed
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Revoke returns the key as one that was revoked: evidence that no other key verifies is unverified then, for that reason. name is
// the operator's name for it.
func (k Key) Revoke(name string, at time.Time) Key {
	k.revoked = fmt.Sprintf("Key revoked at %s (%q).", at.UTC().Format(time.RFC3339), name)
	return k
}

// ParseKey reads one public key: PEM with a block PUBLIC KEY, or that block's base64 alone. The errors say what was
// given instead, and never repeat its content.
func ParseKey(data []byte) (Key, error) {
	der, err := keyBytes(bytes.TrimSpace(withoutBOM(data)))
	if err != nil {
		return Key{}, fmt.Errorf("cannot parse evidence key: %w", err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return Key{}, fmt.Errorf("cannot parse evidence key: this is not a public key in SPKI form: %w", err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return Key{}, fmt.Errorf("cannot parse evidence key: this is %s: expected an ECDSA key on P-256, as ES256 needs", keyKind(parsed))
	}
	if public.Curve != elliptic.P256() {
		return Key{}, fmt.Errorf("cannot parse evidence key: this is a key on the curve %s: expected P-256, as ES256 needs", public.Params().Name)
	}
	canonical, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, fmt.Errorf("cannot parse evidence key: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return Key{public: public, fingerprint: hex.EncodeToString(sum[:])}, nil
}

// keyKind names a public key that is not of ECDSA.
func keyKind(key any) string {
	switch key.(type) {
	case *rsa.PublicKey:
		return "an RSA key"
	case ed25519.PublicKey:
		return "an Ed25519 key"
	}
	return fmt.Sprintf("a key for another algorithm (%T)", key)
}

func keyBytes(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty: expected a PEM block PUBLIC KEY")
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN")) {
		if bytes.Contains(data, []byte("-----BEGIN")) {
			return nil, errors.New("there is text before the PEM block: give a file that begins with -----BEGIN PUBLIC KEY-----")
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), ""))
		if err != nil {
			return nil, errors.New("this is neither PEM nor base64: expected a PEM block PUBLIC KEY")
		}
		return der, nil
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, errors.New("the PEM block is broken: expected BEGIN PUBLIC KEY, base64, END PUBLIC KEY")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("this is a private key: give the public key, and keep the private one away from here")
	case block.Type != "PUBLIC KEY":
		return nil, fmt.Errorf("the PEM block is %q: expected PUBLIC KEY", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("there is text after the first PEM block: give one file for each key")
	}
	return block.Bytes, nil
}

// usable returns the keys that are keys, in the order of their fingerprints, each once: revoked when one of its kind is.
func usable(keys []Key) []Key {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return k.public == nil })
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.fingerprint, b.fingerprint), strings.Compare(b.revoked, a.revoked))
	})
	return slices.CompactFunc(keys, func(a, b Key) bool { return a.fingerprint == b.fingerprint })
}

// readerVersion names this reader in stamps. It changes when the same bytes are read differently than before.
const readerVersion = "rosie/2"

// Stamp says how a scan with these keys reads evidence; it is what a scan records as its reader. Files that no key
// bears on have the stamp of no keys, so that a new key makes a scan read evidence again and nothing else. To both,
// limits other than the defaults add a mark of their own.
func Stamp(keys []Key) string {
	keys = usable(keys)
	if len(keys) == 0 {
		return readerVersion
	}
	var all strings.Builder
	for _, k := range keys {
		all.WriteString(k.fingerprint)
		all.WriteString(k.revoked)
		all.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(all.String()))
	return readerVersion + "+keys:" + hex.EncodeToString(sum[:8])
}
