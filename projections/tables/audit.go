package tables

import "github.com/gxpledger/gxpledger/projections"

// Audit is the projection "audit": the audit trail, one row for each event of the log (I10).
func Audit() projections.Projection {
	return projections.Projection{
		Name: "audit", Version: 1, Tables: []projections.Table{auditTable()},
		Handles: append(repositoryEvents(), typeAdminActed),
	}
}
