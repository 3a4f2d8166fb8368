package tables_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// TestAFaultNamesItsEvent: what cannot be projected is an error with its position, and never a guess.
func TestAFaultNamesItsEvent(t *testing.T) {
	t.Parallel()
	parsedAs := func(kind domain.Kind) domain.Event {
		return parsed(1, kind, reqPath, func(*domain.ArtifactParsed) {})
	}
	ofVersion1 := func(r domain.ArtifactRelinked) domain.Event {
		return domain.ScanCompleted{Head: Scan(Flag()).Head, Relinked: []domain.ArtifactRelinked{r}}
	}
	pointer := domain.RejectionCleared{Path: "x"}
	unknownCheck := parsed(1, domain.KindEvidencePackage, packagePath, func(e *domain.ArtifactParsed) {
		e.Evidence = &domain.Evidence{Checks: []domain.Check{{Name: "astrology"}}}
	})
	links := []domain.Link{{Edge: domain.EdgeParentID, Target: "A"}}
	for _, c := range []struct {
		name       string
		projection projections.Projection
		stream     eventstore.StreamID
		event      domain.Event
		want       string
	}{
		{"a parsed kind without a table", tables.Artifacts(), "", parsedAs("novel"), `kind "novel" has no table`},
		{"a removed kind without a table", tables.Artifacts(), "", domain.ArtifactRemoved{Kind: "novel"}, `kind "novel" has no table`},
		{"a relinked kind without a table", tables.Artifacts(), "", domain.ArtifactRelinked{Kind: "novel", Links: links}, `kind "novel" has no table`},
		{"a link that is not among the links", tables.Artifacts(), "", domain.ArtifactRelinked{Kind: domain.KindSpec, Changed: []int{1}, Links: links}, "link 1 of 1"},
		{"a link before the first", tables.Artifacts(), "", domain.ArtifactRelinked{Kind: domain.KindSpec, Changed: []int{-1}, Links: links}, "link -1 of 1"},
		{"a link of version 1 that is not among the links", tables.Artifacts(), "", ofVersion1(domain.ArtifactRelinked{Kind: domain.KindSpec, Changed: []int{1}, Links: links}), "link 1 of 1"},
		{"a changed link that is not among the links", tables.History(), "", domain.ArtifactRelinked{Kind: domain.KindSpec, Changed: []int{1}, Links: links}, "link 1 of 1"},
		{"a changed link of version 1 that is not among the links", tables.History(), "", ofVersion1(domain.ArtifactRelinked{Kind: domain.KindSpec, Changed: []int{1}, Links: links}), "link 1 of 1"},
		{"a check without a column", tables.Artifacts(), "", unknownCheck, `check "astrology" has no column`},
		{"an artifact of no repository", tables.Artifacts(), "engine", parsedAs(domain.KindSpec), `stream "engine": want the stream of a repository`},
		{"a version of no repository", tables.History(), "engine", parsedAs(domain.KindSpec), `stream "engine": want the stream of a repository`},
		{"an audited artifact of no repository", tables.Audit(), "engine", parsedAs(domain.KindSpec), `stream "engine": want the stream of a repository`},
		{"an act among artifacts", tables.Artifacts(), "", domain.AdminActed{}, "domain.AdminActed has no meaning here"},
		{"an act among versions", tables.History(), "", domain.AdminActed{}, "domain.AdminActed has no meaning here"},
		{"a pointer among artifacts", tables.Artifacts(), "", &pointer, "*domain.RejectionCleared has no meaning here"},
		{"a pointer among versions", tables.History(), "", &pointer, "*domain.RejectionCleared has no meaning here"},
		{"a pointer in the audit trail", tables.Audit(), "", &pointer, "*domain.RejectionCleared has no meaning here"},
		{"nothing in the audit trail", tables.Audit(), "", nil, "<nil> has no meaning here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stream := c.stream
			if stream == "" {
				stream = eventstore.RepositoryStream(repository)
			}
			event := projections.Event{Record: eventstore.Record{Position: 17, Stream: stream}, Event: c.event}
			var rows projections.Rows
			err := c.projection.Apply([]projections.Event{event}, &rows)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), c.projection.Name+": position 17: ") {
				t.Errorf("error %v; want one of %s at position 17 that says %s", err, c.projection.Name, c.want)
			}
		})
	}
}

func TestTheProjectionsAskForStoredEventsAndTheAuditTrailForAll(t *testing.T) {
	t.Parallel()
	for _, p := range tables.All() {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		for _, e := range p.Handles {
			if eventstore.TypeOf(e) == "" {
				t.Errorf("%s asks for %T, which no log holds", p.Name, e)
			}
		}
	}
	for _, name := range eventstore.KnownTypes() {
		event, err := eventstore.Decode(eventstore.Record{Type: name, Data: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		if !tables.Audit().Wants(event) {
			t.Errorf("the audit trail skips %s", name)
		}
	}
}
