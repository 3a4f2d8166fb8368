package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ProblemError is why a request was not carried out, as RFC 9457 has it. It is an error.
type ProblemError struct {
	Type   string `json:"type"` // always about:blank: Code says what kind of problem it is
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is for programs; documented and stable.
	Code string `json:"code"`
	// Detail is a sentence for people. It may hold what the client sent, hostile until neutralised.
	Detail string `json:"detail,omitempty"`
	// Head is the position of the last event of the log, where the client named one that the log does not have.
	Head string `json:"head,omitempty"`
	// RetryAfter is when it is worth to ask again; 0 when that is not known.
	RetryAfter time.Duration `json:"-"`
	// Cause is for the log of the server, and is not sent.
	Cause error `json:"-"`
}

// The codes of problems that are not those of commands.
const (
	CodeBadRequest  = "bad_request"       // 400: a parameter is unknown, missing or cannot be read
	CodeNotFound    = "not_found"         // 404: there is no such path, or nothing of that name
	CodeMethod      = "method"            // 405
	CodeConflict    = "conflict"          // 409: a scan of the repository is running
	CodeTooLarge    = "too_large"         // 413, 414: the request
	CodeBusy        = "busy"              // 503: as many requests as can be answered at once are; ask again
	CodeUnavailable = "unavailable"       // 503: the log or the tables do not answer; ask again
	CodeInternal    = "internal"          // 500: see the log of the server
	CodeFailed      = "failed"            // 422: the question has no answer, as Detail says
	CodeStopping    = "stopping"          // 503: the server ends
	CodeUnknownID   = "unknown_event"     // 400: an event id that the log did not give
	CodeUnsupported = "unsupported_media" // 415
)

// NewProblem returns a problem with a status of HTTP.
func NewProblem(status int, code, detail string) *ProblemError {
	return &ProblemError{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Error returns the sentence.
func (p *ProblemError) Error() string { return p.Title + ": " + p.Detail }

// Unwrap returns the cause.
func (p *ProblemError) Unwrap() error { return p.Cause }

// Write answers a request with p.
func (p *ProblemError) Write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // of texts and a number
		http.Error(w, p.Title, p.Status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that went away needs no answer
}
