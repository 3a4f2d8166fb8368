package targets

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// Bounds of what is read of an answer.
const (
	maxAnswer  = 64 << 10
	maxHeaders = 64 << 10
)

// webhook posts events to an address, signed as Standard Webhooks 1.0 says.
type webhook struct {
	to      string
	secrets [][]byte
	client  *http.Client
	now     func() time.Time
}

func newWebhook(to *url.URL, o Options) (*webhook, error) {
	if to.Scheme == domain.RelayHTTP && !o.AllowPrivate {
		return nil, fmt.Errorf("%w: http:// is for this machine alone, where the relay allows that: use https://", ErrAddress)
	}
	secrets, err := ParseSecrets(o.Secret)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: guard{o.AllowPrivate, to.Scheme == domain.RelayHTTP}.control}
	return &webhook{to: to.String(), secrets: secrets, now: o.Now, client: &http.Client{
		Transport: &http.Transport{ // no proxy: what it would dial is not checked
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxHeaders, DisableCompression: true, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// The bounds of a secret that messages are signed with, in bytes, as Standard Webhooks sets them.
const (
	shortestSecret = 24
	longestSecret  = 64
)

// ParseSecrets returns the secrets that messages of a webhook are signed with: whsec_ and base64, one a line. The error wraps [ErrSecret].
func ParseSecrets(text string) ([][]byte, error) {
	var secrets [][]byte
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		encoded, ok := strings.CutPrefix(line, "whsec_")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(secret) < shortestSecret || len(secret) > longestSecret {
			return nil, fmt.Errorf("%w: want whsec_ and the base64 of %d to %d bytes, one secret a line", ErrSecret, shortestSecret, longestSecret)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 || len(secrets) > 10 {
		return nil, fmt.Errorf("%w: a webhook has 1 to 10 secrets to sign with, and this has %d", ErrSecret, len(secrets))
	}
	return secrets, nil
}

// Sign returns the header webhook-signature of a message: one signature by each secret.
func Sign(secrets [][]byte, id string, at time.Time, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}

// Send implements [relay.Target].
func (w *webhook) Send(ctx context.Context, m relay.Message) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.to, bytes.NewReader(m.Body))
	if err != nil {
		return fmt.Errorf("cannot make a request: %w", err)
	}
	at := w.now()
	for name, value := range map[string]string{
		"Content-Type": m.ContentType, "User-Agent": "gxpledger-relay", "Webhook-Id": m.ID,
		"Webhook-Timestamp": strconv.FormatInt(at.Unix(), 10), "Webhook-Signature": Sign(w.secrets, m.ID, at, m.Body),
	} {
		request.Header.Set(name, value)
	}
	response, err := w.client.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok { // whose text has the address, with its parameters
			err = wrapped.Err
		}
		return fmt.Errorf("cannot post to the webhook: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // what was read of it is enough
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return w.answer(response, string(text))
}

// Close implements [relay.Target].
func (w *webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

// answer says what an answer means.
func (w *webhook) answer(r *http.Response, body string) error {
	reason := strings.TrimSpace(fmt.Sprintf("HTTP %d %s %s", r.StatusCode, http.StatusText(r.StatusCode), relay.Neutral(body)))
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone:
		return &relay.GoneError{Reason: reason}
	case isRefusal(code):
		return &relay.RefusedError{Reason: reason}
	case code >= 300 && code < 400:
		return fmt.Errorf("the webhook redirects, which is not followed: %s", reason)
	}
	err := fmt.Errorf("the webhook answers %s", reason)
	if after, ok := w.retryAfter(r.Header.Get("Retry-After")); ok {
		return &relay.LaterError{After: after, Err: err}
	}
	return err
}

// isRefusal reports whether a status says that this event is refused, however often it is sent. Others say that the webhook cannot take
// anything now, such as one that does not exist yet (404) or does not know us (401).
func isRefusal(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusNotAcceptable, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// retryAfter is how long an answer asks to wait: seconds, or a date.
func (w *webhook) retryAfter(header string) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(w.now())), true
}
