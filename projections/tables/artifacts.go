package tables

import "github.com/gxpledger/gxpledger/projections"

// Artifacts is the projection "artifacts": what is true now.
func Artifacts() projections.Projection {
	return projections.Projection{
		Name: "artifacts", Version: 1, Tables: artifactsTables(),
		Handles: repositoryEvents(),
	}
}
