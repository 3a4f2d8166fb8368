package targets

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// Options says how to reach a target.
type Options struct {
	To string // see [domain.CheckRelayTarget]
	// Secret is the content of the file, or of the environment variable, that the relay names; "" for none. For a webhook it has the
	// secrets that messages are signed with, whsec_ and base64, one a line: the newest first, and each former one as long as receivers
	// may still check with it. For a broker it has USER:PASSWORD; for NATS it may be a file of credentials instead.
	Secret string
	// AllowPrivate allows a webhook that has a loopback, private or link-local address, and http:// to a loopback address.
	AllowPrivate bool
	// Roots are the certificates that TLS trusts; nil for those of the system.
	Roots *x509.CertPool
	// Now is the clock that signatures of webhooks are dated by.
	Now func() time.Time
}

// ErrSecret says that the secret of a target is missing or has another form. Its text never has the secret.
var ErrSecret = errors.New("secret of the target")

// Open returns a target. It connects to nothing: the first message does. Errors: [ErrSecret], and what [domain.CheckRelayTarget] says.
func Open(o Options) (relay.Target, error) {
	to, err := domain.CheckRelayTarget(o.To)
	if err != nil {
		return nil, err
	}
	switch to.Scheme {
	case domain.RelayHTTPS, domain.RelayHTTP:
		return newWebhook(to, o)
	case domain.RelayNATS, domain.RelayTLS:
		return newJetStream(to, o)
	case domain.RelayRedis, domain.RelayRediss:
		return newRedisStream(to, o)
	case domain.RelayKafka, domain.RelayKafkas:
		return newKafkaTopic(to, o)
	}
	return nil, fmt.Errorf("no target has the scheme %q", to.Scheme)
}

// nameIn is what an address names: the subject, stream or topic.
func nameIn(to *url.URL) string { return strings.Trim(to.Path, "/") }

// userIn returns the user and the password of a secret, which is only sent over TLS or to this machine.
func userIn(to *url.URL, secret string) (user, password string, err error) {
	secret = strings.TrimSpace(secret)
	if secret == "" {
		return "", "", nil
	}
	user, password, ok := strings.Cut(secret, ":")
	if !ok || password == "" || strings.ContainsAny(secret, "\r\n") {
		return "", "", fmt.Errorf("%w: want USER:PASSWORD in one line", ErrSecret)
	}
	if !isEncrypted(to) {
		for host := range strings.SplitSeq(to.Host, ",") {
			if !isLoopbackName(host) {
				return "", "", fmt.Errorf("%w: a password is sent over TLS only, and %s:// has none: use the scheme with TLS", ErrSecret, to.Scheme)
			}
		}
	}
	return user, password, nil
}

// isEncrypted reports whether an address is spoken to over TLS.
func isEncrypted(to *url.URL) bool {
	return slices.Contains([]string{domain.RelayHTTPS, domain.RelayTLS, domain.RelayRediss, domain.RelayKafkas}, to.Scheme)
}

func isLoopbackName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
