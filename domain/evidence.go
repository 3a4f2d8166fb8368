package domain

import "time"

// Verdict is the result of a check of evidence, at the time of the scan with the keys given to that scan.
type Verdict string

// The verdicts. The values are stored: append only.
const (
	VerdictValid        Verdict = "valid"
	VerdictInvalid      Verdict = "invalid"
	VerdictUnverifiable Verdict = "unverifiable" // no key was given; says nothing for or against
	VerdictNotRun       Verdict = "not_run"      // an earlier check had to hold first
	VerdictUnsigned     Verdict = "unsigned"     // there is no signature, and the kind or the policy lets that be
	VerdictRevoked      Verdict = "revoked"      // only a key that was revoked verifies it
)

// Evidence is what a record of test results claims, and what checking it showed.
type Evidence struct {
	Signature  Signature `json:"signature"`
	Checks     []Check   `json:"checks,omitempty"` // packages only: the four of RFC-001 section 6.4, in order
	Results    Results   `json:"results"`
	SpecID     string    `json:"spec_id,omitempty"`
	UserStory  string    `json:"traced_user_story,omitempty"`
	Timestamp  string    `json:"timestamp,omitempty"` // claimed, verbatim
	StateHash  string    `json:"system_state_hash,omitempty"`
	GitCommit  string    `json:"git_commit,omitempty"`
	SignerFile string    `json:"signer_file,omitempty"` // packages: manifest.jws or signature.jws
	// Payload is the SHA-256 of the signed payload: two signatures over one payload say the same. "" when nothing is signed.
	Payload string `json:"payload_sha256,omitempty"`
}

// Signature is the result of verifying one JWS against the operator's keys. Algorithm and KeyID are claims of its
// header and decide nothing.
type Signature struct {
	Verdict     Verdict `json:"verdict"`
	Reason      string  `json:"reason,omitempty"`      // one sentence, unless valid
	Algorithm   string  `json:"alg,omitempty"`         // claimed
	KeyID       string  `json:"kid,omitempty"`         // claimed
	Fingerprint string  `json:"fingerprint,omitempty"` // SHA-256 of the SPKI of the operator's key that verified it, or would if it were not revoked
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

// ResultsState says whether the results of a test run could be read.
type ResultsState string

// The states of results. The values are stored: append only.
const (
	ResultsKnown   ResultsState = "known"
	ResultsUnknown ResultsState = "unknown"
)

// Reasons why results are unknown. The values are stored: append only.
const (
	ResultsAbsent       = "absent"       // the evidence gives no results, or null, or empty ones
	ResultsUnrecognised = "unrecognised" // results in a form that no published dialect has
	ResultsMalformed    = "malformed"    // a number, a status or the file cannot be read
	ResultsOlderReader  = "older_reader" // a reader recorded them that read some forms as zero; scan again
)

// Results are the results of a test run as the evidence claims them. They are known as a whole, or unknown: a count that
// could not be read is never taken as zero (I15).
type Results struct {
	State  ResultsState `json:"state"`
	Reason string       `json:"reason,omitempty"` // why unknown: one of the Results... reasons
	Detail string       `json:"detail,omitempty"` // why unknown, in one sentence with file and JSON path
	// Totals are there when State is known.
	Totals *TestTotals `json:"totals,omitempty"`
	// Cases are there when the evidence lists single tests.
	Cases *TestCases `json:"cases,omitempty"`
	// Failing reports that something says that a test failed: a total, a case or a result, known as a whole or not.
	Failing    bool   `json:"failing,omitempty"`
	Tool       string `json:"tool,omitempty"`
	Version    string `json:"version,omitempty"`
	DurationMS string `json:"duration_ms,omitempty"` // verbatim: a decimal number
}

// TestTotals are the counts of a test run. Where totals and single cases contradict each other, the worse one counts.
type TestTotals struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// TestCases tallies the single tests that the evidence lists, and names those that did not pass, up to
// [MaxTestCases].
type TestCases struct {
	Passed    int        `json:"passed"`
	Failed    int        `json:"failed"`
	Skipped   int        `json:"skipped"`
	Unknown   int        `json:"unknown"` // with a status that no published dialect has
	NotPassed []TestCase `json:"not_passed,omitempty"`
}

// MaxTestCases is how many cases that did not pass are named; the counts are exact.
const MaxTestCases = 20

// TestCase is a test that did not pass. Status is verbatim.
type TestCase struct {
	Name   string `json:"name,omitempty"`
	Status string `json:"status"`
}

// EvidenceState says what a piece of evidence is worth for its spec.
type EvidenceState string

// The states of evidence. The values are stored: append only.
const (
	EvidencePassed     EvidenceState = "passed"     // valid, results known, at least one test passed and none failed
	EvidenceFailed     EvidenceState = "failed"     // it says that a test failed, whatever its signature is worth
	EvidenceUnverified EvidenceState = "unverified" // everything else, with a reason
)

// Reasons why evidence is unverified. The values are stored: append only.
const (
	UnverifiedResults      = "results_unknown" // its results are unknown
	UnverifiedOlderReader  = "older_reader"    // its results were recorded by an older reader: scan again
	UnverifiedNothing      = "nothing_passed"  // its results are known, and no test passed
	UnverifiedUnsigned     = "unsigned"        // nothing is signed
	UnverifiedNoKey        = "unverifiable"    // no key that was given to the scan verifies it
	UnverifiedRevoked      = "key_revoked"     // the key that verifies it was revoked
	UnverifiedInvalid      = "invalid"         // its signature or one of its checks does not hold
	UnverifiedNotReadWhole = "not_read"        // nothing was read of it
)

// Overall is the worst verdict of signature and checks: invalid when one is, valid when all are. Of the others, unsigned
// when nothing is signed, revoked when the key of the signature was revoked, else unverifiable.
func (e *Evidence) Overall() Verdict {
	all := make([]Verdict, 0, 1+len(e.Checks))
	all = append(all, e.Signature.Verdict)
	for _, c := range e.Checks {
		all = append(all, c.Verdict)
	}
	overall := VerdictValid
	for _, v := range all {
		switch v {
		case VerdictValid:
		case VerdictInvalid:
			return VerdictInvalid
		case VerdictUnsigned:
			overall = VerdictUnsigned
		case VerdictRevoked:
			if overall != VerdictUnsigned {
				overall = VerdictRevoked
			}
		case VerdictUnverifiable, VerdictNotRun:
			fallthrough
		default: // of a later version: says nothing that is understood here
			if overall == VerdictValid {
				overall = VerdictUnverifiable
			}
		}
	}
	return overall
}

// VerifiedBy returns the fingerprint of the key that verifies the signature; "" when none does.
func (e *Evidence) VerifiedBy() string {
	if e == nil || e.Signature.Verdict != VerdictValid {
		return ""
	}
	return e.Signature.Fingerprint
}

// Judge says what the evidence is worth for its spec and, when it is unverified, why: the one rule of I15. Nil evidence is
// unverified.
func (e *Evidence) Judge() (EvidenceState, string) {
	if e == nil {
		return EvidenceUnverified, UnverifiedNotReadWhole
	}
	r := &e.Results
	if r.Failing || r.Totals != nil && r.Totals.Failed > 0 || r.Cases != nil && r.Cases.Failed > 0 {
		return EvidenceFailed, ""
	}
	switch e.Overall() {
	case VerdictValid:
	case VerdictInvalid:
		return EvidenceUnverified, UnverifiedInvalid
	case VerdictUnsigned:
		return EvidenceUnverified, UnverifiedUnsigned
	case VerdictRevoked:
		return EvidenceUnverified, UnverifiedRevoked
	case VerdictUnverifiable, VerdictNotRun:
		return EvidenceUnverified, UnverifiedNoKey
	}
	switch {
	case r.Reason == ResultsOlderReader:
		return EvidenceUnverified, UnverifiedOlderReader
	case r.State != ResultsKnown || r.Totals == nil || r.Cases != nil && r.Cases.Unknown > 0:
		return EvidenceUnverified, UnverifiedResults
	case r.Totals.Passed < 1:
		return EvidenceUnverified, UnverifiedNothing
	}
	return EvidencePassed, ""
}
