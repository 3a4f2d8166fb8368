package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

func evidenceTable() projections.Table {
	return artifactTable(
		tableEvidence, "Signed test evidence, single records and packages, with what checking it showed at the scan.",
		join(evidenceParentColumns(), signatureColumns(), testColumns(), checkColumns()),
		reference("spec_number", tableSpecs),
		reference("traced_user_story_number", tableUserStories),
	)
}

func evidenceParentColumns() []projections.Column {
	return []projections.Column{
		null(text("spec_id", "The specification that the evidence claims to be for, as it names it.")),
		from(1, null(integer("spec_number", "The specification: the first sound spec_id link, or else the first sound link of any edge to one."))),
		null(text("traced_user_story", "The user story that the evidence claims to trace to, as it names it.")),
		from(1, null(integer("traced_user_story_number", "The user story: the first sound traced_user_story link, or else the first sound link of any edge to one."))),
	}
}

func signatureColumns() []projections.Column {
	return []projections.Column{
		oneOf(text("overall", "The worst of signature and checks: valid, unverifiable (nothing against it, not all shown) or invalid."), domain.VerdictValid, domain.VerdictUnverifiable, domain.VerdictInvalid),
		oneOf(text("verdict", "What verifying the signature came to."), verdicts()...),
		null(text("reason", "Why the signature is not valid, in one sentence.")),
		null(text("alg", "Algorithm that the header of the signature claims; it decides nothing.")),
		null(text("kid", "Key id that the header of the signature claims; it decides nothing.")),
		null(text("fingerprint", "SHA-256 of the public key of the operator that verified the signature.")),
		null(timestamp("iat", "When the signed payload claims to have been issued.")),
		null(timestamp("exp", "When the signed payload claims to expire.")),
		boolean("expired", "Whether exp had passed when the scan started; an archived record stays valid."),
		null(text("signer_file", "File of the package that holds the signature.")),
	}
}

func verdicts() []domain.Verdict {
	return []domain.Verdict{domain.VerdictValid, domain.VerdictInvalid, domain.VerdictUnverifiable, domain.VerdictNotRun}
}

func testColumns() []projections.Column {
	return []projections.Column{
		null(text("tool", "Test tool, as the evidence claims.")),
		null(text("tool_version", "Its version, as the evidence claims.")),
		null(integer("passed", "Tests passed, as the evidence claims; NULL when it gives no totals.")),
		null(integer("failed", "Tests failed, as the evidence claims.")),
		null(integer("skipped", "Tests skipped, as the evidence claims.")),
		null(text("duration_ms", "Duration in milliseconds, verbatim: a decimal number.")),
		null(text("timestamp_claimed", "When the tests ran, as the evidence claims, verbatim.")),
		null(text("system_state_hash", "Hash of the tested system, as the evidence claims.")),
		null(text("git_commit", "Commit of the tested system, as the evidence claims.")),
	}
}

func checkColumns() []projections.Column {
	return []projections.Column{
		oneOf(null(text("check_presence", "Packages only: whether manifest, metadata and a signature file exist.")), verdicts()...),
		oneOf(null(text("check_signature", "Packages only: whether the signature verifies and covers the manifest.")), verdicts()...),
		oneOf(null(text("check_integrity", "Packages only: whether every listed file exists with its hash and size.")), verdicts()...),
		oneOf(null(text("check_completeness", "Packages only: whether every file of the directory is listed.")), verdicts()...),
		null(jsonColumn("problems", "Every fault that the checks found: a JSON array of objects with check, code, path and text.")),
	}
}

func evidenceFilesTable() projections.Table {
	return projections.Table{
		Name: tableEvidenceFiles, Doc: "The files of each evidence package.",
		Columns: []projections.Column{
			repositoryColumn(),
			numberColumn(),
			text("path", "Path within the package directory."),
			text("sha256", "SHA-256 of the raw bytes, the name of the stored content."),
			text("blob", "Git blob id of the same bytes."),
			from(0, integer("size", "Bytes.")),
		},
		Key:     []string{"repository_id", "number", "path"},
		Foreign: []projections.ForeignKey{reference("number", tableEvidence)},
	}
}
