package openid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/openid"
)

const audience = "gxpledger"

func noon() time.Time { return time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC) }

// issuer is an OpenID Connect provider.
type issuer struct {
	*httptest.Server

	t       *testing.T
	key     *ecdsa.PrivateKey
	down    atomic.Bool // it answers with errors
	asked   atomic.Int32
	keysURL atomic.Pointer[string] // instead of its own
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &issuer{t: t, key: key}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *issuer) serve(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if s.down.Load() {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		keys := s.URL + "/keys"
		if other := s.keysURL.Load(); other != nil {
			keys = *other
		}
		answer = map[string]any{"issuer": s.URL, "jwks_uri": keys, "id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256"}}
	case "/keys":
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}
	default:
		http.NotFound(w, r)
		return
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func (s *issuer) verifier(change func(*openid.Options)) *openid.Verifier {
	s.t.Helper()
	options := openid.Options{Issuer: s.URL, Audience: audience, Now: noon}
	if change != nil {
		change(&options)
	}
	v, err := openid.New(options)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// claims are those of a valid token.
func (s *issuer) claims() map[string]any {
	return map[string]any{
		"iss": s.URL, "sub": "u-17", "aud": audience, "exp": noon().Add(time.Hour).Unix(), "iat": noon().Unix(),
		"preferred_username": "mara", "roles": []string{"viewer", "operator"},
	}
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenNamesItsUserAndRoles(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	v := s.verifier(nil)
	token := sign(t, jose.ES256, s.key, s.claims())
	for range 3 {
		got, err := v.Verify(t.Context(), token)
		if err != nil || got.Issuer != s.URL || got.Subject != "u-17" || got.Name != "mara" || !slices.Equal(got.Roles, []string{"viewer", "operator"}) ||
			!got.Expires.Equal(noon().Add(time.Hour)) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("the provider was asked %d times, want 2: where its keys are, and for its keys", n)
	}
}

func TestRolesAreFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	for claim, value := range map[string]any{
		"roles": "viewer", "groups": []any{"viewer", 3, nil}, "https://example.com/roles": []string{"viewer"},
		"realm_access": map[string]any{"roles": []string{"viewer"}}, "nothing": nil, "number": 3,
	} {
		claims := s.claims()
		delete(claims, "roles")
		claims[claim] = value
		name, want := claim, []string{"viewer"}
		switch claim {
		case "realm_access":
			name = "realm_access.roles"
		case "nothing", "number":
			want = nil
		}
		got, err := s.verifier(func(o *openid.Options) { o.RoleClaim = name }).Verify(t.Context(), sign(t, jose.ES256, s.key, claims))
		if err != nil || !slices.Equal(got.Roles, want) {
			t.Errorf("%s: %v, %v; want %v", name, got.Roles, err, want)
		}
	}
}

// TestForgedTokensAreRefused changes one thing of a valid token at a time.
func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(claim string, value any) string {
		claims := s.claims()
		if claims[claim] = value; value == nil {
			delete(claims, claim)
		}
		return sign(t, jose.ES256, s.key, claims)
	}
	good := sign(t, jose.ES256, s.key, s.claims())
	parts := strings.Split(good, ".")
	secret := []byte("0123456789abcdef0123456789abcdef")
	v := s.verifier(nil)
	for name, token := range map[string]string{
		"nothing": "", "no token": "gxp_x", "expired": with("exp", noon().Add(-time.Minute).Unix()), "no expiry": with("exp", nil),
		"not yet": with("nbf", noon().Add(time.Hour).Unix()), "another issuer": with("iss", "https://login.example.com"), "no issuer": with("iss", nil),
		"another audience": with("aud", "other"), "no audience": with("aud", nil), "no subject": with("sub", nil), "a subject that is no text": with("sub", 3),
		"another key": sign(t, jose.ES256, other, s.claims()), "a shared secret": sign(t, jose.HS256, secret, s.claims()),
		"no signature":      "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"without signature": parts[0] + "." + parts[1] + ".", "another payload": parts[0] + "." + strings.Split(with("sub", "u-1"), ".")[1] + "." + parts[2],
		"a huge one": good + strings.Repeat("A", 1<<20), "two": good + "." + good, "a name that is no text": with("preferred_username", 3),
	} {
		if got, err := v.Verify(t.Context(), token); !errors.Is(err, openid.ErrRefused) || errors.Is(err, openid.ErrUnavailable) {
			t.Errorf("%s: %+v, %v; want ErrRefused", name, got, err)
		}
	}
}

// TestAProviderThatDoesNotAnswerIsNoVerdict: whether a token is valid is unknown then.
func TestAProviderThatDoesNotAnswerIsNoVerdict(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	var later atomic.Int64
	v := s.verifier(func(o *openid.Options) { o.Now = func() time.Time { return noon().Add(time.Duration(later.Load())) } })
	token := sign(t, jose.ES256, s.key, s.claims())
	unavailable := func(when string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, openid.ErrUnavailable) || errors.Is(err, openid.ErrRefused) {
			t.Errorf("%s: %v; want ErrUnavailable", when, err)
		}
	}
	s.down.Store(true)
	unavailable("asked where its keys are")
	asked := s.asked.Load()
	unavailable("asked again at once")
	if s.asked.Load() != asked {
		t.Error("a provider that failed was asked again at once")
	}
	later.Add(int64(time.Minute))
	s.down.Store(false)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatalf("a minute later: %v", err)
	}
	s.down.Store(true)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("with keys that are known: %v", err)
	}
	v = s.verifier(nil)
	s.down.Store(false)
	gone := s.URL + "/gone"
	s.keysURL.Store(&gone)
	unavailable("whose keys are not there")
	v = s.verifier(nil)
	insecure := "http://192.0.2.1/keys"
	s.keysURL.Store(&insecure)
	unavailable("whose keys are sent in clear text")
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []openid.Options{
		{},
		{Issuer: "https://login.example.com"},
		{Issuer: "login.example.com", Audience: audience},
		{Issuer: "http://login.example.com", Audience: audience},
		{Issuer: "https://user:secret@login.example.com", Audience: audience},
		{Issuer: "https://login.example.com?x=1", Audience: audience},
		{Issuer: "file:///etc/passwd", Audience: audience},
		{Issuer: "https://", Audience: audience},
	} {
		if _, err := openid.New(bad); err == nil || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%+v: %v; want an error", bad, err)
		}
	}
}
