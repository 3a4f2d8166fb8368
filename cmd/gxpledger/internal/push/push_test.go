package push_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/push"
)

const secret = "It's a Secret to Everybody"

func sign(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// services are how each hosting service sends a body that is signed with a secret.
func services() map[string]func(body, secret string) http.Header {
	header := func(fields ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
		for i := 0; i < len(fields); i += 2 {
			h.Set(fields[i], fields[i+1])
		}
		return h
	}
	return map[string]func(body, secret string) http.Header{
		"github": func(body, secret string) http.Header {
			return header("X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256="+sign(body, secret))
		},
		"gitea": func(body, secret string) http.Header {
			return header("X-Gitea-Event", "push", "X-GitHub-Event", "push", "X-Gitea-Signature", sign(body, secret))
		},
		"forgejo": func(body, secret string) http.Header {
			return header("X-Forgejo-Event", "push", "X-Gitea-Event", "push", "X-Forgejo-Signature", sign(body, secret))
		},
		"gitlab": func(_, secret string) http.Header {
			return header("X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", secret)
		},
	}
}

const (
	ofGitHub = `{"ref":"refs/heads/main","after":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","deleted":false,
		"repository":{"clone_url":"https://Git.example.com/acme/pumps.git","ssh_url":"git@git.example.com:acme/pumps.git","html_url":"https://git.example.com/acme/pumps"}}`
	ofGitLab = `{"object_kind":"push","ref":"refs/heads/main","after":"0000000000000000000000000000000000000000",
		"project":{"git_http_url":"https://git.example.com/acme/pumps.git","git_ssh_url":"git@git.example.com:acme/pumps.git","web_url":"https://git.example.com/acme/pumps"}}`
)

func TestAPushOfEachServiceIsRead(t *testing.T) {
	t.Parallel()
	for name, send := range services() {
		body, deleted := ofGitHub, false
		if name == "gitlab" {
			body, deleted = ofGitLab, true
		}
		got, err := push.Read(send(body, secret), []byte(body), []byte(secret))
		if err != nil || got.Branch() != "main" || got.Deleted != deleted || !slices.Equal(got.Addresses, []string{"git.example.com/acme/pumps"}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestTheExampleOfGitHubIsAccepted holds the signature to the values that the documentation of GitHub gives to test with.
func TestTheExampleOfGitHubIsAccepted(t *testing.T) {
	t.Parallel()
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-GitHub-Event", "ping")
	header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	got, err := push.Read(header, []byte("Hello, World!"), []byte(secret))
	if err != nil || got.Ref != "" {
		t.Errorf("%+v, %v; want a webhook that is no push", got, err)
	}
}

// TestNothingUnsignedIsRead changes the body, the secret and each header of signed webhooks.
func TestNothingUnsignedIsRead(t *testing.T) {
	t.Parallel()
	for name, send := range services() {
		rapid.Check(t, func(rt *rapid.T) {
			header, body, with := send(ofGitHub, secret), []byte(ofGitHub), []byte(secret)
			switch what := rapid.SampledFrom([]string{"body", "secret", "no secret", "drop", "change"}).Draw(rt, "what"); what {
			case "body":
				if name == "gitlab" { // which signs no body
					rt.Skip()
				}
				body[rapid.IntRange(0, len(body)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "with"))
			case "secret":
				with = []byte(rapid.StringN(0, 40, -1).Filter(func(s string) bool { return s != secret }).Draw(rt, "other"))
			case "no secret":
				header, with = send(ofGitHub, ""), nil
			default:
				var signing string
				for key := range header {
					if strings.Contains(key, "Signature") || strings.Contains(key, "Token") {
						signing = key
					}
				}
				value := []byte(header.Get(signing))
				if header.Del(signing); what == "change" {
					at := rapid.IntRange(0, len(value)-1).Draw(rt, "at")
					value[at] ^= 1
					header.Set(signing, string(value))
				}
			}
			if got, err := push.Read(header, body, with); !errors.Is(err, push.ErrSignature) || got.Addresses != nil {
				rt.Fatalf("%s: %+v, %v; want ErrSignature", name, got, err)
			}
		})
	}
}

func TestASignedWebhookThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	send := services()["github"]
	for _, body := range []string{
		"", "[]", "{", `{"ref":1}`, `{"ref":"refs/heads/main"}`, `{"ref":"refs/heads/main","repository":{"clone_url":"pumps"}}`,
		`{"ref":"refs/heads/a\nb","repository":{"clone_url":"https://git.example.com/a"}}`, `{"repository":{"clone_url":"https://git.example.com/a"}}`,
	} {
		if got, err := push.Read(send(body, secret), []byte(body), []byte(secret)); !errors.Is(err, push.ErrForm) {
			t.Errorf("%q: %+v, %v; want ErrForm", body, got, err)
		}
	}
	header := send(ofGitHub, secret)
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := push.Read(header, []byte(ofGitHub), []byte(secret)); !errors.Is(err, push.ErrForm) {
		t.Errorf("a form: %v; want ErrForm", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(ofGitHub), "push")
	f.Add([]byte(ofGitLab), "ping")
	f.Fuzz(func(t *testing.T, body []byte, event string) {
		header := http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {event}, "X-Hub-Signature-256": {"sha256=" + sign(string(body), secret)}}
		got, err := push.Read(header, body, []byte(secret))
		if err != nil && !errors.Is(err, push.ErrForm) && !errors.Is(err, push.ErrSignature) {
			t.Errorf("error %v", err)
		}
		if err == nil && got.Ref != "" && len(got.Addresses) == 0 {
			t.Errorf("a push of no repository: %+v", got)
		}
	})
}
