package tables

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// evidenceColumns are the columns of the evidence table's own.
func evidenceColumns(parents []domain.Parent) []column[artifactRow] {
	spec, story := parentColumn(parents[0]), parentColumn(parents[1])
	return slices.Concat([]column[artifactRow]{
		{null(text("spec_id", "The specification that the evidence claims to be for, as it names it.")), func(r *artifactRow) any { return opt(r.evidence.SpecID) }},
		spec,
		{null(text("traced_user_story", "The user story that the evidence claims to trace to, as it names it.")), func(r *artifactRow) any { return opt(r.evidence.UserStory) }},
		story,
	}, signatureColumns(), resultColumns(), checkColumns())
}

func signatureColumns() []column[artifactRow] {
	return []column[artifactRow]{
		{oneOf(text("overall", "The worst of signature and checks: valid, unsigned, unverifiable (nothing against it, not all shown) or invalid."), domain.VerdictValid, domain.VerdictUnsigned, domain.VerdictUnverifiable, domain.VerdictInvalid), func(r *artifactRow) any { return r.verdicts.of(string(r.evidence.Overall())) }},
		{oneOf(text("verdict", "Result of verifying the signature."), verdicts()...), func(r *artifactRow) any { return r.verdicts.of(string(r.evidence.Signature.Verdict)) }},
		{null(text("reason", "Why the signature is not valid, in one sentence.")), func(r *artifactRow) any { return opt(r.evidence.Signature.Reason) }},
		{null(text("alg", "Algorithm that the header of the signature claims; it decides nothing.")), func(r *artifactRow) any { return opt(r.evidence.Signature.Algorithm) }},
		{null(text("kid", "Key id that the header of the signature claims; it decides nothing.")), func(r *artifactRow) any { return opt(r.evidence.Signature.KeyID) }},
		{null(text("fingerprint", "SHA-256 of the public key of the operator that verified the signature.")), func(r *artifactRow) any { return opt(r.evidence.Signature.Fingerprint) }},
		{null(timestamp("iat", "When the signed payload claims to have been issued.")), func(r *artifactRow) any { return optTime(r.evidence.Signature.IssuedAt) }},
		{null(timestamp("exp", "When the signed payload claims to expire.")), func(r *artifactRow) any { return optTime(r.evidence.Signature.ExpiresAt) }},
		{boolean("expired", "Whether exp had passed when the scan started; an archived record stays valid."), func(r *artifactRow) any { return r.evidence.Signature.Expired }},
		{null(text("signer_file", "File of the package that holds the signature.")), func(r *artifactRow) any { return opt(r.evidence.SignerFile) }},
		{null(text("payload_sha256", "SHA-256 of the signed payload; NULL when nothing is signed or the scan did not record it.")), func(r *artifactRow) any { return opt(r.evidence.Payload) }},
	}
}

func verdicts() []domain.Verdict {
	return []domain.Verdict{domain.VerdictValid, domain.VerdictInvalid, domain.VerdictUnverifiable, domain.VerdictNotRun, domain.VerdictUnsigned}
}

func resultColumns() []column[artifactRow] {
	return []column[artifactRow]{
		{oneOf(text("state", "What the evidence is worth for its specification: passed (valid, results known, at least one test passed, none failed), failed (it says that a test failed, whatever its signature is worth) or unverified."), domain.EvidencePassed, domain.EvidenceFailed, domain.EvidenceUnverified), func(r *artifactRow) any { return string(r.state) }},
		{null(text("state_reason", "Why it is unverified, as a code.")), func(r *artifactRow) any { return opt(r.stateReason) }},
		{oneOf(text("results", "Whether the test results could be read: known or unknown."), domain.ResultsKnown, domain.ResultsUnknown), func(r *artifactRow) any { return string(cmp.Or(r.evidence.Results.State, domain.ResultsUnknown)) }},
		{null(text("results_reason", "Why they are unknown, as a code.")), func(r *artifactRow) any { return opt(r.evidence.Results.Reason) }},
		{null(text("results_detail", "Why they are unknown, in one sentence.")), func(r *artifactRow) any { return opt(r.evidence.Results.Detail) }},
		{null(text("tool", "Test tool, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.Results.Tool) }},
		{null(text("tool_version", "Its version, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.Results.Version) }},
		{from(0, null(integer("passed", "Tests passed, as the evidence claims; NULL when the results are unknown."))), func(r *artifactRow) any { return r.tests(func(t *domain.TestTotals) int { return t.Passed }) }},
		{from(0, null(integer("failed", "Tests failed, as the evidence claims; NULL when the results are unknown."))), func(r *artifactRow) any { return r.tests(func(t *domain.TestTotals) int { return t.Failed }) }},
		{from(0, null(integer("skipped", "Tests skipped, as the evidence claims; NULL when the results are unknown."))), func(r *artifactRow) any { return r.tests(func(t *domain.TestTotals) int { return t.Skipped }) }},
		{null(jsonColumn("cases", "Tally of the single tests that the evidence lists, with those that did not pass; NULL when it lists none.")), func(r *artifactRow) any { return r.json(r.evidence.Results.Cases) }},
		{null(text("duration_ms", "Duration in milliseconds, verbatim: a decimal number.")), func(r *artifactRow) any { return opt(r.evidence.Results.DurationMS) }},
		{null(text("timestamp_claimed", "When the tests ran, as the evidence claims, verbatim.")), func(r *artifactRow) any { return opt(r.evidence.Timestamp) }},
		{null(text("system_state_hash", "Hash of the tested system, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.StateHash) }},
		{null(text("git_commit", "Commit of the tested system, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.GitCommit) }},
	}
}

// tests is one of the totals of evidence, NULL when its results are unknown (I15).
func (r *artifactRow) tests(count func(*domain.TestTotals) int) any {
	if t := r.evidence.Results.Totals; t != nil && r.evidence.Results.State == domain.ResultsKnown {
		return count(t)
	}
	return nil
}

func checkColumns() []column[artifactRow] {
	return []column[artifactRow]{
		{oneOf(null(text("check_presence", "Packages only: whether manifest, metadata and a signature file exist.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckPresence) }},
		{oneOf(null(text("check_signature", "Packages only: whether the signature verifies and covers the manifest.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckSignature) }},
		{oneOf(null(text("check_integrity", "Packages only: whether every listed file exists with its hash and size.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckIntegrity) }},
		{oneOf(null(text("check_completeness", "Packages only: whether every file of the directory is listed.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckCompleteness) }},
		{null(jsonColumn("problems", "Every fault that the checks found: a JSON array of objects with check, code, path and text.")), func(r *artifactRow) any { return r.problems() }},
	}
}

// check is the verdict of a check of a package, NULL when it has none of that name.
func (r *artifactRow) check(name domain.CheckName) any {
	var verdict any
	for i := range r.evidence.Checks {
		if c := &r.evidence.Checks[i]; c.Name == name {
			verdict = r.verdicts.of(string(c.Verdict))
		}
	}
	return verdict
}

// problems lists what the checks of a package found. A check without a column is an error.
func (r *artifactRow) problems() any {
	type problem struct {
		Check domain.CheckName `json:"check"`
		domain.Problem
	}
	var all []problem
	for i := range r.evidence.Checks {
		c := &r.evidence.Checks[i]
		switch c.Name {
		case domain.CheckPresence, domain.CheckSignature, domain.CheckIntegrity, domain.CheckCompleteness:
		default:
			r.fail(fmt.Errorf("evidence check %q has no column", c.Name))
		}
		for _, p := range c.Problems {
			all = append(all, problem{Check: c.Name, Problem: p})
		}
	}
	return jsonList(r.origin, all)
}

// memberRow is what the row of a file of an evidence package is made of.
type memberRow struct {
	*artifactRow

	file *domain.Member
}

func evidenceFilesTable() table[memberRow] {
	return newTable(projections.Table{
		Name: tableEvidenceFiles, Doc: "The files of each evidence package.",
		Key:     []string{"repository_id", "number", "path"},
		Foreign: []projections.ForeignKey{reference("number", domain.KindEvidencePackage.Info().Table)},
	}, []column[memberRow]{
		{repositoryColumn(), func(r *memberRow) any { return r.repository }},
		{numberColumn(), func(r *memberRow) any { return r.number }},
		{text("path", "Path within the package directory."), func(r *memberRow) any { return str(r.file.Path) }},
		{text("sha256", "SHA-256 of the raw bytes, the name of the stored content."), func(r *memberRow) any { return r.file.SHA256 }},
		{text("blob", "Git blob id of the same bytes."), func(r *memberRow) any { return r.file.Blob }},
		{from(0, integer("size", "Bytes.")), func(r *memberRow) any { return r.file.Size }},
	})
}
