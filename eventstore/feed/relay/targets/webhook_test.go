//go:build unix

package targets_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/targets"
)

const (
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func now() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }

func message(id string) relay.Message {
	return relay.Message{ID: id, Key: "k", Type: "io.gxpledger.x", ContentType: "application/cloudevents+json", Body: []byte(`{"id":"` + id + `","text":"ä"}`)}
}

func open(tb testing.TB, o targets.Options) relay.Target {
	tb.Helper()
	if o.Now == nil {
		o.Now = now
	}
	target, err := targets.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = target.Close() })
	return target
}

func TestAnswersOfAWebhookAreClassified(t *testing.T) {
	t.Parallel()
	date := now().Add(90 * time.Second).Format(http.TimeFormat)
	for name, test := range map[string]struct {
		code   int
		header string // Retry-After
		want   string // accepted, refused, gone or transient
		after  time.Duration
	}{
		"ok": {200, "", "accepted", 0}, "no content": {204, "", "accepted", 0}, "gone": {410, "", "gone", 0},
		"bad request": {400, "", "refused", 0}, "conflict": {409, "", "refused", 0}, "too large": {413, "", "refused", 0}, "unprocessable": {422, "", "refused", 0},
		"not found": {404, "", "transient", 0}, "unauthorised": {401, "", "transient", 0}, "error": {500, "", "transient", 0}, "redirect": {307, "", "transient", 0},
		"busy": {429, "120", "transient", 2 * time.Minute}, "down until a date": {503, date, "transient", 90 * time.Second},
		"a wait that is none": {503, "soon", "transient", 0}, "a wait of the past": {503, now().Add(-time.Hour).Format(http.TimeFormat), "transient", 0},
		"a negative wait": {429, "-5", "transient", 0}, "a wait without end": {429, "99999999999999999999", "transient", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var elsewhere atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					elsewhere.Store(true)
					return
				}
				w.Header().Set("Location", "/elsewhere")
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, "because \x1b[2J"+strings.Repeat("x", 1<<20))
			}))
			t.Cleanup(server.Close)
			err := open(t, targets.Options{To: server.URL + "/hook?x=1", Secret: secret, AllowPrivate: true}).Send(t.Context(), message("1"))
			got, after := "transient", time.Duration(0)
			var text string
			if err == nil {
				got = "accepted"
			} else {
				text = err.Error()
			}
			if errors.As(err, new(*relay.RefusedError)) {
				got = "refused"
			}
			if errors.As(err, new(*relay.GoneError)) {
				got = "gone"
			}
			if later, ok := errors.AsType[*relay.LaterError](err); ok {
				after = later.After
			}
			if got != test.want || after != test.after || elsewhere.Load() {
				t.Errorf("the answer %d is taken as %s, to wait %s (%v), want %s, %s; redirected: %t", test.code, got, after, err, test.want, test.after, elsewhere.Load())
			}
			if len(text) > 600 || strings.Contains(text, "\x1b") {
				t.Errorf("the error has %d bytes, or control characters: %.100q", len(text), text)
			}
		})
	}
}

func TestAWebhookIsOnlyPostedToAnAddressThatIsAllowed(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the request arrived") }))
	t.Cleanup(plain.Close)
	for _, to := range []string{
		plain.URL, strings.Replace(plain.URL, "http:", "https:", 1), "https://localhost:1", "https://[::1]:1", "https://[::ffff:127.0.0.1]:1", "https://10.0.0.1:1",
		"https://192.168.1.1:1", "https://172.16.0.1:1", "https://169.254.169.254/latest", "https://[fe80::1]:1", "https://[fc00::1]:1", "https://100.64.0.1:1",
		"https://0.0.0.0:1", "https://[::]:1", "https://[64:ff9b::7f00:1]:1", "https://[2002:7f00:1::]:1", "https://0x7f.1:1", "https://2130706433:1", "https://224.0.0.1:1",
		"https://[::127.0.0.1]:1", "https://192.0.0.8:1", "https://198.18.0.1:1", "https://255.255.255.255:1",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		target, err := targets.Open(targets.Options{To: to, Secret: secret, Now: now})
		if err == nil {
			err = target.Send(ctx, message("1"))
		}
		cancel()
		// Names of digits that are no addresses are resolved like any name.
		if err == nil || !errors.Is(err, targets.ErrAddress) && !strings.Contains(err.Error(), "lookup") {
			t.Errorf("%s: %v", to, err)
		}
	}
	// With private addresses allowed, TLS may be left out for this machine alone.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := open(t, targets.Options{To: "http://192.0.2.1:1/", Secret: secret, AllowPrivate: true}).Send(ctx, message("1"))
	if !errors.Is(err, targets.ErrAddress) {
		t.Errorf("http:// to another machine: %v", err)
	}
	err = open(t, targets.Options{To: "https://224.0.0.1:1/", Secret: secret, AllowPrivate: true}).Send(ctx, message("1"))
	if !errors.Is(err, targets.ErrAddress) {
		t.Errorf("an address of a group: %v", err)
	}
}

func TestSecretsAreChecked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "whsec_", "whsec_YQ==", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", secret + "\nnot one", strings.Repeat(secret+"\n", 11)} {
		if _, err := targets.ParseSecrets(text); !errors.Is(err, targets.ErrSecret) || strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for to, secrets := range map[string]string{
		"nats://nats.example.com/x": "user:password", "redis://redis.example.com/x": ":password", "kafka://127.0.0.1:1,kafka.example.com:1/x": "user:password",
		"nats://127.0.0.1/x": "no colon", "rediss://redis.example.com/x": "two\nlines:x",
	} {
		if _, err := targets.Open(targets.Options{To: to, Secret: secrets, Now: now}); !errors.Is(err, targets.ErrSecret) || strings.Contains(err.Error(), "password is no") {
			t.Errorf("%s with a secret: %v", to, err)
		}
	}
	for to, secrets := range map[string]string{"tls://nats.example.com/x": "user:password", "redis://127.0.0.1/x": ":password", "kafkas://kafka.example.com:1/x": "user:password"} {
		open(t, targets.Options{To: to, Secret: secrets})
	}
}

func TestASilentTargetIsLeftAtTheDeadline(t *testing.T) {
	t.Parallel()
	silent := listenSilently(t)
	for _, to := range []string{"http://" + silent + "/", "nats://" + silent + "/x", "redis://" + silent + "/x", "kafka://" + silent + "/x"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		started := time.Now()
		target := open(t, targets.Options{To: to, Secret: map[bool]string{true: secret}[strings.HasPrefix(to, "http")], AllowPrivate: true})
		if err := target.Send(ctx, message("1")); err == nil || time.Since(started) > 5*time.Second || errors.As(err, new(*relay.RefusedError)) {
			t.Errorf("%s: %v after %s", to, err, time.Since(started))
		}
		cancel()
	}
}
