package tables

// Versioned names of the events that the projections of this package read.
const (
	typeRepositoryRegistered = "repository.registered.v1"
	typeRepositoryRetired    = "repository.retired.v1"
	typeArtifactParsed       = "artifact.parsed.v1"
	typeArtifactRejected     = "artifact.rejected.v1"
	typeArtifactRemoved      = "artifact.removed.v1"
	typeRejectionCleared     = "rejection.cleared.v1"
	typeScanCompleted        = "scan.completed.v1"
	typeScanFailed           = "scan.failed.v1"
	typeAdminActed           = "admin.acted.v1"
)

// repositoryEvents names every event of a repository's stream.
func repositoryEvents() []string {
	return []string{
		typeRepositoryRegistered, typeRepositoryRetired, typeArtifactParsed, typeArtifactRejected, typeArtifactRemoved,
		typeRejectionCleared, typeScanCompleted, typeScanFailed,
	}
}
