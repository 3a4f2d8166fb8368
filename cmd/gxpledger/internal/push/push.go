// Package push reads what hosting services of git send when somebody pushes: webhooks of GitHub, GitLab, Gitea and Forgejo.
//
// A webhook is a hint that there is something to scan. Nothing of it is recorded, and no address of it is ever dialled: it is compared
// with the addresses that are recorded for the repositories.
package push

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// MaxBody is the number of bytes of a webhook that are read.
const MaxBody = 4 << 20

var (
	// ErrSignature says that a webhook has no signature, or not the one that its secret gives. It does not say which.
	ErrSignature = errors.New("the signature of the webhook is missing or wrong")
	// ErrForm says that a webhook is none of a push, or not one that can be read.
	ErrForm = errors.New("the webhook cannot be read")
)

// Push is what a webhook says.
type Push struct {
	// Addresses are those of the repository, in their canonical form: see [domain.CanonicalAddress].
	Addresses []string
	// Ref is the full name of what was pushed, such as refs/heads/main; "" for a webhook of something else, such as the test of a new one.
	Ref string
	// Deleted reports that the ref is gone.
	Deleted bool
}

// Branch returns the branch that was pushed, "" when that was none.
func (p Push) Branch() string {
	branch, ok := strings.CutPrefix(p.Ref, "refs/heads/")
	if !ok {
		return ""
	}
	return branch
}

// Read checks the signature of a webhook by a secret, which must not be empty, and returns what it says.
//
// GitHub signs the body in X-Hub-Signature-256 (https://docs.github.com/webhooks, validating deliveries), Gitea and Forgejo in X-Gitea-Signature or
// X-Forgejo-Signature, and GitLab sends the secret itself in X-Gitlab-Token. Errors: [ErrSignature], [ErrForm].
func Read(header http.Header, body, secret []byte) (Push, error) {
	service, ok := serviceOf(header)
	if !ok || len(secret) == 0 || !service.signed(header, body, secret) {
		return Push{}, ErrSignature
	}
	if form, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || form != "application/json" {
		return Push{}, fmt.Errorf("%w: want the content type application/json", ErrForm)
	}
	if !slices.Contains(service.pushes, header.Get(service.event)) {
		return Push{}, nil
	}
	var sent message
	if err := json.Unmarshal(body, &sent); err != nil {
		return Push{}, fmt.Errorf("%w: it is not the JSON of a push", ErrForm)
	}
	p := Push{Ref: sent.Ref, Deleted: sent.Deleted || sent.After != "" && strings.Trim(sent.After, "0") == ""}
	for _, at := range []string{
		sent.Repository.CloneURL, sent.Repository.SSHURL, sent.Repository.HTMLURL, sent.Project.HTTP, sent.Project.SSH, sent.Project.Web,
	} {
		if address := domain.CanonicalAddress(at); domain.IsAddress(at) && domain.IsPlain(address) && !slices.Contains(p.Addresses, address) {
			p.Addresses = append(p.Addresses, address)
		}
	}
	if p.Ref == "" || !domain.IsPlain(p.Ref) || len(p.Addresses) == 0 {
		return Push{}, fmt.Errorf("%w: it names no ref or no repository", ErrForm)
	}
	return p, nil
}

// message is the part of a webhook that is read.
type message struct {
	Ref        string `json:"ref"`
	After      string `json:"after"` // the commit; zeros when the ref was deleted
	Deleted    bool   `json:"deleted"`
	Repository struct {
		CloneURL string `json:"clone_url"`
		SSHURL   string `json:"ssh_url"`
		HTMLURL  string `json:"html_url"`
	} `json:"repository"` // of GitHub, Gitea and Forgejo
	Project struct {
		HTTP string `json:"git_http_url"`
		SSH  string `json:"git_ssh_url"`
		Web  string `json:"web_url"`
	} `json:"project"` // of GitLab
}

// service is how a hosting service sends its webhooks.
type service struct {
	event  string   // the header that says what happened
	pushes []string // its values for a push
	signed func(header http.Header, body, secret []byte) bool
}

// serviceOf returns which service sent a webhook. Gitea and Forgejo send the headers of GitHub beside their own.
func serviceOf(header http.Header) (service, bool) {
	of := func(name, prefix string) func(http.Header, []byte, []byte) bool {
		return func(header http.Header, body, secret []byte) bool {
			digits, ok := strings.CutPrefix(header.Get(name), prefix)
			given, err := hex.DecodeString(digits)
			mac := hmac.New(sha256.New, secret)
			mac.Write(body)
			return ok && err == nil && hmac.Equal(given, mac.Sum(nil))
		}
	}
	all := []service{
		{"X-Forgejo-Event", []string{"push"}, of("X-Forgejo-Signature", "")},
		{"X-Gitea-Event", []string{"push"}, of("X-Gitea-Signature", "")},
		{"X-Github-Event", []string{"push"}, of("X-Hub-Signature-256", "sha256=")},
		{"X-Gitlab-Event", []string{"Push Hook", "Tag Push Hook"}, func(header http.Header, _, secret []byte) bool {
			return subtle.ConstantTimeCompare([]byte(header.Get("X-Gitlab-Token")), secret) == 1
		}},
	}
	for _, s := range all {
		if header.Get(s.event) != "" {
			return s, true
		}
	}
	return service{}, false
}
