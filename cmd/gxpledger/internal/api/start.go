package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// maxBody is the number of bytes that the body of a request may have.
const maxBody = 64 << 10

// startBody is the body of a request for a scan.
type startBody struct {
	Reason string `json:"reason"`
}

// Operations are those by which clients start and follow scans. resolve returns the name of a repository that may be scanned, or a *[ProblemError];
// actor returns who sent a request.
func (s *Scans) Operations(resolve func(ctx context.Context, name string) (string, error), actor func(*http.Request) ScanRequest) []Operation {
	return []Operation{
		{
			ID: "start-scan", Method: http.MethodPost, Pattern: "/v1/repositories/{repository}/scans", Needs: NeedScan, Answer: ScanJob{},
			Summary:    "Start a scan of a repository, at the address that is recorded for it",
			Parameters: []Parameter{{Name: "repository", In: InPath, About: "Name, former name, address or id of the repository, percent-encoded.", Required: true}},
			Handle: func(w http.ResponseWriter, r *http.Request, call Call) error {
				asked := actor(r)
				reason, err := readStart(w, r)
				if err != nil {
					return err
				}
				if asked.Repository, err = resolve(r.Context(), call["repository"]); err != nil {
					return err
				}
				asked.Reason = reason
				job, err := s.Start(asked)
				if running, ok := errors.AsType[*RunningError](err); ok {
					w.Header().Set("Location", "/v1/scan-jobs/"+running.Job.ID)
					return NewProblem(http.StatusConflict, CodeConflict, running.Error())
				}
				if errors.Is(err, ErrStopping) {
					return NewProblem(http.StatusServiceUnavailable, CodeStopping, "the server is ending")
				}
				if err != nil {
					return err
				}
				return answerJob(w, r, http.StatusAccepted, job)
			},
		},
		{
			ID: "scan-job", Method: http.MethodGet, Pattern: "/v1/scan-jobs/{job}", Needs: NeedRead, Answer: ScanJob{},
			Summary:    "Show how far a scan is that was started over HTTP, and its outcome",
			Parameters: []Parameter{{Name: "job", In: InPath, About: "The id that starting the scan answered with.", Required: true}},
			Handle: func(w http.ResponseWriter, r *http.Request, call Call) error {
				job, ok := s.Job(call["job"])
				if !ok {
					return NewProblem(http.StatusNotFound, CodeNotFound, "no scan with this id was started since the server started, or it ended long ago: GET /v1/scans lists what is recorded")
				}
				return answerJob(w, r, http.StatusOK, job)
			},
		},
	}
}

// readStart reads the body of a request for a scan; none is one without a reason.
func readStart(w http.ResponseWriter, r *http.Request) (reason string, err error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return "", NewProblem(http.StatusRequestEntityTooLarge, CodeTooLarge, fmt.Sprintf("the body has more than %d bytes", maxBody))
	}
	if err != nil {
		return "", NewProblem(http.StatusBadRequest, CodeBadRequest, "the body cannot be read")
	}
	// A form of a page cannot send this type, so that no page starts scans in the name of a reader.
	if form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || form != "application/json" {
		return "", NewProblem(http.StatusUnsupportedMediaType, CodeUnsupported, `the body must be JSON: send Content-Type: application/json, and {} for no reason`)
	}
	var body startBody
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || decoder.More() || len(body.Reason) > maxValue {
		return "", NewProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf(`the body is not {"reason": TEXT} with a text of at most %d bytes`, maxValue))
	}
	return body.Reason, nil
}
