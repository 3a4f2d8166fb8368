package domain

import (
	"slices"
	"time"
)

// ScanAttemptFailed says that a scan failed before anything was appended, under a name that is not known: its ref does not resolve, or the
// repository cannot be read. It is in the stream "engine", since there is no repository that it is a scan of, and so it has no number.
type ScanAttemptFailed struct {
	Scan      string      `json:"scan"` // UUIDv7, canonical text
	Name      string      `json:"name"` // that the repository was given or has by default
	URL       string      `json:"url"`  // where it should have been read from, without credentials
	Source    Source      `json:"source"`
	Actor     string      `json:"actor"` // who ran it, as ActorFrom says
	ActorFrom ActorSource `json:"actor_from"`
	Reason    string      `json:"reason,omitempty"` // why, as the actor gave it
	StartedAt time.Time   `json:"started_at"`
	FailedAt  time.Time   `json:"failed_at"` // by the engine's clock
	// Code is that of the first violation.
	Code       string      `json:"code"`
	Violations []Violation `json:"violations"` // at least one
}

func (ScanAttemptFailed) event() {}

// FailAttempt returns what is recorded of a failure before anything was appended, under a name that is not known. ok is false where it is
// recorded as a failed scan of the repository: that is known, or a rule or policy refused what was read.
func FailAttempt(s State, head Head, violations []Violation) (_ ScanAttemptFailed, ok bool) {
	if s.Registered || slices.ContainsFunc(violations, func(v Violation) bool { return !NotCarriedOut(v.Code) }) {
		return ScanAttemptFailed{}, false
	}
	return ScanAttemptFailed{
		Scan: head.Scan, Name: head.Repository.Name, URL: head.Repository.URL, Source: head.Source,
		Actor: head.Actor, ActorFrom: head.ActorFrom, Reason: head.Reason, StartedAt: head.StartedAt, FailedAt: head.DecidedAt,
		Code: violations[0].Code, Violations: slices.Clone(violations),
	}, true
}

// NotCarriedOut reports whether a code of a violation says that something kept a scan from being judged. The others say that a rule or policy
// refused it.
func NotCarriedOut(code string) bool { return slices.Contains(NotCarriedOutCodes(), code) }

// NotCarriedOutCodes are the codes of [NotCarriedOut].
func NotCarriedOutCodes() []string {
	return []string{
		ViolationUnreadable, ViolationConflict, ViolationUnavailable, ViolationCancelled, ViolationTooLarge, ViolationInternal,
	}
}
