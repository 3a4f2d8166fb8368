package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/push"
)

// PushAnswer is what a webhook of a push is answered. The JSON names are stable.
type PushAnswer struct {
	// Job is the scan that was started, or the one that runs already and may have read the repository before the push.
	Job *ScanJob `json:"job,omitempty"`
	// Ignored says why no scan was started.
	Ignored string `json:"ignored,omitempty"`
}

// Pushed is a repository that a webhook names.
type Pushed struct {
	Repository string // its name
	MainLine   string // the branch that is scanned; "" for whatever the repository has as its HEAD
}

// PushOperation starts a scan when a hosting service says that somebody pushed. secret returns the present secret of webhooks; find returns
// the repository with one of some addresses, ok is false where none has.
func (s *Scans) PushOperation(secret func() ([]byte, error), find func(ctx context.Context, addresses []string) (_ Pushed, ok bool, err error)) Operation {
	return Operation{
		ID: "push", Method: http.MethodPost, Pattern: "/v1/push", Needs: NeedNothing, Answer: PushAnswer{},
		Summary: "Take a webhook of GitHub, GitLab, Gitea or Forgejo, whose signature is its credential, and scan what was pushed",
		Handle: func(w http.ResponseWriter, r *http.Request, _ Call) error {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, push.MaxBody))
			if errors.As(err, new(*http.MaxBytesError)) {
				return NewProblem(http.StatusRequestEntityTooLarge, CodeTooLarge, fmt.Sprintf("the webhook has more than %d bytes", push.MaxBody))
			}
			if err != nil {
				return NewProblem(http.StatusBadRequest, CodeBadRequest, "the webhook cannot be read")
			}
			known, err := secret()
			if err != nil {
				return err
			}
			sent, err := push.Read(r.Header, body, known)
			switch {
			case errors.Is(err, push.ErrSignature):
				return NewProblem(http.StatusUnauthorized, "unauthorized", err.Error())
			case err != nil:
				return NewProblem(http.StatusBadRequest, CodeBadRequest, err.Error())
			}
			answer, err := s.pushed(r.Context(), sent, find)
			if err != nil {
				return err
			}
			document, err := json.Marshal(answer)
			if err != nil {
				return err
			}
			WriteDocument(w, r, http.StatusAccepted, document)
			return nil
		},
	}
}

// pushed starts the scan that a push asks for.
func (s *Scans) pushed(ctx context.Context, sent push.Push, find func(context.Context, []string) (Pushed, bool, error)) (PushAnswer, error) {
	switch {
	case sent.Ref == "":
		return PushAnswer{Ignored: "this is not a push"}, nil
	case sent.Deleted:
		return PushAnswer{Ignored: "the branch or tag was deleted"}, nil
	}
	found, ok, err := find(ctx, sent.Addresses)
	switch {
	case err != nil:
		return PushAnswer{}, err
	case !ok:
		return PushAnswer{Ignored: "no repository is known by this address"}, nil
	case found.MainLine == "":
		return PushAnswer{Ignored: "no main line is recorded for the repository: gxpledger repository set with --main-line records one"}, nil
	case sent.Branch() != found.MainLine:
		return PushAnswer{Ignored: "this is not the main line of the repository"}, nil
	}
	job, err := s.Start(ScanRequest{Repository: found.Repository, Reason: "push to " + found.MainLine, Actor: "push webhook", Authenticated: true, Again: true})
	if running, ok := errors.AsType[*RunningError](err); ok {
		return PushAnswer{Job: &running.Job}, nil
	}
	if err != nil {
		return PushAnswer{}, err
	}
	return PushAnswer{Job: &job}, nil
}
