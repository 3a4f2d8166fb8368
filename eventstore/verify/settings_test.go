package verify_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

// A scan was read and judged by the settings that are recorded before it, but for what it says was given for it alone.
func TestAScanUsesTheRecordedSettings(t *testing.T) {
	t.Parallel()
	recorded := domain.RepositorySettings{Links: domain.LinksFlag, Duplicates: domain.DuplicatesUpdate, Limits: map[string]int64{"files": 5000}}
	for name, test := range map[string]struct {
		forge func(*domain.Head)
		want  string
	}{
		"as recorded":        {func(*domain.Head) {}, ""},
		"another policy":     {func(h *domain.Head) { h.Policy.Links = domain.LinksStrict }, "policy for links"},
		"another duplicates": {func(h *domain.Head) { h.Policy.Duplicates = domain.DuplicatesReject }, "policy for duplicates"},
		"another unsigned":   {func(h *domain.Head) { h.Policy.Unsigned = domain.UnsignedInvalid }, "policy for unsigned packages"},
		"other limits":       {func(h *domain.Head) { h.Settings.Limits = nil }, "limits are"},
		"another revision":   {func(h *domain.Head) { *h.Settings.Revision-- }, "revision of the settings"},
		"an override": {func(h *domain.Head) {
			h.Policy.Links, h.Settings.Overrides = domain.LinksStrict, []string{"links"}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			l.scan(domaintest.Requirement("REQ-1", "a"))
			l.append(toldStream, domain.RepositoryChanged{Repository: l.state.Repository, Settings: recorded, Actor: "tester", Reason: "to see", ChangedAt: clock()})
			head := l.head()
			revision := int64(l.ends[toldStream].Next()) - 1
			head.Policy = recorded.Policy()
			head.Settings.Limits, head.Settings.Revision = recorded.Limits, &revision
			test.forge(&head)
			events, err := domain.Decide(l.state, domain.Scan{Head: head, Files: []domain.File{domaintest.Requirement("REQ-1", "a")}})
			if err != nil {
				t.Fatal(err)
			}
			l.append(toldStream, events...)
			if found := l.found(); (found == "") != (test.want == "") || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

// A change of a repository says what it is of, and changes something.
func TestChangesOfARepositoryFit(t *testing.T) {
	t.Parallel()
	set := domain.RepositorySettings{Links: domain.LinksFlag}
	for name, test := range map[string]struct {
		events func(l *told) []domain.Event
		want   string
	}{
		"a repository that is added": {func(*told) []domain.Event {
			r := domaintest.Scan(domaintest.Flag()).Repository
			return []domain.Event{domain.RepositoryRegistered{Repository: r}, domain.RepositoryChanged{Repository: r, Actor: "tester", Reason: "to see", ChangedAt: clock()}}
		}, ""},
		"another repository is added": {func(*told) []domain.Event {
			r := domaintest.Scan(domaintest.Flag()).Repository
			changed := domain.RepositoryChanged{Repository: r, Actor: "tester", Reason: "to see", ChangedAt: clock()}
			changed.Repository.Name = "other"
			return []domain.Event{domain.RepositoryRegistered{Repository: r}, changed}
		}, "repository is"},
		"a change": {func(l *told) []domain.Event {
			l.scan(domaintest.Requirement("REQ-1", "a"))
			return []domain.Event{domain.RepositoryChanged{Repository: l.state.Repository, Settings: set, Actor: "tester", Reason: "to see", ChangedAt: clock()}}
		}, ""},
		"a change of nothing": {func(l *told) []domain.Event {
			l.scan(domaintest.Requirement("REQ-1", "a"))
			return []domain.Event{domain.RepositoryChanged{Repository: l.state.Repository, Settings: l.state.Settings, Actor: "tester", Reason: "to see", ChangedAt: clock()}}
		}, "changes nothing"},
		"a change of a retired one": {func(l *told) []domain.Event {
			l.scan(domaintest.Requirement("REQ-1", "a"))
			l.append(toldStream, l.retired())
			return []domain.Event{domain.RepositoryChanged{Repository: l.state.Repository, Settings: set, Actor: "tester", Reason: "to see", ChangedAt: clock()}}
		}, "retired"},
		"a change among events of a scan": {func(l *told) []domain.Event {
			events := l.decide(domaintest.Requirement("REQ-1", "a"))
			change := domain.RepositoryChanged{Repository: domaintest.Scan(domaintest.Flag()).Repository, Settings: set, Actor: "tester", Reason: "to see", ChangedAt: clock()}
			return append(events[:1:1], append([]domain.Event{change}, events[1:]...)...)
		}, "it is the last"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			l.append(toldStream, test.events(l)...)
			if found := l.found(); (found == "") != (test.want == "") || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
