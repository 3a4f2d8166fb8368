package tables_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections/tables"
)

func TestEveryVersionStaysWithWhatMadeAndEndedIt(t *testing.T) {
	t.Parallel()
	one, two := Requirement("REQ-001", "one"), Requirement("REQ-001", "two")
	given(t, tree(one), tree(two), tree(ReadBy("rosie/2", two)), tree(), tree(one)).
		thenRows("artifact_versions", "number | version | change | previous_sha256 | content_sha256 | stamp | scan_id | position | end_reason | ended_scan_id | ended_position",
			"1 | 1 | new | - | "+Hash("REQ-001one")+" | rosie/1 | "+scanID(1)+" | 2 | changed | "+scanID(2)+" | 4",
			"1 | 2 | changed | "+Hash("REQ-001one")+" | "+Hash("REQ-001two")+" | rosie/1 | "+scanID(2)+" | 4 | reread | "+scanID(3)+" | 6",
			"1 | 3 | reread | "+Hash("REQ-001two")+" | "+Hash("REQ-001two")+" | rosie/2 | "+scanID(3)+" | 6 | removed | "+scanID(4)+" | 8",
			"2 | 1 | new | - | "+Hash("REQ-001one")+" | rosie/1 | "+scanID(5)+" | 10 | - | - | -").
		thenRows("artifact_versions", "version | recorded_at | ended_at | actor | gxp_id | title | kind | path | ordinal | size | moved_from | moved_to",
			"1 | 2026-03-01T12:00:01.123456Z | 2026-03-01T12:00:02.123456Z | tester | REQ-001 | Title of REQ-001 | requirement | "+reqPath+" | 0 | 3 | - | -",
			"2 | 2026-03-01T12:00:02.123456Z | 2026-03-01T12:00:03.123456Z | tester | REQ-001 | Title of REQ-001 | requirement | "+reqPath+" | 0 | 3 | - | -",
			"3 | 2026-03-01T12:00:03.123456Z | 2026-03-01T12:00:04.123456Z | tester | REQ-001 | Title of REQ-001 | requirement | "+reqPath+" | 0 | 3 | - | -",
			"1 | 2026-03-01T12:00:05.123456Z | - | tester | REQ-001 | Title of REQ-001 | requirement | "+reqPath+" | 0 | 3 | - | -")
}

func TestAnEntryThatMovesIsNamedByItsPlace(t *testing.T) {
	t.Parallel()
	given(t, tree(RiskLog("RISK-001", "a", "RISK-002", "b")), tree(File(domain.KindRisk, ".gxp/other", "RISK-002", "b"))).
		thenRows("artifact_versions", "number | kind | moved_from | moved_to | end_reason",
			"1 | risk_log | - | - | removed", "2 | risk | - | - | removed", "3 | risk | - | .gxp/other | moved",
			"4 | risk | .gxp/risk_assessment.log#2 | - | -")
}

func TestWhatAVersionLacksIsNULL(t *testing.T) {
	t.Parallel()
	bare := File(domain.KindADR, ".gxp/adr/1.md", "", "text")
	bare.Artifacts[0].Title = ""
	given(t, tree(bare)).
		thenRows("artifact_versions", "gxp_id | title | risk | tier | status | validation_status | assurance_status | fields | links | members | evidence | findings",
			"- | - | - | - | - | - | - | - | - | - | - | -").
		thenRows("documents", "gxp_id | title | risk | risk_normal | tier | tier_normal | status | status_normal | fields", "- | - | - | - | - | - | - | - | -")
}

func TestLinksOfAVersionAreTheStoredFormOfLinks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		links := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) domain.Link {
			l := domain.Link{
				Edge:   domain.Edge(rapid.String().Draw(t, "edge")),
				Target: rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"REQ-001", `"\<>&`, "é\u2028"})).Draw(t, "target"),
				Broken: domain.Broken(rapid.SampledFrom([]string{"", "missing"}).Draw(t, "broken")),
			}
			if rapid.Bool().Draw(t, "sound") {
				l.To = &domain.Ref{Number: rapid.Int().Draw(t, "number"), Kind: domain.KindRequirement}
			}
			return l
		}), 1, 3).Draw(t, "links")
		s := given(t, happened(parsed(1, domain.KindUserStory, storyPath, func(e *domain.ArtifactParsed) { e.Links = links })))
		m := newModel(tables.History())
		s.pages(m, tables.History(), wholeBatches)

		stored, err := json.Marshal(links)
		if err != nil {
			t.Fatal(err)
		}
		want := replaceNUL(stored)
		if got := m.show("artifact_versions", "links")[0]; got != want {
			t.Fatalf("links\n  %s\nwant\n  %s", got, want)
		}
	})
}

func TestEntriesThatShiftKeepTheirRows(t *testing.T) {
	t.Parallel()
	log := func(entries ...string) domain.File {
		f := RiskLog(entries...)
		for i := range f.Artifacts[1:] {
			f.Artifacts[i+1].Links = []domain.Link{
				{Edge: domain.EdgeRiskRequirement, Target: "REQ-404"}, {Edge: domain.EdgeRiskSpec, Target: "SPEC-404"},
			}
		}
		return f
	}
	id := func(ordinal int) string {
		return tables.ArtifactID(Scan(Flag()).Repository.ID, domain.Key{Path: RiskLog().Path, Ordinal: ordinal}).String()
	}
	given(t, tree(log("RISK-001", "low", "RISK-002", "low")), tree(log("RISK-000", "new", "RISK-001", "low", "RISK-002", "high"))).
		thenRows("artifact_versions", "number | version | gxp_id | ordinal | id | change | scan_id | end_reason",
			"1 | 1 | - | 0 | "+id(0)+" | new | "+scanID(1)+" | changed",
			"1 | 2 | - | 0 | "+id(0)+" | changed | "+scanID(2)+" | -",
			"2 | 1 | RISK-001 | 2 | "+id(2)+" | new | "+scanID(1)+" | -",
			"3 | 1 | RISK-002 | 3 | "+id(3)+" | new | "+scanID(1)+" | changed",
			"3 | 2 | RISK-002 | 3 | "+id(3)+" | changed | "+scanID(2)+" | -",
			"4 | 1 | RISK-000 | 1 | "+id(1)+" | new | "+scanID(2)+" | -").
		thenRows("risks", "number | version | gxp_id | ordinal | id | first_scan_id | scan_id",
			"2 | 1 | RISK-001 | 2 | "+id(2)+" | "+scanID(1)+" | "+scanID(1),
			"3 | 2 | RISK-002 | 3 | "+id(3)+" | "+scanID(1)+" | "+scanID(2),
			"4 | 1 | RISK-000 | 1 | "+id(1)+" | "+scanID(2)+" | "+scanID(2)).
		thenRows("traceability_links", "number | link_index | gxp_id | ordinal | target | scan_id",
			"2 | 0 | RISK-001 | 2 | REQ-404 | "+scanID(1), "2 | 1 | RISK-001 | 2 | SPEC-404 | "+scanID(1),
			"3 | 0 | RISK-002 | 3 | REQ-404 | "+scanID(2), "3 | 1 | RISK-002 | 3 | SPEC-404 | "+scanID(2),
			"4 | 0 | RISK-000 | 1 | REQ-404 | "+scanID(2), "4 | 1 | RISK-000 | 1 | SPEC-404 | "+scanID(2))
}

func TestARowOfRenamedFilesIsMovesWithNumbersOfTheirOwn(t *testing.T) {
	t.Parallel()
	at := func(path, id string) domain.File { return File(domain.KindRequirement, path, id, id) }
	given(t, tree(at("a", "R-1"), at("b", "R-2")), tree(at("b", "R-1"), at("c", "R-2"))).
		thenRows("artifact_versions", "number | version | path | change | moved_from | end_reason | moved_to",
			"1 | 1 | a | new | - | moved | b", "2 | 1 | b | new | - | moved | c", "3 | 1 | b | new | a | - | -", "4 | 1 | c | new | b | - | -").
		thenRows("requirements", "number | path | gxp_id", "3 | b | R-1", "4 | c | R-2")
}
