package query

import (
	"encoding/json"
	"time"
)

// Evidence is what a signed record of test results claims, and what checking it showed at the scan.
type Evidence struct {
	Overall           string          `json:"overall"` // the worst of signature and checks
	Verdict           string          `json:"verdict"` // of the signature
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
	Passed            *int64          `json:"passed,omitempty"` // nil when the evidence gives no totals
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

// proof is the evidence of an artifact, made when it is first asked for.
func proof(a *Artifact) *Evidence {
	if a.Evidence == nil {
		a.Evidence = &Evidence{}
	}
	return a.Evidence
}

func evidenceColumns() []column[Artifact] {
	return []column[Artifact]{
		{"a.overall", func(a *Artifact) any { return &proof(a).Overall }},
		{"a.verdict", func(a *Artifact) any { return &proof(a).Verdict }},
		{"a.reason", func(a *Artifact) any { return optional(&proof(a).Reason) }},
		{"a.spec_id", func(a *Artifact) any { return optional(&proof(a).SpecID) }},
		{"a.traced_user_story", func(a *Artifact) any { return optional(&proof(a).TracedUserStory) }},
		{"a.alg", func(a *Artifact) any { return optional(&proof(a).Algorithm) }},
		{"a.kid", func(a *Artifact) any { return optional(&proof(a).KeyID) }},
		{"a.fingerprint", func(a *Artifact) any { return optional(&proof(a).Fingerprint) }},
		{"a.iat", func(a *Artifact) any { return instant(&proof(a).IssuedAt) }},
		{"a.exp", func(a *Artifact) any { return instant(&proof(a).ExpiresAt) }},
		{"a.expired", func(a *Artifact) any { return &proof(a).Expired }},
		{"a.signer_file", func(a *Artifact) any { return optional(&proof(a).SignerFile) }},
		{"a.tool", func(a *Artifact) any { return optional(&proof(a).Tool) }},
		{"a.tool_version", func(a *Artifact) any { return optional(&proof(a).ToolVersion) }},
		{"a.passed", func(a *Artifact) any { return pointer(&proof(a).Passed) }},
		{"a.failed", func(a *Artifact) any { return pointer(&proof(a).Failed) }},
		{"a.skipped", func(a *Artifact) any { return pointer(&proof(a).Skipped) }},
		{"a.duration_ms", func(a *Artifact) any { return optional(&proof(a).DurationMS) }},
		{"a.timestamp_claimed", func(a *Artifact) any { return optional(&proof(a).TimestampClaimed) }},
		{"a.system_state_hash", func(a *Artifact) any { return optional(&proof(a).SystemStateHash) }},
		{"a.git_commit", func(a *Artifact) any { return optional(&proof(a).GitCommit) }},
		{"a.check_presence", func(a *Artifact) any { return optional(&proof(a).CheckPresence) }},
		{"a.check_signature", func(a *Artifact) any { return optional(&proof(a).CheckSignature) }},
		{"a.check_integrity", func(a *Artifact) any { return optional(&proof(a).CheckIntegrity) }},
		{"a.check_completeness", func(a *Artifact) any { return optional(&proof(a).CheckCompleteness) }},
		{"a.problems", func(a *Artifact) any { return document(&proof(a).Problems) }},
	}
}
