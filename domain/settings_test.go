package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

func change(to domain.RepositorySettings) domain.RepositoryChanged {
	return domain.RepositoryChanged{
		Repository: Scan(Flag()).Repository, Settings: to, Actor: "ada", Reason: "change request 17", ChangedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func registered() domain.RepositoryRegistered {
	return domain.RepositoryRegistered{Repository: Scan(Flag()).Repository, Addresses: []string{"git.example.org/demo"}}
}

func TestARepositoryThatIsNotKnownIsRegisteredWithItsSettings(t *testing.T) {
	t.Parallel()
	events, err := domain.ChangeRepository(domain.State{}, change(domain.RepositorySettings{Links: domain.LinksFlag}))
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v; want two", len(events), err)
	}
	s := domain.Fold(domain.State{}, events...)
	if !s.Registered || s.Settings.Policy().Links != domain.LinksFlag || s.Settings.Policy().Duplicates != domain.DuplicatesReject {
		t.Errorf("the state is %+v", s)
	}
}

func TestAChangeThatCannotBeRecordedSaysWhy(t *testing.T) {
	t.Parallel()
	known := domain.Fold(domain.State{}, registered())
	for name, test := range map[string]struct {
		state  domain.State
		change func(*domain.RepositoryChanged)
		want   string
	}{
		"nothing changes":     {known, func(c *domain.RepositoryChanged) { c.Settings = known.Settings }, "is as that already"},
		"it was retired":      {domain.Fold(known.Clone(), domain.RepositoryRetired{}), func(*domain.RepositoryChanged) {}, "was retired"},
		"another id":          {known, func(c *domain.RepositoryChanged) { c.Repository.ID = "x" }, "has the id"},
		"no name":             {known, func(c *domain.RepositoryChanged) { c.Repository.Name = " " }, "needs a name"},
		"control characters":  {known, func(c *domain.RepositoryChanged) { c.Repository.Name = "a\x1b[2J" }, "needs a name"},
		"no actor":            {known, func(c *domain.RepositoryChanged) { c.Actor = "" }, "by an actor"},
		"no reason":           {known, func(c *domain.RepositoryChanged) { c.Reason = "" }, "for a reason"},
		"links":               {known, func(c *domain.RepositoryChanged) { c.Settings.Links = "x" }, "policy for links"},
		"duplicates":          {known, func(c *domain.RepositoryChanged) { c.Settings.Duplicates = "x" }, "policy for duplicates"},
		"unsigned packages":   {known, func(c *domain.RepositoryChanged) { c.Settings.Unsigned = "x" }, "policy for unsigned packages"},
		"main line":           {known, func(c *domain.RepositoryChanged) { c.Settings.MainLine = "a\nb" }, "main line"},
		"a limit of 0":        {known, func(c *domain.RepositoryChanged) { c.Settings.Limits = map[string]int64{"files": 0} }, "limit"},
		"no address":          {known, func(c *domain.RepositoryChanged) { c.Settings.Addresses = []string{""} }, "address"},
		"addresses in a mess": {known, func(c *domain.RepositoryChanged) { c.Settings.Addresses = []string{"b", "a"} }, "out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := change(domain.RepositorySettings{Links: domain.LinksFlag})
			test.change(&c)
			events, err := domain.ChangeRepository(test.state, c)
			var refused *domain.NotChangedError
			if !errors.As(err, &refused) || events != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v; want a NotChangedError with %q", events, err, test.want)
			}
		})
	}
}

// A scan from elsewhere leaves one failure, which names both places.
func TestAScanFromAnotherAddressIsRefused(t *testing.T) {
	t.Parallel()
	from := func(addresses ...string) domain.Scan {
		scan := Scan(Flag(), Requirement("REQ-1", "a"))
		scan.Addresses = addresses
		return scan
	}
	for name, test := range map[string]struct {
		events  []domain.Event
		scan    domain.Scan
		refused bool
	}{
		"the same":                        {[]domain.Event{registered()}, from("git.example.org/demo"), false},
		"another":                         {[]domain.Event{registered()}, from("git.example.org/other"), true},
		"a clone of it":                   {[]domain.Event{registered()}, from("git.example.org/demo", "/home/ada/demo"), false},
		"a clone of another":              {[]domain.Event{registered()}, from("git.example.org/other", "/home/ada/demo"), true},
		"nobody knows from where":         {[]domain.Event{registered()}, from(), false},
		"one that was accepted":           {[]domain.Event{registered(), change(domain.RepositorySettings{Addresses: []string{"git.example.org/other"}})}, from("git.example.org/other"), false},
		"one that is left out since":      {[]domain.Event{registered(), change(domain.RepositorySettings{Addresses: []string{"git.example.org/other"}})}, from("git.example.org/demo"), true},
		"anywhere, when none is recorded": {[]domain.Event{registered(), change(domain.RepositorySettings{})}, from("git.example.org/other"), false},
		"the clone that older versions recorded": {[]domain.Event{
			domain.RepositoryRegistered{Repository: domain.Repository{ID: registered().Repository.ID, Name: "demo", URL: "/home/ada/demo"}},
			domain.ScanCompleted{Head: domain.Head{Number: 1, Repository: domain.Repository{Name: "demo", URL: "/home/ada/demo"}}},
		}, from("git.example.org/demo", "/home/ada/demo"), false},
		"elsewhere than older versions recorded": {[]domain.Event{
			domain.RepositoryRegistered{Repository: domain.Repository{ID: registered().Repository.ID, Name: "demo", URL: "/home/ada/demo"}},
			domain.ScanCompleted{Head: domain.Head{Number: 1, Repository: domain.Repository{Name: "demo", URL: "/home/ada/demo"}}},
		}, from("git.example.org/demo", "/home/eve/demo"), false},
		"another host than older versions recorded": {[]domain.Event{
			domain.RepositoryRegistered{Repository: domain.Repository{ID: registered().Repository.ID, Name: "demo", URL: "https://git.example.org/demo"}},
			domain.ScanCompleted{Head: domain.Head{Number: 1, Repository: domain.Repository{Name: "demo", URL: "https://git.example.org/demo"}}},
		}, from("git.example.org/other", "/home/eve/demo"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decision := Given(test.events...).When(test.scan)
			if test.refused {
				decision.ThenRefused(t, Because(domain.ViolationAddress, ""))
				return
			}
			decision.Completed(t)
		})
	}
}

// Settings as of any point are those of the last change before it, and a name that was given once is one that it had.
func TestSettingsAreTheFoldOfTheirEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := domain.Fold(domain.State{}, registered())
		names := []string{s.Repository.Name}
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			c := change(domain.RepositorySettings{
				Links:     rapid.SampledFrom([]domain.LinkPolicy{"", domain.LinksStrict, domain.LinksFlag}).Draw(t, "links"),
				Addresses: slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom([]string{"a/1", "b/2", "/c"}), 0, 3).Draw(t, "addresses")))),
			})
			c.Repository.Name = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
			before := s.Clone()
			events, err := domain.ChangeRepository(s, c)
			if s = domain.Fold(s, events...); err != nil {
				if !s.Settings.Equal(before.Settings) || s.Repository != before.Repository {
					t.Fatalf("a change that was refused (%v) changed %+v to %+v", err, before, s)
				}
				continue
			}
			if names = append(names, c.Repository.Name); !s.Settings.Equal(c.Settings) || s.Repository != c.Repository {
				t.Fatalf("the settings are %+v of %+v, want those of %+v", s.Settings, s.Repository, c)
			}
			for _, name := range names {
				if name != s.Repository.Name && !slices.Contains(s.Names, name) {
					t.Fatalf("former names are %q, want %q among them", s.Names, name)
				}
			}
			if !s.Settings.Equal(s.Clone().Settings) || !slices.Equal(s.Names, s.Clone().Names) {
				t.Fatal("a clone has other settings")
			}
		}
	})
}
