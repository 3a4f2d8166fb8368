package cli

import (
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// summarise says in one sentence what an event means: the same that the audit trail says, by the same code. An event
// that cannot be decoded says so.
func summarise(r eventstore.Record) string {
	event, err := eventstore.Decode(r)
	if err != nil {
		return err.Error()
	}
	audit := tables.Audit()
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
