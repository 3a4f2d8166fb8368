package tables

import "github.com/gxpledger/gxpledger/projections"

// History is the projection "history": every version of every artifact.
func History() projections.Projection {
	return projections.Projection{
		Name: "history", Version: 1, Tables: []projections.Table{versionsTable(), linkChangesTable()},
		Handles: []string{typeArtifactParsed, typeArtifactRemoved, typeScanCompleted},
	}
}
