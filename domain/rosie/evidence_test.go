package rosie_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// readEvidence reads a repository whose only evidence is this JWS.
func readEvidence(t *testing.T, compact string, options rosie.Options) domain.File {
	t.Helper()
	return unit(t, read(t, files{jwsPath: compact}.fs(), options), jwsPath)
}

func TestEvidenceAsSigned(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	compact := s.sign(t, evidencePayload("SPEC-001-001"))
	a := readEvidence(t, compact, s.options()).Artifacts[0]
	equal(t, "kind, id and title", []string{string(a.Kind), a.GxPID, a.Title}, []string{"evidence_jws", "EV-SPEC-001-001", ""})
	equal(t, "tier", showTier(a), "OQ/oq")
	equal(t, "links", showLinks(a), "spec_id SPEC-001-001, traced_user_story US-001-001")
	equal(t, "findings", codes(a.Findings), nil)
	equal(t, "tests", *a.Evidence.Results.Totals, domain.TestTotals{Passed: 5, Skipped: 1})
	e := a.Evidence
	equal(t, "claims", []string{e.SpecID, e.UserStory, e.Timestamp, e.StateHash, e.GitCommit},
		[]string{"SPEC-001-001", "US-001-001", "2026-02-07T11:09:35.609Z", hash("state"), blob("commit")})
	issued, expires := time.Unix(1770462575, 0).UTC(), time.Unix(2086038575, 0).UTC()
	equal(t, "issued", *e.Signature.IssuedAt, issued)
	equal(t, "expires", *e.Signature.ExpiresAt, expires)
	equal(t, "signature", []any{e.Signature.Verdict, e.Signature.Reason, e.Signature.Algorithm, e.Signature.KeyID, e.Signature.Fingerprint, e.Signature.Expired},
		[]any{domain.VerdictValid, "", "ES256", "sample-key", s.public.Fingerprint(), false})
	text := string(a.Fields)
	if strings.Contains(text, "test_cases") || !strings.Contains(text, `"test_results":{"tool":"gotest","version":"1.26.0","passed":"5"`) {
		t.Errorf("fields: %s", text)
	}
}

// The older shape of a payload names the commit in system_state.
func TestEvidenceOfTheOlderShape(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	a := readEvidence(t, s.sign(t, `{"gxpId":"EV-1","specId":"SPEC-1","tier":"PQ","system_state":"git:abc123","created_at":"2026"}`), s.options()).Artifacts[0]
	equal(t, "read", []string{a.GxPID, a.Evidence.SpecID, raw(a.Tier), a.Evidence.GitCommit, a.Evidence.Timestamp, showLinks(a)},
		[]string{"EV-1", "SPEC-1", "PQ", "abc123", "2026", "spec_id SPEC-1"})
	if a.Evidence.Results.State != domain.ResultsUnknown || a.Evidence.Signature.IssuedAt != nil || a.Evidence.Signature.ExpiresAt != nil {
		t.Errorf("invented: %+v", a.Evidence)
	}
}

// Only the operator's keys decide. A verdict other than valid has a reason.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	s, stranger := newSigner(t), newSigner(t)
	payload := evidencePayload("SPEC-1")
	good := s.sign(t, payload)
	parts := strings.Split(good, ".")
	otherPayload := strings.Split(s.sign(t, evidencePayload("SPEC-2")), ".")[1]
	der := base64.RawURLEncoding.EncodeToString(derSignature(t, s, parts[0]+"."+parts[1]))
	header := func(text string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[1] + "." + parts[2]
	}
	tests := map[string]struct {
		compact string
		keys    []rosie.Key
		verdict domain.Verdict
		says    string
	}{
		"the right key":            {good, []rosie.Key{s.public}, domain.VerdictValid, ""},
		"one of several keys":      {good, []rosie.Key{stranger.public, s.public}, domain.VerdictValid, ""},
		"no key":                   {good, nil, domain.VerdictUnverifiable, "No evidence key"},
		"the zero key":             {good, []rosie.Key{{}}, domain.VerdictUnverifiable, "No evidence key"},
		"another key":              {good, []rosie.Key{stranger.public}, domain.VerdictInvalid, "does not match"},
		"another payload":          {parts[0] + "." + otherPayload + "." + parts[2], []rosie.Key{s.public}, domain.VerdictInvalid, "does not match"},
		"a short signature":        {parts[0] + "." + parts[1] + ".AAAA", []rosie.Key{s.public}, domain.VerdictInvalid, "3 bytes long"},
		"a short one, no key":      {parts[0] + "." + parts[1] + ".AAAA", nil, domain.VerdictInvalid, "3 bytes long"},
		"a signature in DER":       {parts[0] + "." + parts[1] + "." + der, []rosie.Key{s.public}, domain.VerdictInvalid, "DER"},
		"DER without a key":        {parts[0] + "." + parts[1] + "." + der, nil, domain.VerdictInvalid, "DER"},
		"b64 true":                 {header(`{"alg":"ES256","b64":true}`), []rosie.Key{s.public}, domain.VerdictInvalid, `"b64"`},
		"b64 false and crit":       {header(`{"alg":"ES256","b64":false,"crit":["b64"]}`), nil, domain.VerdictInvalid, `"crit"`},
		"b64 null":                 {header(`{"alg":"ES256","b64":null}`), nil, domain.VerdictInvalid, `"b64"`},
		"an empty crit":            {header(`{"alg":"ES256","crit":[]}`), nil, domain.VerdictInvalid, `"crit"`},
		"ES384":                    {header(`{"alg":"ES384"}`), nil, domain.VerdictInvalid, `"ES384" (a key on P-384)`},
		"RS256":                    {header(`{"alg":"RS256"}`), nil, domain.VerdictInvalid, `"RS256" (an RSA key)`},
		"a signature of zeros":     {parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86), []rosie.Key{s.public}, domain.VerdictInvalid, "does not match"},
		"no algorithm":             {header(`{"alg":"none"}`), []rosie.Key{s.public}, domain.VerdictInvalid, `"none"`},
		"no algorithm, no key":     {header(`{"alg":"none"}`), nil, domain.VerdictInvalid, `"none"`},
		"an algorithm left out":    {header(`{"kid":"x"}`), []rosie.Key{s.public}, domain.VerdictInvalid, `""`},
		"an algorithm as a number": {header(`{"alg":256}`), []rosie.Key{s.public}, domain.VerdictInvalid, "only ES256"},
		"in lower case":            {header(`{"alg":"es256"}`), []rosie.Key{s.public}, domain.VerdictInvalid, `"es256"`},
		"an unknown crit":          {header(`{"alg":"ES256","crit":["x"],"x":1}`), []rosie.Key{s.public}, domain.VerdictInvalid, `"crit"`},
		"a broken jwk":             {header(`{"alg":"ES256","jwk":{"kty":"EC"}}`), []rosie.Key{s.public}, domain.VerdictInvalid, "refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readEvidence(t, test.compact, rosie.Options{Keys: test.keys}).Artifacts[0].Evidence.Signature
			equal(t, "verdict", got.Verdict, test.verdict)
			if (got.Reason == "") != (test.verdict == domain.VerdictValid) || !strings.Contains(got.Reason, test.says) {
				t.Errorf("reason %q, want one that says %q", got.Reason, test.says)
			}
			equal(t, "fingerprint only when valid", got.Fingerprint != "", test.verdict == domain.VerdictValid)
		})
	}
}

// While a key is replaced, what either signed is valid, and a scan under both is another than under one.
func TestEachOfSeveralKeysVerifies(t *testing.T) {
	t.Parallel()
	signers := []signer{newSigner(t), newSigner(t), newSigner(t)}
	var keys []rosie.Key
	stamps := map[string]bool{rosie.Stamp(nil): true}
	for _, s := range signers {
		keys = append(keys, s.public)
		stamps[rosie.Stamp(keys)] = true
		stamps[rosie.Stamp([]rosie.Key{s.public})] = true
	}
	equal(t, "stamps of no key, of each and of several", len(stamps), 6)
	equal(t, "the order of keys is no matter", rosie.Stamp([]rosie.Key{keys[2], keys[0], keys[1]}), rosie.Stamp(keys))
	fingerprints := map[string]bool{}
	for i, s := range signers {
		got := readEvidence(t, s.sign(t, evidencePayload("SPEC-1")), rosie.Options{Keys: keys}).Artifacts[0].Evidence.Signature
		equal(t, fmt.Sprint("verdict of what key ", i, " signed"), got.Verdict, domain.VerdictValid)
		equal(t, "fingerprint", got.Fingerprint, s.public.Fingerprint())
		fingerprints[got.Fingerprint] = true
	}
	equal(t, "fingerprints", len(fingerprints), 3)
}

// derSignature signs as OpenSSL does: right, and in the form of ASN.1.
func derSignature(t *testing.T, s signer, text string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	signature, err := ecdsa.SignASN1(rand.Reader, s.private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// Headers that change what a signature covers are refused even where the signature is right.
func TestRefusedHeadersWithARightSignature(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, header := range []string{`{"alg":"ES256","b64":true}`, `{"alg":"ES256","crit":[]}`, `{"alg":"ES256","b64":"x"}`} {
		covered := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(evidencePayload("SPEC-1")))
		sum := sha256.Sum256([]byte(covered))
		x, y, err := ecdsa.Sign(rand.Reader, s.private, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...)
		got := readEvidence(t, covered+"."+base64.RawURLEncoding.EncodeToString(signature), s.options()).Artifacts[0].Evidence
		equal(t, header, got.Signature.Verdict, domain.VerdictInvalid)
	}
	plain := s.sign(t, evidencePayload("SPEC-1"))
	equal(t, "the payload that is signed", readEvidence(t, plain, s.options()).Artifacts[0].Evidence.Payload, hash(evidencePayload("SPEC-1")))
}

// A signature whose last character carries stray bits decodes to the same signature. It is not the file that was signed.
func TestStrayBitsBehindASignature(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	compact := s.sign(t, evidencePayload("SPEC-1"))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, compact[len(compact)-1])
	stray := compact[:len(compact)-1] + string(alphabet[last^1])
	got := readEvidence(t, stray, s.options()).Artifacts[0].Evidence.Signature
	equal(t, "verdict", got.Verdict, domain.VerdictInvalid)
}

// Another algorithm is refused even when its signature is right, and whatever key the header has.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	s, forger := newSigner(t), newSigner(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	payload := evidencePayload("SPEC-1")
	publicBytes := publicPEM(t, &s.private.PublicKey)
	own := jose.JSONWebKey{Key: forger.private, KeyID: "sample-key"}
	embedded, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: own},
		(&jose.SignerOptions{EmbedJWK: true}).WithHeader("jku", "https://keys.example.test/jwks").WithHeader("x5u", "https://keys.example.test/x5u"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := embedded.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	withKey, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for name, compact := range map[string]string{
		"HS256 with the public key as secret": sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: publicBytes}, payload),
		"RS256":                               sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: rsaKey}, payload),
		"a key of its own in jwk":             withKey,
		"the kid of a trusted key":            forger.sign(t, payload),
	} {
		f := readEvidence(t, compact, s.options())
		if f.Rejected != nil {
			t.Errorf("%s: rejected: %s", name, f.Rejected.Message)
			continue
		}
		equal(t, name, f.Artifacts[0].Evidence.Signature.Verdict, domain.VerdictInvalid)
	}
}

// What is no compact JWS, or holds no JSON object, is rejected; its bytes are kept.
func TestRejectedEvidence(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	good := s.sign(t, `{"gxp_id":"EV-1","spec_id":"SPEC-1"}`)
	parts := strings.Split(good, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload := func(text string) string { return parts[0] + "." + encode(text) + "." + parts[2] }
	full, err := json.Marshal(map[string]any{"payload": parts[1], "signatures": []map[string]string{{"protected": parts[0], "signature": parts[2]}}})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		text         string
		line, column int
		says         string
	}{
		"nothing":                  {"", 1, 1, "empty"},
		"JSON serialization":       {string(full), 1, 1, "0x7b"},
		"a newline inside":         {parts[0] + ".\n" + parts[1] + "." + parts[2], 1, len(parts[0]) + 2, "0x0a"},
		"two newlines behind":      {good + "\n\n", 1, len(good) + 1, "0x0a"},
		"a blank before":           {" " + good, 1, 1, "0x20"},
		"padding":                  {good + "==", 1, len(good) + 1, "0x3d"},
		"two parts":                {parts[0] + "." + parts[1], 1, 1, "2 parts"},
		"four parts":               {good + ".x", 1, 1, "4 parts"},
		"no signature":             {parts[0] + "." + parts[1] + ".", 1, 1, "empty one"},
		"a detached payload":       {parts[0] + ".." + parts[2], 1, 1, "empty one"},
		"a payload of text":        {payload("hello"), 1, 0, "payload"},
		"a payload that is a list": {payload("[1]"), 1, 0, "not a JSON object"},
		"a key twice":              {payload(`{"gxp_id":"EV-1","gxp_id":"EV-2"}`), 1, 0, `"gxp_id" is repeated`},
		"more behind the object":   {payload(`{"a":1} {"b":2}`), 1, 0, "text after"},
		"not UTF-8":                {payload("{\"a\":\"\xff\"}"), 1, 0, "UTF-8"},
		"a deep payload":           {payload(strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)), 1, 0, "more than 32"},
		"a header of text":         {encode("hello") + "." + parts[1] + "." + parts[2], 1, 0, "header"},
		"a header key twice":       {encode(`{"alg":"ES256","alg":"none"}`) + "." + parts[1] + "." + parts[2], 1, 0, "repeated"},
		"stray bits":               {parts[0] + "." + "e31" + "." + parts[2], 1, 0, "base64url"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := read(t, files{jwsPath: test.text}.fs(), s.options())
			r := unit(t, tree, jwsPath).Rejected
			if r == nil {
				t.Fatal("not rejected")
			}
			equal(t, "place", []int{r.Line, r.Column}, []int{test.line, test.column})
			if !strings.Contains(r.Message, test.says) {
				t.Errorf("the message %q does not say %q", r.Message, test.says)
			}
			equal(t, "bytes", contentOf(tree, hash(test.text)), test.text)
		})
	}
}

// One line end behind a JWS is what editors add.
func TestLineEndBehindAToken(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	compact := s.sign(t, evidencePayload("SPEC-1"))
	for _, end := range []string{"\n", "\r\n"} {
		a := readEvidence(t, compact+end, s.options()).Artifacts[0]
		equal(t, "verdict", a.Evidence.Signature.Verdict, domain.VerdictValid)
		equal(t, "sha256 of the raw bytes", a.Content.SHA256, hash(compact+end))
	}
}

// An expired claim is reported at the time of the scan, and the record stays valid.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	tests := map[string]struct {
		claims   string
		expired  bool
		expires  string
		findings []string
	}{
		"later":             {`"exp":` + unix(scanTime().Add(time.Second)), false, "2026-03-01T00:00:01Z", nil},
		"now":               {`"exp":` + unix(scanTime()), true, "2026-03-01T00:00:00Z", []string{"expired"}},
		"long ago":          {`"exp":1`, true, "1970-01-01T00:00:01Z", []string{"expired"}},
		"with a fraction":   {`"exp":1.75`, true, "1970-01-01T00:00:01Z", []string{"expired"}},
		"never":             {`"iat":1`, false, "", nil},
		"null":              {`"exp":null`, false, "", nil},
		"beyond all years":  {`"exp":253402300800`, false, "", []string{"malformed"}},
		"the last second":   {`"exp":253402300799`, false, "9999-12-31T23:59:59Z", nil},
		"negative":          {`"exp":-1`, false, "", []string{"malformed"}},
		"beyond all floats": {`"exp":1e999`, false, "", []string{"malformed"}},
		"a text":            {`"exp":"1"`, false, "", []string{"malformed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compact := s.sign(t, `{"gxp_id":"EV-1","spec_id":"SPEC-1",`+test.claims+`}`)
			a := readEvidence(t, compact, s.options()).Artifacts[0]
			expires := ""
			if a.Evidence.Signature.ExpiresAt != nil {
				expires = a.Evidence.Signature.ExpiresAt.Format(time.RFC3339)
			}
			equal(t, "expiry", []any{a.Evidence.Signature.Expired, expires}, []any{test.expired, test.expires})
			equal(t, "verdict", a.Evidence.Signature.Verdict, domain.VerdictValid)
			equal(t, "findings", codes(a.Findings), test.findings)
			if _, err := json.Marshal(a); err != nil {
				t.Errorf("the artifact cannot be stored: %v", err)
			}
		})
	}
}

func unix(at time.Time) string {
	text, _ := json.Marshal(at.Unix()) //nolint:errchkjson // a number
	return string(text)
}

// What a payload lacks or says oddly is remarked on.
func TestFindingsOfEvidence(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	big := strings.Repeat("x", 70_000)
	tests := map[string]struct {
		payload string
		want    []string
	}{
		"no id":                {`{"spec_id":"SPEC-1"}`, []string{"missing_id"}},
		"no spec":              {`{"gxp_id":"EV-1"}`, []string{"missing_field"}},
		"counts that are none": {`{"gxp_id":"EV-1","spec_id":"S","test_results":{"passed":1.5,"failed":"x","skipped":-1}}`, []string{"malformed", "malformed", "malformed"}},
		"a count too large":    {`{"gxp_id":"EV-1","spec_id":"S","test_results":{"passed":99999999999}}`, []string{"malformed"}},
		"fields too large":     {`{"gxp_id":"EV-1","spec_id":"S","notes":"` + big + `","after":"y"}`, []string{"cut"}},
		"a long commit":        {`{"gxp_id":"EV-1","spec_id":"S","git_commit":"` + big[:300] + `"}`, []string{"cut"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readEvidence(t, s.sign(t, test.payload), s.options()).Artifacts[0]
			equal(t, "findings", codes(a.Findings), test.want)
			fields(t, a)
			if len(a.Fields) > 64<<10 || utf8.RuneCountInString(a.Evidence.GitCommit) > 200 {
				t.Errorf("fields of %d bytes, commit of %d", len(a.Fields), len(a.Evidence.GitCommit))
			}
		})
	}
}
