package query

import (
	"encoding/json"
	"time"
)

// Evidence is what a signed record of test results claims, and what checking it showed at the scan.
type Evidence struct {
	State             string          `json:"state"`                  // what it is worth for its spec: passed, failed or unverified
	StateReason       string          `json:"state_reason,omitempty"` // why it is unverified, as a code
	Overall           string          `json:"overall"`                // the worst of signature and checks
	Verdict           string          `json:"verdict"`                // of the signature
	Reason            string          `json:"reason,omitempty"`
	SpecID            string          `json:"spec_id,omitempty"`
	TracedUserStory   string          `json:"traced_user_story,omitempty"`
	Algorithm         string          `json:"alg,omitempty"`
	KeyID             string          `json:"kid,omitempty"`
	Fingerprint       string          `json:"fingerprint,omitempty"`
	IssuedAt          time.Time       `json:"iat,omitzero"`
	ExpiresAt         time.Time       `json:"exp,omitzero"`
	Expired           bool            `json:"expired"`
	SignerFile        string          `json:"signer_file,omitempty"`
	Tool              string          `json:"tool,omitempty"`
	ToolVersion       string          `json:"tool_version,omitempty"`
	PayloadSHA256     string          `json:"payload_sha256,omitempty"`
	Results           string          `json:"results"` // known or unknown
	ResultsReason     string          `json:"results_reason,omitempty"`
	ResultsDetail     string          `json:"results_detail,omitempty"`
	Cases             json.RawMessage `json:"cases,omitempty"`
	Passed            *int64          `json:"passed,omitempty"` // nil when the results are unknown
	Failed            *int64          `json:"failed,omitempty"`
	Skipped           *int64          `json:"skipped,omitempty"`
	DurationMS        string          `json:"duration_ms,omitempty"`
	TimestampClaimed  string          `json:"timestamp_claimed,omitempty"`
	SystemStateHash   string          `json:"system_state_hash,omitempty"`
	GitCommit         string          `json:"git_commit,omitempty"`
	CheckPresence     string          `json:"check_presence,omitempty"` // checks: packages only
	CheckSignature    string          `json:"check_signature,omitempty"`
	CheckIntegrity    string          `json:"check_integrity,omitempty"`
	CheckCompleteness string          `json:"check_completeness,omitempty"`
	Problems          json.RawMessage `json:"problems,omitempty"`
}

func evidenceColumns() []column[Artifact] {
	return []column[Artifact]{
		{"a.state", func(a *Artifact) any { return &a.evidence.State }},
		{"a.state_reason", func(a *Artifact) any { return optional(&a.evidence.StateReason) }},
		{"a.payload_sha256", func(a *Artifact) any { return optional(&a.evidence.PayloadSHA256) }},
		{"a.results", func(a *Artifact) any { return &a.evidence.Results }},
		{"a.results_reason", func(a *Artifact) any { return optional(&a.evidence.ResultsReason) }},
		{"a.results_detail", func(a *Artifact) any { return optional(&a.evidence.ResultsDetail) }},
		{"a.cases", func(a *Artifact) any { return document(&a.evidence.Cases) }},
		{"a.overall", func(a *Artifact) any { return &a.evidence.Overall }},
		{"a.verdict", func(a *Artifact) any { return &a.evidence.Verdict }},
		{"a.reason", func(a *Artifact) any { return optional(&a.evidence.Reason) }},
		{"a.spec_id", func(a *Artifact) any { return optional(&a.evidence.SpecID) }},
		{"a.traced_user_story", func(a *Artifact) any { return optional(&a.evidence.TracedUserStory) }},
		{"a.alg", func(a *Artifact) any { return optional(&a.evidence.Algorithm) }},
		{"a.kid", func(a *Artifact) any { return optional(&a.evidence.KeyID) }},
		{"a.fingerprint", func(a *Artifact) any { return optional(&a.evidence.Fingerprint) }},
		{"a.iat", func(a *Artifact) any { return instant(&a.evidence.IssuedAt) }},
		{"a.exp", func(a *Artifact) any { return instant(&a.evidence.ExpiresAt) }},
		{"a.expired", func(a *Artifact) any { return &a.evidence.Expired }},
		{"a.signer_file", func(a *Artifact) any { return optional(&a.evidence.SignerFile) }},
		{"a.tool", func(a *Artifact) any { return optional(&a.evidence.Tool) }},
		{"a.tool_version", func(a *Artifact) any { return optional(&a.evidence.ToolVersion) }},
		{"a.passed", func(a *Artifact) any { return pointer(&a.evidence.Passed) }},
		{"a.failed", func(a *Artifact) any { return pointer(&a.evidence.Failed) }},
		{"a.skipped", func(a *Artifact) any { return pointer(&a.evidence.Skipped) }},
		{"a.duration_ms", func(a *Artifact) any { return optional(&a.evidence.DurationMS) }},
		{"a.timestamp_claimed", func(a *Artifact) any { return optional(&a.evidence.TimestampClaimed) }},
		{"a.system_state_hash", func(a *Artifact) any { return optional(&a.evidence.SystemStateHash) }},
		{"a.git_commit", func(a *Artifact) any { return optional(&a.evidence.GitCommit) }},
		{"a.check_presence", func(a *Artifact) any { return optional(&a.evidence.CheckPresence) }},
		{"a.check_signature", func(a *Artifact) any { return optional(&a.evidence.CheckSignature) }},
		{"a.check_integrity", func(a *Artifact) any { return optional(&a.evidence.CheckIntegrity) }},
		{"a.check_completeness", func(a *Artifact) any { return optional(&a.evidence.CheckCompleteness) }},
		{"a.problems", func(a *Artifact) any { return document(&a.evidence.Problems) }},
	}
}
