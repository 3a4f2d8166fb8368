package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

func repositoriesTable() projections.Table {
	return projections.Table{
		Name: tableRepositories, Doc: "The repositories that a scan completed for.",
		Columns: []projections.Column{
			repositoryColumn(),
			text("name", "The operator's name for it, unique in a log, as the last completed scan gave it."),
			null(text("url", "Where it was read from last, without credentials.")),
			timestamp("registered_at", "When the engine recorded its first completed scan."),
			null(timestamp("retired_at", "When it was retired; NULL while it is scanned.")),
			null(text("retired_by", "Who retired it.")),
			null(text("retired_reason", "Why it was retired.")),
			null(text("last_scan_id", "UUID of the last completed scan: the one whose tree the tables show.")),
			from(1, null(integer("last_scan_number", "Number of that scan."))),
			null(timestamp("last_scan_at", "When the engine recorded that scan.")),
			null(text("last_commit_sha", "Commit that it read; NULL for a work tree without one.")),
			positionColumn(),
		},
		Key: []string{"repository_id"},
	}
}

func scansTable() projections.Table {
	return projections.Table{
		Name: tableScans, Doc: "Every scan of every repository, completed or failed.",
		Columns: join(scanHeadColumns(), scanSourceColumns(), scanResultColumns(), []projections.Column{positionColumn()}),
		Key:     []string{"repository_id", "number"},
		Indexes: []projections.Index{index("scan_id"), index("repository_id", "commit_sha"), index("recorded_at")},
	}
}

func scanHeadColumns() []projections.Column {
	return []projections.Column{
		repositoryColumn(),
		from(1, integer("number", "Number of the scan among those of its repository, completed or failed, from 1.")),
		text("scan_id", "UUID of the scan."),
		oneOf(text("outcome", "How the scan ended."), "completed", "failed"),
		null(text("code", "Why a failed scan failed: the code of its first violation.")),
		text("repository_name", "The operator's name for the repository at that time."),
		null(text("repository_url", "Where it was read from, without credentials.")),
		text("actor", "Who ran the scan, as the engine knows."),
		null(text("reason", "Why, as the actor said.")),
		oneOf(text("links_policy", "What a broken link did."), domain.LinksStrict, domain.LinksFlag),
		oneOf(text("duplicates_policy", "What a duplicate gxp_id did."), domain.DuplicatesReject, domain.DuplicatesUpdate),
		null(text("reader", "Version of the reader.")),
		timestamp("started_at", "When the scan started, by the engine's clock."),
		timestamp("decided_at", "When its outcome was decided, by the engine's clock."),
		timestamp("recorded_at", "When the engine recorded it: the time that counts."),
		from(1, integer("attempts", "Which try of the append landed, from 1.")),
	}
}

func scanSourceColumns() []projections.Column {
	return []projections.Column{
		null(text("ref", "Revision as the operator gave it.")),
		null(text("commit_sha", "Commit that was read; NULL for a work tree without one.")),
		null(text("tree_sha", "Git id of the tree of that commit.")),
		null(text("author_name", "Author of the commit, as git claims.")),
		null(text("author_email", "Address of the author, as git claims.")),
		null(timestamp("author_at", "When the author wrote it, as git claims.")),
		null(text("author_zone", "Offset from UTC of the author's clock, as git claims: +02:00.")),
		null(text("committer_name", "Committer, as git claims.")),
		null(text("committer_email", "Address of the committer, as git claims.")),
		null(timestamp("committer_at", "When it was committed, as git claims.")),
		null(text("committer_zone", "Offset from UTC of the committer's clock, as git claims.")),
		null(text("message", "Commit message, at most 4 KiB: the claimed reason of the change.")),
		boolean("worktree", "Whether files were read as they lay on disk, not from a revision."),
		boolean("dirty", "Whether that work tree differed from the commit."),
	}
}

func scanResultColumns() []projections.Column {
	return []projections.Column{
		from(0, null(integer("found", "Artifacts of the tree: added + changed + reread + unchanged; NULL for a failed scan, like all totals."))),
		from(0, null(integer("added", "Artifacts that were new."))),
		from(0, null(integer("changed", "Artifacts that were changed."))),
		from(0, null(integer("reread", "Artifacts with the bytes of before, read by another reader or with other keys."))),
		from(0, null(integer("unchanged", "Artifacts that were as before."))),
		from(0, null(integer("removed", "Artifacts that were gone."))),
		from(0, null(integer("rejected", "Files that could not be parsed, in this scan or before."))),
		from(0, null(integer("links_sound", "Links of the tree that lead somewhere."))),
		from(0, null(integer("links_missing", "Links of the tree to an id that nothing has."))),
		from(0, null(integer("links_wrong_kind", "Links of the tree to an id at another level."))),
		from(0, null(integer("relinked", "Links of unchanged artifacts that lead elsewhere than before."))),
		from(0, null(integer("findings", "Findings of the tree as a whole."))),
		from(0, integer("violations", "Reasons why the scan failed; 0 for a completed one.")),
		null(text("tree_digest", "SHA-256 over the tree; two scans with one digest saw the same artifacts.")),
	}
}

func scanKey() projections.ForeignKey { return reference("number", tableScans) }

func scanCountsTable() projections.Table {
	return projections.Table{
		Name: tableScanCounts, Doc: "The totals of each completed scan by kind; kinds without any are left out.",
		Columns: []projections.Column{
			repositoryColumn(),
			from(1, integer("number", "Number of the scan.")),
			kind(text("kind", "Kind of artifact.")),
			from(0, integer("found", "Artifacts of the tree: added + changed + reread + unchanged.")),
			from(0, integer("added", "Artifacts that were new.")),
			from(0, integer("changed", "Artifacts that were changed.")),
			from(0, integer("reread", "Artifacts with the bytes of before, read by another reader or with other keys.")),
			from(0, integer("unchanged", "Artifacts that were as before.")),
			from(0, integer("removed", "Artifacts that were gone.")),
			from(0, integer("rejected", "Files that could not be parsed, in this scan or before.")),
		},
		Key:     []string{"repository_id", "number", "kind"},
		Foreign: []projections.ForeignKey{scanKey()},
	}
}

func scanViolationsTable() projections.Table {
	return projections.Table{
		Name: tableScanViolations, Doc: "Every reason why a failed scan failed.",
		Columns: []projections.Column{
			repositoryColumn(),
			from(1, integer("number", "Number of the scan.")),
			from(0, integer("violation_index", "Place among the violations of the scan, from 0.")),
			text("code", "What is violated, as a code."),
			null(text("path", "Where.")),
			null(text("gxp_id", "gxp_id of the artifact there.")),
			null(text("edge", "Field of the link that is broken.")),
			null(text("target", "gxp_id that the link names.")),
			text("text", "One sentence: what is there, what was expected, what to do."),
		},
		Key:     []string{"repository_id", "number", "violation_index"},
		Foreign: []projections.ForeignKey{scanKey()},
	}
}
