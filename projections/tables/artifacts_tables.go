package tables

import (
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Names of the tables of the projection "artifacts".
const (
	tableRepositories   = "repositories"
	tableScans          = "scans"
	tableScanCounts     = "scan_counts"
	tableScanViolations = "scan_violations"
	tableContexts       = "system_contexts"
	tableRequirements   = "requirements"
	tableUserStories    = "user_stories"
	tableSpecs          = "specs"
	tableEvidence       = "evidence"
	tableEvidenceFiles  = "evidence_files"
	tableRisks          = "risks"
	tableDocuments      = "documents"
	tableLinks          = "traceability_links"
	tableFindings       = "findings"
	tableRejected       = "rejected_files"
)

func artifactsTables() []projections.Table {
	return []projections.Table{
		repositoriesTable(), scansTable(), scanCountsTable(), scanViolationsTable(),
		contextsTable(), requirementsTable(), userStoriesTable(), specsTable(), evidenceTable(), evidenceFilesTable(),
		risksTable(), documentsTable(), linksTable(), findingsTable(), rejectedTable(),
	}
}

// fixedColumns is how many of the columns of an artifact never change while it lives: those of identityColumns.
const fixedColumns = 8

// identityColumns begin every table of artifacts.
func identityColumns(kinds ...domain.Kind) []projections.Column {
	return []projections.Column{
		repositoryColumn(),
		numberColumn(),
		text("id", "UUIDv5 of repository, path and ordinal: the same for ever for whatever lies at that place."),
		kind(text("kind", "What the artifact is, decided by its path alone."), kinds...),
		text("path", "Path from the repository's root; for an evidence package that of its directory."),
		from(0, integer("ordinal", "Place in a file that holds several artifacts, from 1; 0 for the file itself.")),
		text("first_scan_id", "UUID of the scan that recorded this artifact first."),
		timestamp("first_at", "When the engine recorded this artifact first."),
	}
}

// contentColumns follow them: what the last version says.
func contentColumns() []projections.Column {
	return join(
		[]projections.Column{
			null(text("gxp_id", "Id that the file gives; NULL when its kind or the file has none.")),
			null(text("title", "Title as the author wrote it.")),
		},
		termColumns("risk", "Risk rating"),
		termColumns("tier", "Verification tier"),
		termColumns("status", "Status"),
		termColumns("validation_status", "Validation status"),
		termColumns("assurance_status", "Assurance status"),
		[]projections.Column{
			null(jsonColumn("fields", "The whole front matter, signed payload without test cases, or risk entry, as one JSON object with text scalars.")),
			from(1, integer("version", "How many versions of this artifact were recorded, from 1.")),
			text("content_sha256", "SHA-256 of the raw bytes that the last version was read from, the name of the stored content; for a package those of its manifest or else its first file."),
			text("blob", "Git blob id of the same bytes."),
			from(0, integer("size", "Bytes of that content.")),
			text("digest", "SHA-256 of what this artifact says: one entry of a risk log, or all files of a package."),
			text("stamp", "How the file was read: the reader's version and, for evidence, the keys."),
			text("scan_id", "UUID of the scan that recorded the last version."),
			timestamp("changed_at", "When the engine recorded the last version."),
			positionColumn(),
		},
	)
}

// termColumns are a word as the author wrote it and as it is compared.
func termColumns(name, what string) []projections.Column {
	return []projections.Column{
		null(text(name, what+" as the author wrote it.")),
		null(text(name+"_normal", what+" in lower case, blanks and dashes as underscores.")),
	}
}

// artifactTable is a table of artifacts with columns of its own behind the common ones, and foreign keys to parents.
func artifactTable(name, doc string, own []projections.Column, parents ...projections.ForeignKey) projections.Table {
	t := projections.Table{
		Name: name, Doc: doc,
		Columns: join(identityColumns(kindsIn(name)...), contentColumns(), own),
		Key:     []string{"repository_id", "number"},
		Foreign: append([]projections.ForeignKey{repositoryKey()}, parents...),
		Indexes: []projections.Index{
			index("repository_id", "gxp_id"), index("repository_id", "path"), words("title", "fields.description"),
		},
	}
	for _, p := range parents {
		t.Indexes = append(t.Indexes, index(p.Columns...))
	}
	return t
}

// kindsIn returns the kinds of artifact that are in a table.
func kindsIn(table string) []domain.Kind {
	return slices.DeleteFunc(domain.Kinds(), func(k domain.Kind) bool { return tableOf(k) != table })
}

func repositoryKey() projections.ForeignKey {
	return projections.ForeignKey{
		Columns: []string{"repository_id"}, Table: tableRepositories, Targets: []string{"repository_id"},
	}
}

func contextsTable() projections.Table {
	return artifactTable(tableContexts, "The system context of each repository: what the system is and what it is used for.", nil)
}

func parentIDColumn() projections.Column {
	return null(text("parent_id", "The first parent_id as the file declares it, whether or not it leads anywhere."))
}

func requirementsTable() projections.Table {
	return artifactTable(
		tableRequirements, "The requirements that the last completed scan found.",
		[]projections.Column{
			parentIDColumn(),
			from(1, null(integer("requirement_number", "The parent requirement: the first sound parent_id link to one, or else the first sound link of any edge."))),
		},
		reference("requirement_number", tableRequirements),
	)
}

func userStoriesTable() projections.Table {
	return artifactTable(
		tableUserStories, "The user stories that the last completed scan found.",
		[]projections.Column{
			parentIDColumn(),
			from(1, null(integer("requirement_number", "The requirement: the first sound parent_id link to one, or else the first sound link of any edge."))),
		},
		reference("requirement_number", tableRequirements),
	)
}

func specsTable() projections.Table {
	return artifactTable(
		tableSpecs, "The specifications that the last completed scan found.",
		[]projections.Column{
			parentIDColumn(),
			from(1, null(integer("user_story_number", "The user story: the first sound parent_id link to one, or else the first sound link of any edge."))),
		},
		reference("user_story_number", tableUserStories),
	)
}

func risksTable() projections.Table {
	return artifactTable(
		tableRisks, "The entries of the risk log, one row each; the log itself is a document.",
		[]projections.Column{
			null(text("requirement_id", "The first requirement that the entry names, as it names it.")),
			from(1, null(integer("requirement_number", "The requirement: the first sound link of the entry to one."))),
		},
		reference("requirement_number", tableRequirements),
	)
}

func documentsTable() projections.Table {
	return artifactTable(
		tableDocuments, "Documents beside the chain of requirements: decision records, the risk log as a file, vendor assessments.", nil,
	)
}
