package tables

import "github.com/gxpledger/gxpledger/projections"

const tableAudit = "audit_log"

func auditTable() projections.Table {
	return projections.Table{
		Name: tableAudit, Doc: "The audit trail: one row for each event of the log, never changed and never deleted.",
		Columns: []projections.Column{
			from(1, integer("sequence", "Number of the row: the position of the event in the log.")),
			timestamp("recorded_at", "When the engine recorded the event, by its own clock."),
			text("actor", "Who did it, as the engine knows."),
			text("action", "What was done: ARTIFACT_INSERTED, SCAN_FAILED, ADMIN_REBUILD and so on; docs/tables.md lists them."),
			text("resource_type", "What it was done to: a kind of artifact, file, scan, repository or engine."),
			text("resource_id", "Which one: an artifact's path with #ordinal behind it unless that is 0, a file's path, the id of a scan or repository, or what an administrator acted on."),
			null(text("repository_id", "UUID of the repository; NULL for acts on the engine.")),
			null(text("gxp_id", "gxp_id of the artifact at that time.")),
			text("outcome", "succeeded, failed, cancelled, interrupted or rejected."),
			null(text("reason", "Why, as the actor said.")),
			text("summary", "The event as one plain sentence, safe to print: text from a repository is quoted, cut and escaped."),
			text("payload_sha256", "SHA-256 of the event's data, byte for byte as recorded."),
			null(text("scan_id", "UUID of the scan, or of the act, that the event belongs to.")),
			text("event_id", "UUID of the event."),
			text("stream", "Stream of the event."),
			from(0, integer("revision", "Place of the event in its stream, from 0.")),
			from(1, integer("position", "Position of the event in the log.")),
		},
		Key: []string{"sequence"},
		Indexes: []projections.Index{
			index("recorded_at"), index("resource_id"), index("resource_type", "resource_id"), index("actor"), index("gxp_id"), index("scan_id"),
		},
		AppendOnly: true,
	}
}
