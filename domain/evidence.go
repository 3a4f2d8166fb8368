package domain

import "time"

// Verdict is what a check of evidence came to, as seen at the time of the scan with the keys given to that scan.
type Verdict string

// The verdicts. The values are stored: append only.
const (
	VerdictValid        Verdict = "valid"
	VerdictInvalid      Verdict = "invalid"
	VerdictUnverifiable Verdict = "unverifiable" // no key was given; says nothing for or against
	VerdictNotRun       Verdict = "not_run"      // an earlier check had to hold first
)

// Evidence is what a signed record of test results claims, and what checking it showed.
type Evidence struct {
	Signature  Signature   `json:"signature"`
	Checks     []Check     `json:"checks,omitempty"` // packages only: the four of RFC-001 section 6.4, in order
	Tests      *TestTotals `json:"tests,omitempty"`
	SpecID     string      `json:"spec_id,omitempty"`
	UserStory  string      `json:"traced_user_story,omitempty"`
	Timestamp  string      `json:"timestamp,omitempty"` // claimed, verbatim
	StateHash  string      `json:"system_state_hash,omitempty"`
	GitCommit  string      `json:"git_commit,omitempty"`
	SignerFile string      `json:"signer_file,omitempty"` // packages: manifest.jws or signature.jws
}

// Signature is the result of verifying one JWS against the operator's keys. Algorithm and KeyID are claims of its
// header and decide nothing.
type Signature struct {
	Verdict     Verdict `json:"verdict"`
	Reason      string  `json:"reason,omitempty"`      // one sentence, unless valid
	Algorithm   string  `json:"alg,omitempty"`         // claimed
	KeyID       string  `json:"kid,omitempty"`         // claimed
	Fingerprint string  `json:"fingerprint,omitempty"` // SHA-256 of the SPKI of the operator's key that verified it
	// IssuedAt and ExpiresAt are the signed iat and exp claims. Expired reports that ExpiresAt had passed when the
	// scan started; an archived record stays valid.
	IssuedAt  *time.Time `json:"iat,omitempty"`
	ExpiresAt *time.Time `json:"exp,omitempty"`
	Expired   bool       `json:"expired,omitempty"`
}

// CheckName names one check of an evidence package.
type CheckName string

// The checks of RFC-001 section 6.4, in their order.
const (
	CheckPresence     CheckName = "presence"     // manifest, metadata and a signature file exist
	CheckSignature    CheckName = "signature"    // the signature verifies, and its payload is the manifest
	CheckIntegrity    CheckName = "integrity"    // every listed file exists with its hash and size
	CheckCompleteness CheckName = "completeness" // no file that the manifest does not list
)

// Check is the result of one check. Problems lists every fault found, as kind and file.
type Check struct {
	Name     CheckName `json:"name"`
	Verdict  Verdict   `json:"verdict"`
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is one fault of an evidence package.
type Problem struct {
	Code string `json:"code"` // missing_file, hash_mismatch, size_mismatch, unlisted_file, payload_mismatch, bad_path, ...
	Path string `json:"path,omitempty"`
	Text string `json:"text,omitempty"`
}

// TestTotals are the counts of a test run as the evidence claims them.
type TestTotals struct {
	Tool       string `json:"tool,omitempty"`
	Version    string `json:"version,omitempty"`
	Passed     int    `json:"passed"`
	Failed     int    `json:"failed"`
	Skipped    int    `json:"skipped"`
	DurationMS string `json:"duration_ms,omitempty"` // verbatim: a decimal number
}
