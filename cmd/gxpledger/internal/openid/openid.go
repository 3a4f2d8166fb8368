// Package openid verifies bearer tokens of an OpenID Connect provider: who asks, and in which roles.
package openid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

var (
	// ErrRefused says that a token is not one of the provider, for this audience, at this time.
	ErrRefused = errors.New("the token is not valid")
	// ErrUnavailable says that the provider cannot be asked for its keys, so that it is unknown whether a token is valid.
	ErrUnavailable = errors.New("the OpenID Connect provider cannot be reached")
)

const (
	longestToken  = 16 << 10 // bytes
	largestAnswer = 1 << 20  // bytes of the provider
	answerWait    = 10 * time.Second
	againAfter    = 10 * time.Second // a provider that failed is asked again
)

// Options say which tokens are valid. Issuer and Audience are required.
type Options struct {
	// Issuer is the URL of the provider: https, or http on a loopback address.
	Issuer string
	// Audience is what tokens must be made for: the client id of gxpledger at the provider.
	Audience string
	// RoleClaim is the claim that holds the roles of a user, a text or a list of texts. A name with dots leads into objects, such as
	// realm_access.roles. It defaults to "roles".
	RoleClaim string
	// Now defaults to the clock of the system.
	Now func() time.Time
}

// Identity is who a token was made for.
type Identity struct {
	Issuer, Subject string // together they name a user for ever
	Name            string // the preferred user name or the mail address, for people; "" when the token has neither
	Roles           []string
	Expires         time.Time
}

// Verifier verifies tokens. It asks the provider for its keys with the first token, and when a token was signed by a key that it does
// not know. It is safe for concurrent use.
type Verifier struct {
	options Options
	client  *http.Client

	mu     sync.Mutex
	keys   oidc.KeySet // nil until the provider answered
	failed time.Time   // when it was asked last without an answer
}

// New returns a Verifier. It asks nobody.
func New(options Options) (*Verifier, error) {
	u, err := url.Parse(options.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the issuer is not a URL such as https://login.example.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("the issuer must be an https URL")
	case options.Audience == "":
		return nil, errors.New("the audience is missing: it is the client id of gxpledger at the issuer")
	}
	if options.RoleClaim == "" {
		options.RoleClaim = "roles"
	}
	if options.Now == nil {
		options.Now = time.Now //nolint:forbidigo // the default, as documented
	}
	return &Verifier{options: options, client: &http.Client{
		Timeout: answerWait, Transport: bounded{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// algorithms are those of public keys. Tokens without a signature, and those signed with a shared secret, are not among them.
func algorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}
}

// Verify returns who a token was made for. It waits for the provider where that has to be asked, for ten seconds at most. Errors:
// [ErrRefused], which says nothing about the token, and [ErrUnavailable].
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > longestToken {
		return Identity{}, ErrRefused
	}
	keys, err := v.provider(ctx)
	if err != nil {
		return Identity{}, err
	}
	asked := &watched{KeySet: keys}
	verified, err := oidc.NewVerifier(v.options.Issuer, asked, &oidc.Config{
		ClientID: v.options.Audience, SupportedSigningAlgs: algorithms(), Now: v.options.Now,
	}).Verify(ctx, token)
	switch {
	case asked.unavailable != nil:
		return Identity{}, fmt.Errorf("%w: %w", ErrUnavailable, asked.unavailable)
	case ctx.Err() != nil:
		return Identity{}, ctx.Err()
	case err != nil || verified.Subject == "":
		return Identity{}, ErrRefused
	}
	return v.identity(verified)
}

// identity reads the claims of a token that was verified.
func (v *Verifier) identity(verified *oidc.IDToken) (Identity, error) {
	var claims map[string]any
	var names struct {
		PreferredUsername string `json:"preferred_username"`
		Email             string `json:"email"`
	}
	if verified.Claims(&claims) != nil || verified.Claims(&names) != nil {
		return Identity{}, ErrRefused
	}
	name := names.PreferredUsername
	if name == "" {
		name = names.Email
	}
	return Identity{
		Issuer: verified.Issuer, Subject: verified.Subject, Name: name, Roles: rolesOf(claims, v.options.RoleClaim), Expires: verified.Expiry,
	}, nil
}

// rolesOf returns the texts at a claim. A claim with the whole name goes before the path that its dots make.
func rolesOf(claims map[string]any, name string) []string {
	value, ok := claims[name]
	for rest := name; !ok; {
		first, after, more := strings.Cut(rest, ".")
		inner, isObject := claims[first].(map[string]any)
		if !more || !isObject {
			return nil
		}
		claims, rest = inner, after
		value, ok = claims[rest]
	}
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var roles []string
		for _, each := range value {
			if text, ok := each.(string); ok {
				roles = append(roles, text)
			}
		}
		return roles
	}
	return nil
}

// provider returns the keys of the provider, which is asked where they are unless it was before.
func (v *Verifier) provider(ctx context.Context) (oidc.KeySet, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil {
		return v.keys, nil
	}
	if now := v.options.Now(); now.Sub(v.failed) < againAfter {
		return nil, ErrUnavailable
	}
	// The context is used as long as the keys are: it must outlive the request that asked first.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), v.client)
	where, err := v.discover(ctx)
	if err != nil {
		v.failed = v.options.Now()
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	v.keys = oidc.NewRemoteKeySet(ctx, where)
	return v.keys, nil
}

// discover asks the provider where its keys are (OpenID Connect Discovery 1.0, section 4).
func (v *Verifier) discover(ctx context.Context) (keys string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, v.options.Issuer)
	if err != nil {
		return "", err
	}
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return "", err
	}
	u, err := url.Parse(document.Keys)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", errors.New("its keys are not at an https URL")
	}
	return document.Keys, nil
}

// watched notes when the keys of a provider could not be had, which the error of the verifier does not tell from a wrong signature.
type watched struct {
	oidc.KeySet

	unavailable error
}

// VerifySignature implements [oidc.KeySet].
func (w *watched) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	if err != nil && strings.HasPrefix(err.Error(), "fetching keys") {
		w.unavailable = err
	}
	return payload, err
}

// bounded reads no more of an answer than the largest.
type bounded struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, largestAnswer), answer.Body}
	}
	return answer, err
}
