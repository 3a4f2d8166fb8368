package tables_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// TestTheTablesHoldEveryKindAndEveryEdge: whatever the table of kinds allows, the tables take, when it is new and when it
// resolves differently.
func TestTheTablesHoldEveryKindAndEveryEdge(t *testing.T) {
	t.Parallel()
	for _, kind := range domain.Kinds() {
		info := kind.Info()
		for _, e := range info.Edges {
			for _, to := range e.Targets {
				child := File(kind, ".gxp/child", "CHILD", "", domain.Link{Edge: e.Edge, Target: "PARENT"})
				parent := File(to, ".gxp/parent", "PARENT", "")
				column := "to_" + string(to)
				s := given(t, tree(child, parent)).thenRows("traceability_links", "kind | edge | state | to_kind | to_number | "+column,
					fmt.Sprintf("%s | %s | resolved | %s | 2 | 2", kind, e.Edge, to))
				for _, p := range info.Parents {
					if want := []string{"1 | 2", "2 | -"}; p.Kind == to && to.Info().Table == info.Table {
						s.thenRows(info.Table, "number | "+p.Number, want...)
					} else if p.Kind == to {
						s.thenRows(info.Table, "number | "+p.Number, want[:1]...)
					}
				}
				taken(t, given(t, tree(child, parent), tree(Unchanged(child))).
					thenRows("link_changes", "kind | edge | state | to_kind", fmt.Sprintf("%s | %s | missing | -", kind, e.Edge)).
					thenRows("traceability_links", "edge | state | "+column, fmt.Sprintf("%s | missing | -", e.Edge)))
			}
		}
	}
}

// taken fails for a value that a database would refuse.
func taken(t *testing.T, s *story) {
	t.Helper()
	for _, p := range tables.All() {
		var rows projections.Rows
		if err := p.Apply(handled(p, s.log), &rows); err != nil {
			t.Fatal(err)
		}
		for _, op := range rows.Ops() {
			at := slices.IndexFunc(p.Tables, func(t projections.Table) bool { return t.Name == op.Table })
			for i, value := range op.Row {
				if err := p.Tables[at].Columns[i].Check(value); err != nil {
					t.Fatalf("%s: %v", op.Table, err)
				}
			}
		}
	}
}
