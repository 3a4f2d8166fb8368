package query_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

func TestMatrixAndGapsAreOfTheRepositoriesThatAreChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t).scan(domaintest.Covered()...)
	w.scanOf("another", domaintest.Flag(), domaintest.Requirement("REQ-1", "a"), domaintest.Spec("SPEC-1", "US-1"),
		domaintest.RiskLog("RISK-1", "on no level"))
	want(t, rowsOf(w.matrix()), "missing: REQ-1 / - / - / -", "orphaned: - / - / SPEC-1 / -", "covered: REQ-1 / US-1 / SPEC-1 / EV-1")
	m, err := w.reader().Matrix(t.Context(), query.Scope{RepositoryID: w.repository("demo").ID})
	if err != nil || rowsOf(m) != "covered: REQ-1 / US-1 / SPEC-1 / EV-1" || m.Rows[0].Repository != "demo" {
		t.Errorf("of demo: %s, %v", rowsOf(m), err)
	}
	found, err := w.reader().Gaps(t.Context(), query.Scope{RepositoryID: w.repository("another").ID})
	if err != nil || len(found.Gaps) != 3 || found.Coverage.Links != (trace.Covered{Covered: 0, Total: 1}) {
		t.Errorf("of another: %+v, %v; want a broken link, a requirement without a story and a spec without evidence", found, err)
	}
	if broken := found.Gaps[0]; broken.Repository != "another" || broken.Key() != ".gxp/specs/SPEC-1.md" || broken.Target != "US-1" {
		t.Errorf("broken link: %+v", broken)
	}
}

func (w *world) matrix() trace.Matrix {
	w.t.Helper()
	m, err := w.reader().Matrix(w.t.Context(), query.Scope{})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// rowsOf renders rows as "state: requirement / story / spec / evidence".
func rowsOf(m trace.Matrix) string {
	return lines(m.Rows, func(r trace.MatrixRow) string {
		var cells []string
		for _, c := range []*trace.Cell{r.Requirement, r.UserStory, r.Spec, r.Evidence} {
			if c == nil {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, c.Name())
		}
		return string(r.State) + ": " + strings.Join(cells, " / ")
	})
}
