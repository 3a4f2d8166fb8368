package rosie

import (
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gxpledger/gxpledger/domain"
)

// token is a compact JWS that could be taken apart. Nothing in it is trusted.
type token struct {
	compact string
	header  value
	payload value
	sum     string // SHA-256 of the bytes of the payload
}

// parseToken takes a compact JWS apart. One line end behind it is accepted.
func parseToken(data []byte, limits *Limits) (token, error) {
	compact := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	parts := strings.SplitN(compact, ".", 4)
	if len(parts) != 3 || slices.Contains(parts, "") || strings.IndexFunc(compact, outsideJWS) >= 0 {
		return token{}, tokenFault(compact)
	}
	header, _, err := decodePart("header", parts[0], limits)
	if err != nil {
		return token{}, err
	}
	payload, raw, err := decodePart("payload", parts[1], limits)
	if err != nil {
		return token{}, err
	}
	sum := sha256.Sum256(raw)
	return token{compact: compact, header: header, payload: payload, sum: hex.EncodeToString(sum[:])}, nil
}

func tokenFault(compact string) error {
	const expected = "expected a compact JWS, which is header.payload.signature in base64url on one line"
	if compact == "" {
		return malformedAt(1, 1, "the file is empty: %s", expected)
	}
	bad := strings.IndexFunc(compact, outsideJWS)
	if bad < 0 {
		return malformedAt(1, 1, "there are %d parts, or an empty one: %s", strings.Count(compact, ".")+1, expected)
	}
	line, column := position([]byte(compact), bad)
	return malformedAt(line, column, "the byte 0x%02x does not belong here: %s", compact[bad], expected)
}

// outsideJWS reports characters that a compact JWS cannot hold. The JOSE library lets a newline pass inside a token.
func outsideJWS(r rune) bool {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

func decodePart(name, part string, limits *Limits) (v value, raw []byte, err error) {
	raw, err = base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return value{}, nil, malformedAt(1, 0, "the %s of the JWS is not base64url: %v", name, err)
	}
	v, err = parseObject(raw, limits)
	if fault, ok := errors.AsType[*malformedError](err); ok {
		return value{}, nil, malformedAt(1, 0, "the %s of the JWS, decoded, at line %d, column %d: %s",
			name, fault.line, fault.column, fault.text)
	}
	return v, raw, err
}

// verify checks the signature against the operator's keys. What the header names (alg, kid, jwk, jku, x5u, x5c) is
// reported and never used to choose a key or an algorithm.
func (t token) verify(d *draft, opts *Options) domain.Signature {
	s := domain.Signature{
		Algorithm: d.bounded("alg", t.header.at("alg").text, maxClaim),
		KeyID:     d.bounded("kid", t.header.at("kid").text, maxClaim),
		IssuedAt:  d.claimedTime(t.payload, "iat"),
		ExpiresAt: d.claimedTime(t.payload, "exp"),
	}
	signed, refusal := t.open()
	if signed == nil {
		s.Verdict, s.Reason = domain.VerdictInvalid, refusal
	} else {
		tryKeys(&s, signed, opts.Keys)
	}
	if s.ExpiresAt != nil && !s.ExpiresAt.After(opts.At) {
		s.Expired = true
		d.note(domain.FindingExpired, 0, "the signature says that it expired at %s; it still counts as a record",
			s.ExpiresAt.Format(time.RFC3339))
	}
	return s
}

// open parses the token for verification. When no key could ever make it valid, it returns nil and says why.
func (t token) open() (signed *jose.JSONWebSignature, refusal string) {
	alg := t.header.at("alg")
	if alg.form != formText || alg.text != string(jose.ES256) {
		short, _ := cut(alg.text, maxTerm)
		return nil, fmt.Sprintf("The header asks for the algorithm %q%s, and only ES256 is accepted.", short, algorithmKey(alg.text))
	}
	for _, name := range []string{"crit", "b64"} {
		if slices.Contains(t.header.keys, name) {
			return nil, fmt.Sprintf("The header has %q, which changes what a signature covers and is not accepted, whatever its value.", name)
		}
	}
	// The library ignores stray bits in the last character. A record whose bytes were changed must not pass as signed.
	signature, err := base64.RawURLEncoding.Strict().DecodeString(t.compact[strings.LastIndexByte(t.compact, '.')+1:])
	switch {
	case err != nil:
		return nil, "The signature is not canonical base64url."
	case derSignature(signature):
		return nil, "The signature is in the form of DER (ASN.1): ES256 has the 64 bytes of r and s, one after the other."
	case len(signature) != signatureSize:
		return nil, fmt.Sprintf("The signature is %d bytes long: ES256 has %d, r and s.", len(signature), signatureSize)
	}
	signed, err = jose.ParseSignedCompact(t.compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		short, _ := cut(err.Error(), maxMessage)
		return nil, "The JWS is refused: " + short + "."
	}
	return signed, ""
}

// algorithmKey names the key that another algorithm signs with.
func algorithmKey(alg string) string {
	switch {
	case alg == "none":
		return " (no signature)"
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return " (an RSA key)"
	case alg == "ES384":
		return " (a key on P-384)"
	case alg == "ES512":
		return " (a key on P-521)"
	case strings.HasPrefix(alg, "HS"):
		return " (a shared secret)"
	case alg == "EdDSA":
		return " (an Edwards curve key)"
	}
	return ""
}

// signatureSize is the length of r and s on P-256.
const signatureSize = 64

// derSignature reports a signature as ASN.1 has it, which OpenSSL makes.
func derSignature(signature []byte) bool {
	var ints struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &ints)
	return err == nil && len(rest) == 0
}

// tryKeys sets the verdict by the first key that verifies: one in force before one that was revoked.
func tryKeys(s *domain.Signature, signed *jose.JSONWebSignature, keys []Key) {
	inForce := 0
	for _, key := range keys {
		if key.revoked != "" {
			continue
		}
		if inForce++; key.verifies(signed) {
			s.Verdict, s.Fingerprint = domain.VerdictValid, key.fingerprint
			return
		}
	}
	for _, key := range keys {
		if key.revoked != "" && key.verifies(signed) {
			s.Verdict, s.Fingerprint, s.Reason = domain.VerdictRevoked, key.fingerprint, key.revoked
			return
		}
	}
	if inForce == 0 {
		s.Verdict, s.Reason = domain.VerdictUnverifiable, "No evidence key was given."
		return
	}
	s.Verdict = domain.VerdictInvalid
	s.Reason = fmt.Sprintf("The signature does not match under any of the evidence keys given (%d).", inForce)
}

func (k Key) verifies(signed *jose.JSONWebSignature) bool {
	_, err := signed.Verify(k.public)
	return err == nil
}

// claimedTime reads a time in seconds since 1970, as JWT claims are. Years beyond 9999 cannot be told and are noted.
func (d *draft) claimedTime(payload value, claim string) *time.Time {
	v := payload.at(claim)
	if v.form == formNull {
		return nil
	}
	const year10000 = 253402300800
	seconds, err := strconv.ParseFloat(v.text, 64)
	if err != nil || v.form != formNumber || seconds < 0 || seconds >= year10000 {
		d.note(domain.FindingMalformed, 0, "the claim %s is not a time: expected seconds since 1970", claim)
		return nil
	}
	at := time.Unix(int64(seconds), 0).UTC()
	return &at
}
