package verify_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

// A scan names the commit of the scan before, and continues from it on the main line.
func TestAScanGoesOnFromTheOneBefore(t *testing.T) {
	t.Parallel()
	const first, second = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	for name, test := range map[string]struct {
		forge func(*domain.Head)
		want  string
	}{
		"it goes on":           {func(*domain.Head) {}, ""},
		"nothing was recorded": {func(h *domain.Head) { h.Source.Previous, h.Source.Relation = "", "" }, ""},
		"another before":       {func(h *domain.Head) { h.Source.Previous = second }, "commit of the scan before"},
		"it is not the same":   {func(h *domain.Head) { h.Source.Relation = domain.RelationSame }, "whether the commit is the same"},
		"it is the same":       {func(h *domain.Head) { h.Source.Commit = first }, "whether the commit is the same"},
		"of nothing":           {func(h *domain.Head) { h.Source.Previous = "" }, "which is not named"},
		"it went back":         {func(h *domain.Head) { h.Source.Relation = domain.RelationAncestor }, "nobody allowed"},
		"it is unknown":        {func(h *domain.Head) { h.Source.Relation = domain.RelationUnknown }, "nobody allowed"},
		"it was allowed to go back": {func(h *domain.Head) {
			h.Source.Relation, h.Settings.Overrides = domain.RelationAncestor, []string{domain.OverrideRewind}
		}, ""},
		"another branch": {func(h *domain.Head) {
			h.Source.Relation, h.Source.FullRef = domain.RelationUnrelated, "refs/heads/side"
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			record := func(source domain.Source, forge func(*domain.Head)) {
				head := l.head()
				head.Source, head.Settings = source, &domain.Settings{Keys: []string{}, Overrides: []string{}}
				events, err := domain.Decide(l.state, domain.Scan{Head: head, Files: []domain.File{domaintest.Requirement("REQ-1", "a")}})
				if err != nil {
					t.Fatal(err)
				}
				done, ok := events[len(events)-1].(domain.ScanCompleted)
				if !ok {
					t.Fatalf("the last event is %T", events[len(events)-1])
				}
				forge(&done.Head)
				events[len(events)-1] = done
				l.append(toldStream, events...)
			}
			record(domain.Source{FullRef: "refs/heads/main", Commit: first}, func(*domain.Head) {})
			l.append(toldStream, domain.RepositoryChanged{
				Repository: l.state.Repository, Settings: domain.RepositorySettings{MainLine: "main"}, Actor: "tester", Reason: "to see", ChangedAt: clock(),
			})
			record(domain.Source{FullRef: "refs/heads/main", Commit: second, Previous: first, Relation: domain.RelationDescendant}, test.forge)
			if found := l.found(); (found == "") != (test.want == "") || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
