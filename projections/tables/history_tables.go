package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Names of the tables of the projection "history".
const (
	tableVersions    = "artifact_versions"
	tableLinkChanges = "link_changes"
)

// versionColumns is how many columns artifact_versions has.
const versionColumns = 36

func versionsTable() projections.Table {
	return projections.Table{
		Name: tableVersions, Doc: "Every version of every artifact that was ever recorded, with the scan that made it and the scan that ended it.",
		Columns: join(versionIdentityColumns(), versionContentColumns(), versionEndColumns()),
		Key:     []string{"repository_id", "number", "version"},
		Indexes: []projections.Index{
			index("repository_id", "gxp_id"), index("repository_id", "path"), index("repository_id", "position"),
			index("repository_id", "moved_from"), index("scan_id"), index("ended_scan_id"),
		},
	}
}

func versionIdentityColumns() []projections.Column {
	return []projections.Column{
		repositoryColumn(),
		numberColumn(),
		from(1, integer("version", "Counts the versions of this number, from 1.")),
		text("id", "UUIDv5 of repository, path and ordinal: the same for ever for whatever lies at that place."),
		kind(text("kind", "What the artifact is, decided by its path alone.")),
		text("path", "Path from the repository's root; for an evidence package that of its directory."),
		from(0, integer("ordinal", "Place in a file that holds several artifacts, from 1; 0 for the file itself.")),
		oneOf(text("change", "Why there is this version: new, changed, or reread (same bytes, another reader or other keys)."), domain.ChangeNew, domain.ChangeChanged, domain.ChangeReread),
		null(text("moved_from", "Where the same artifact was removed in the same scan: its path, with #ordinal unless that is 0.")),
		null(text("previous_sha256", "SHA-256 of the content of the version before.")),
		text("actor", "Who ran the scan that made this version."),
		text("scan_id", "UUID of that scan."),
		timestamp("recorded_at", "When the engine recorded this version."),
		from(1, integer("position", "Position in the log of the event that made this version.")),
	}
}

func versionContentColumns() []projections.Column {
	return []projections.Column{
		null(text("gxp_id", "Id that the file gives.")),
		null(text("title", "Title as the author wrote it.")),
		null(text("risk", "Risk rating as the author wrote it.")),
		null(text("tier", "Verification tier as the author wrote it.")),
		null(text("status", "Status as the author wrote it.")),
		null(text("validation_status", "Validation status as the author wrote it.")),
		null(text("assurance_status", "Assurance status as the author wrote it.")),
		null(jsonColumn("fields", "The whole front matter, signed payload without test cases, or risk entry, as one JSON object with text scalars.")),
		null(jsonColumn("links", "Declared links as a JSON array, resolved in the tree of that scan; link_changes says how they resolved later.")),
		null(jsonColumn("members", "Files of an evidence package as a JSON array.")),
		null(jsonColumn("evidence", "What the evidence claims and what checking it showed, as a JSON object.")),
		null(jsonColumn("findings", "What the reader noticed, as a JSON array.")),
		text("content_sha256", "SHA-256 of the raw bytes that this version was read from, the name of the stored content; for a package those of its manifest or else its first file."),
		text("blob", "Git blob id of the same bytes."),
		from(0, integer("size", "Bytes of that content.")),
		text("digest", "SHA-256 of what this artifact says: one entry of a risk log, or all files of a package."),
		text("stamp", "How the file was read: the reader's version and, for evidence, the keys."),
	}
}

func versionEndColumns() []projections.Column {
	return []projections.Column{
		null(text("ended_scan_id", "UUID of the scan that ended this version; NULL while it is the current one.")),
		null(timestamp("ended_at", "When the engine recorded that end.")),
		from(1, null(integer("ended_position", "Position in the log of the event that ended this version."))),
		oneOf(null(text("end_reason", "Why it ended.")), "changed", "reread", "removed", "moved"),
		null(text("moved_to", "Where the same artifact was added in the scan that ended this: its path, with #ordinal unless that is 0.")),
	}
}

func linkChangesTable() projections.Table {
	return projections.Table{
		Name: tableLinkChanges, Doc: "Every link of an unchanged artifact that a scan resolved differently than the scan before.",
		Columns: []projections.Column{
			repositoryColumn(),
			from(1, integer("position", "Position in the log of the completed scan.")),
			from(0, integer("change_index", "Place among the changes of that scan, from 0.")),
			numberColumn(),
			from(0, integer("link_index", "Place of the link in its file, from 0.")),
			kind(text("kind", "Kind of the artifact that declares the link.")),
			text("path", "Its path."),
			from(0, integer("ordinal", "Its place in the file.")),
			oneOf(text("edge", "Field that declares the link."), edges()...),
			text("target", "gxp_id that the link names, verbatim."),
			oneOf(text("state", "How it resolves since."), linkStates()...),
			kind(null(text("to_kind", "Kind of the artifact that it leads to."))),
			from(1, null(integer("to_number", "Number of the artifact that it leads to."))),
			text("scan_id", "UUID of the scan."),
			timestamp("recorded_at", "When the engine recorded it."),
		},
		Key:     []string{"repository_id", "position", "change_index"},
		Indexes: []projections.Index{index("repository_id", "number")},
	}
}
