package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

func edges() []domain.Edge {
	return []domain.Edge{
		domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeImplements, domain.EdgeDerivesFrom, domain.EdgeSpecID,
		domain.EdgeTracedUserStory, domain.EdgeRiskRequirement, domain.EdgeRiskSpec,
	}
}

// linkStates are what linkState returns.
func linkStates() []domain.Broken {
	return []domain.Broken{"sound", domain.BrokenMissing, domain.BrokenWrongKind}
}

func linksTable() projections.Table {
	return projections.Table{
		Name: tableLinks, Doc: "Every declared link from an artifact to the gxp_id of another, and where it leads.",
		Columns: []projections.Column{
			repositoryColumn(),
			numberColumn(),
			from(0, integer("link_index", "Place of the link in its file, from 0.")),
			kind(text("kind", "Kind of the artifact that declares the link.")),
			null(text("gxp_id", "Its gxp_id.")),
			text("path", "Its path."),
			from(0, integer("ordinal", "Its place in the file.")),
			oneOf(text("edge", "Field that declares the link."), edges()...),
			text("target", "gxp_id that the link names, verbatim."),
			oneOf(text("state", "sound, missing (no artifact of the tree has that id) or wrong_kind (one has it, at a level that the edge cannot lead to)."), linkStates()...),
			kind(null(text("to_kind", "Kind of the artifact that a sound link leads to."))),
			from(1, null(integer("to_number", "Number of the artifact that a sound link leads to, whatever its kind."))),
			from(1, null(integer("to_requirement", "to_number when to_kind is requirement."))),
			from(1, null(integer("to_user_story", "to_number when to_kind is user_story."))),
			from(1, null(integer("to_spec", "to_number when to_kind is spec."))),
			text("scan_id", "UUID of the scan since which the link is so."),
			positionColumn(),
		},
		Key: []string{"repository_id", "number", "link_index"},
		Foreign: []projections.ForeignKey{
			repositoryKey(),
			reference("to_requirement", tableRequirements),
			reference("to_user_story", tableUserStories),
			reference("to_spec", tableSpecs),
		},
		Indexes: []projections.Index{
			index("repository_id", "to_requirement"), index("repository_id", "to_user_story"), index("repository_id", "to_spec"),
			index("repository_id", "state"), index("repository_id", "target"), index("repository_id", "to_number"),
		},
	}
}

func findingsTable() projections.Table {
	return projections.Table{
		Name: tableFindings, Doc: "What a reviewer should know and that stopped nothing; broken links are in traceability_links.",
		Columns: []projections.Column{
			repositoryColumn(),
			from(0, integer("number", "Number of the artifact that the finding is about; 0 for the tree as a whole, as the last completed scan saw it.")),
			from(0, integer("finding_index", "Place among the findings of that artifact or of the tree, from 0.")),
			text("code", "What was found, as a code."),
			kind(null(text("kind", "Kind of the artifact; NULL for the tree."))),
			null(text("gxp_id", "Its gxp_id.")),
			null(text("path", "Where it was found.")),
			from(1, null(integer("line", "Line, from 1."))),
			text("text", "One sentence: what is there, what was expected."),
			scanColumn(),
			positionColumn(),
		},
		Key:     []string{"repository_id", "number", "finding_index"},
		Foreign: []projections.ForeignKey{repositoryKey()},
		Indexes: []projections.Index{index("repository_id", "code")},
	}
}

func rejectedTable() projections.Table {
	return projections.Table{
		Name: tableRejected, Doc: "Files of a known kind that could not be parsed and are still so; their bytes are kept.",
		Columns: []projections.Column{
			repositoryColumn(),
			text("path", "Path from the repository's root."),
			kind(text("kind", "What the file should be, by its path.")),
			from(1, null(integer("line", "Line of the fault, from 1."))),
			from(1, null(integer("col", "Column of the fault in characters, from 1."))),
			text("message", "One sentence: what is wrong, what was expected."),
			null(text("content_sha256", "SHA-256 of the raw bytes, the name of the stored content; NULL when the file was too large to read.")),
			null(text("blob", "Git blob id of the same bytes.")),
			from(0, integer("size", "Bytes.")),
			text("stamp", "How the file was read."),
			text("scan_id", "UUID of the scan that rejected the file as it is."),
			timestamp("rejected_at", "When the engine recorded that."),
			positionColumn(),
		},
		Key:     []string{"repository_id", "path"},
		Foreign: []projections.ForeignKey{repositoryKey()},
	}
}
