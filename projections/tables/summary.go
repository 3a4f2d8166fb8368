package tables

import (
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// Summary says in one sentence what a record means, as the audit trail does. One that cannot be decoded says so.
func Summary(r eventstore.Record) string {
	event, err := eventstore.Decode(r)
	if err != nil {
		return err.Error()
	}
	audit := Audit()
	var rows projections.Rows
	if err := audit.Apply([]projections.Event{{Record: r, Event: event}}, &rows); err != nil {
		return err.Error()
	}
	for _, op := range rows.Ops() {
		for i, column := range audit.Tables[0].Columns {
			if text, ok := op.Row[i].(string); ok && column.Name == "summary" {
				return text
			}
		}
	}
	return ""
}
