package query_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections/query"
)

func TestTheAuditTrailIsFilteredAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), domaintest.Requirement("REQ-2", "b")).
		scan(domaintest.Requirement("REQ-1", "A")).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"))
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		filter query.AuditFilter
		want   string
	}{
		{query.AuditFilter{}, "1 REPOSITORY_REGISTERED, 2 ARTIFACT_INSERTED, 3 ARTIFACT_INSERTED, 4 SCAN_COMPLETED, " +
			"5 ARTIFACT_REMOVED, 6 ARTIFACT_UPDATED, 7 SCAN_COMPLETED, 8 SCAN_FAILED"},
		{query.AuditFilter{Limit: 2}, "7 SCAN_COMPLETED, 8 SCAN_FAILED"},
		{query.AuditFilter{Action: "ARTIFACT_INSERTED"}, "2 ARTIFACT_INSERTED, 3 ARTIFACT_INSERTED"},
		{query.AuditFilter{Resource: "REQ-1"}, "2 ARTIFACT_INSERTED, 6 ARTIFACT_UPDATED"},
		{query.AuditFilter{Resource: ".gxp/requirements/REQ-2.md"}, "3 ARTIFACT_INSERTED, 5 ARTIFACT_REMOVED"},
		{query.AuditFilter{Resource: "scan"}, "4 SCAN_COMPLETED, 7 SCAN_COMPLETED, 8 SCAN_FAILED"},
		{query.AuditFilter{Outcome: "failed"}, "8 SCAN_FAILED"},
		{query.AuditFilter{Since: at(2), Until: at(3)}, "5 ARTIFACT_REMOVED, 6 ARTIFACT_UPDATED, 7 SCAN_COMPLETED"},
		{query.AuditFilter{Actor: "nobody"}, ""},
	} {
		rows, err := w.reader().Audit(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(lines(rows, func(a query.Audit) string { return fmt.Sprintf("%d %s", a.Sequence, a.Action) }), "\n", ", ")
		if got != c.want {
			t.Errorf("%+v: got %s, want %s", c.filter, got, c.want)
		}
	}
	if actors, err := w.reader().AuditWords(t.Context(), query.AuditActor); err != nil || !slices.Contains(actors, "carol") {
		t.Errorf("actors: %q, %v", actors, err)
	}
	actions, err := w.reader().AuditWords(t.Context(), query.AuditAction)
	if err != nil || !slices.Contains(actions, "SCAN_FAILED") || len(slices.Compact(actions)) != len(actions) {
		t.Errorf("actions: %q, %v, want each once", actions, err)
	}
}
