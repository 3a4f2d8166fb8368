package tables_test

import (
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

const (
	reqPath   = ".gxp/requirements/REQ-001.md"
	storyPath = ".gxp/user_stories/US-001.md"
)

func chain() []domain.File {
	return Tree(Requirement("REQ-001", "first"), UserStory("US-001", "REQ-001"), Spec("SPEC-001", "US-001"))
}

func TestAScanFillsTheTablesOfItsKinds(t *testing.T) {
	t.Parallel()
	given(t, tree(append(chain(), RiskLog("RISK-001", "low"), File(domain.KindSystemContext, ".gxp/system_context.md", "ctx", "demo"))...)).
		thenRows("requirements", "number | kind | gxp_id | path | ordinal | title | version | parent_id | requirement_number",
			"1 | requirement | REQ-001 | .gxp/requirements/REQ-001.md | 0 | Title of REQ-001 | 1 | - | -").
		thenRows("documents", "number | kind | gxp_id | ordinal", "2 | risk_log | - | 0").
		thenRows("risks", "number | kind | gxp_id | ordinal", "3 | risk | RISK-001 | 1").
		thenRows("specs", "number | gxp_id | parent_id | user_story_number", "4 | SPEC-001 | US-001 | 6").
		thenRows("system_contexts", "number | gxp_id", "5 | ctx").
		thenRows("user_stories", "number | gxp_id | parent_id | requirement_number", "6 | US-001 | REQ-001 | 1").
		thenRows("traceability_links", "number | link_index | kind | gxp_id | path | ordinal | edge | target",
			"4 | 0 | spec | SPEC-001 | .gxp/specs/SPEC-001.md | 0 | parent_id | US-001",
			"6 | 0 | user_story | US-001 | .gxp/user_stories/US-001.md | 0 | parent_id | REQ-001").
		thenRows("traceability_links", "number | state | to_kind | to_number | to_requirement | to_user_story | to_spec | scan_id",
			"4 | resolved | user_story | 6 | - | 6 | - | "+scanID(1),
			"6 | resolved | requirement | 1 | 1 | - | - | "+scanID(1))
}

func TestAnArtifactKeepsItsFirstScanAndShowsItsLastVersion(t *testing.T) {
	t.Parallel()
	given(t, tree(Requirement("REQ-001", "first")), tree(Requirement("REQ-001", "second"))).
		thenRows("requirements", "number | version | size | content_sha256 | first_scan_id | first_at | scan_id | changed_at | position",
			"1 | 2 | 6 | "+Hash("REQ-001second")+" | "+scanID(1)+" | 2026-03-01T12:00:01.123456Z | "+
				scanID(2)+" | 2026-03-01T12:00:02.123456Z | 4")
}

func TestTheIDOfAnArtifactIsDerivedFromItsPlace(t *testing.T) {
	t.Parallel()
	given(t, tree(RiskLog("RISK-001", "low"))).
		// By Python: uuid5(UUID("0d3c5fa5-6e0b-5a0e-9d1f-3f2c8a7b9e41"), repository + "\0" + path + "\0" + ordinal).
		thenRows("documents", "id", "cc49fb40-1c67-5442-aa65-ef3d49b6e1b8").
		thenRows("risks", "id", "ae8aa7eb-d493-541b-9118-4ef73b7891d3").
		thenRows("artifact_versions", "id", "cc49fb40-1c67-5442-aa65-ef3d49b6e1b8", "ae8aa7eb-d493-541b-9118-4ef73b7891d3")
}

func TestWordsAreKeptAsWrittenAndAsCompared(t *testing.T) {
	t.Parallel()
	given(t, happened(registered(), parsed(1, domain.KindRequirement, reqPath, func(e *domain.ArtifactParsed) {
		e.Risk = &domain.Term{Raw: "High", Normal: "high"}
		e.Tier = &domain.Term{Raw: "OQ", Normal: "oq"}
		e.Status = &domain.Term{Raw: "In Progress", Normal: "in_progress"}
		e.ValidationStatus = &domain.Term{Raw: "Draft", Normal: "draft"}
		e.AssuranceStatus = &domain.Term{Raw: "In-Review", Normal: "in_review"}
		e.Fields = []byte(`{"gxp_id":"REQ-001"}`)
	}))).
		thenRows("requirements", "risk | risk_normal | tier | tier_normal | status | status_normal", "High | high | OQ | oq | In Progress | in_progress").
		thenRows("requirements", "validation_status | validation_status_normal | assurance_status | assurance_status_normal",
			"Draft | draft | In-Review | in_review").
		thenRows("requirements", "fields", `{"gxp_id":"REQ-001"}`).
		thenRows("artifact_versions", "risk | tier | status | validation_status | assurance_status | fields",
			`High | OQ | In Progress | Draft | In-Review | {"gxp_id":"REQ-001"}`)
}

func TestANULNeverReachesADatabase(t *testing.T) {
	t.Parallel()
	given(t, happened(registered(), parsed(1, domain.KindRequirement, reqPath, func(e *domain.ArtifactParsed) {
		e.Title = "a\x00b"
		e.Fields = []byte(`{"k":"\u0000","slash":"\\u0000","end":"\\"}`)
	}))).
		thenRows("requirements", "title | fields", "a\uFFFDb | "+`{"k":"`+"\uFFFD"+`","slash":"\\u0000","end":"\\"}`).
		thenRows("artifact_versions", "title | fields", "a\uFFFDb | "+`{"k":"`+"\uFFFD"+`","slash":"\\u0000","end":"\\"}`)
}

func TestBrokenLinksStayWithTheirReason(t *testing.T) {
	t.Parallel()
	given(t, tree(
		Requirement("REQ-001", "first"), Spec("SPEC-001", "REQ-001"),
		UserStory("US-001", "REQ-999"), UserStory("US-002", "REQ-998"), UserStory("US-003", "REQ-001"),
		UserStory("US-004", "REQ-001"), UserStory("US-005", "REQ-001"),
	)).
		thenRows("traceability_links", "gxp_id | target | state | to_kind | to_number",
			"SPEC-001 | REQ-001 | wrong_kind | - | -",
			"US-001 | REQ-999 | missing | - | -",
			"US-002 | REQ-998 | missing | - | -",
			"US-003 | REQ-001 | resolved | requirement | 1",
			"US-004 | REQ-001 | resolved | requirement | 1",
			"US-005 | REQ-001 | resolved | requirement | 1").
		thenRows("user_stories", "parent_id | requirement_number",
			"REQ-999 | -", "REQ-998 | -", "REQ-001 | 1", "REQ-001 | 1", "REQ-001 | 1").
		thenRows("scans", "links_resolved | links_missing | links_wrong_kind", "3 | 2 | 1")
}

func TestALinkOfAnUnchangedArtifactBreaksAndHeals(t *testing.T) {
	t.Parallel()
	story := UserStory("US-001", "REQ-001")
	given(t, tree(Requirement("REQ-001", "first"), story), tree(Unchanged(story))).
		thenRows("requirements", "number").
		thenRows("user_stories", "number | requirement_number | version | scan_id", "2 | - | 1 | "+scanID(1)).
		thenRows("traceability_links", "state | to_number | to_requirement | scan_id | position", "missing | - | - | "+scanID(2)+" | 6").
		thenRows("scans", "number | relinked", "1 | 0", "2 | 1").
		thenRows("link_changes", "position | change_index | number | link_index | kind | path | edge | target | state | to_kind | to_number",
			"6 | 0 | 2 | 0 | user_story | "+storyPath+" | parent_id | REQ-001 | missing | - | -")
	given(t, tree(Requirement("REQ-001", "first"), story), tree(Unchanged(story)), tree(Requirement("REQ-001", "new"), Unchanged(story))).
		thenRows("requirements", "number", "3").
		thenRows("user_stories", "number | requirement_number", "2 | 3").
		thenRows("traceability_links", "state | to_number | to_requirement | scan_id", "resolved | 3 | 3 | "+scanID(3)).
		thenRows("link_changes", "change_index | number | state | to_kind | to_number", "0 | 2 | missing | - | -", "0 | 2 | resolved | requirement | 3")
}

func TestEveryArtifactThatIsRelinkedLosesItsParent(t *testing.T) {
	t.Parallel()
	one, two := UserStory("US-001", "REQ-001"), UserStory("US-002", "REQ-001")
	given(t, tree(Requirement("REQ-001", "first"), one, two), tree(Unchanged(one), Unchanged(two))).
		thenRows("user_stories", "gxp_id | requirement_number", "US-001 | -", "US-002 | -").
		thenRows("scans", "number | relinked", "1 | 0", "2 | 2")
}

func TestTheParentIsTheFirstResolvedLinkAndParentIDComesFirst(t *testing.T) {
	t.Parallel()
	link := func(edge domain.Edge, target string) domain.Link { return domain.Link{Edge: edge, Target: target} }
	reqs := Tree(Requirement("REQ-001", ""), Requirement("REQ-002", ""), Requirement("REQ-003", ""))
	withLinks := func(links ...domain.Link) step {
		return tree(append(reqs, File(domain.KindUserStory, storyPath, "US-001", "", links...))...)
	}
	given(t, withLinks(link(domain.EdgeSatisfies, "REQ-002"), link(domain.EdgeParentID, "REQ-003"), link(domain.EdgeParentID, "REQ-001"))).
		thenRows("user_stories", "parent_id | requirement_number", "REQ-003 | 3")
	given(t, withLinks(link(domain.EdgeSatisfies, "REQ-999"), link(domain.EdgeDerivesFrom, "REQ-002"), link(domain.EdgeParentID, "REQ-998"))).
		thenRows("user_stories", "parent_id | requirement_number", "REQ-998 | 2")
	t.Run("also when only one of several links is relinked", func(t *testing.T) {
		t.Parallel()
		story := File(domain.KindUserStory, storyPath, "US-001", "", link(domain.EdgeSatisfies, "REQ-002"), link(domain.EdgeParentID, "REQ-001"))
		given(t, tree(append(reqs, story)...), tree(Unchanged(reqs[0]), Unchanged(story))).
			thenRows("traceability_links", "link_index | state | to_number", "0 | missing | -", "1 | resolved | 1").
			thenRows("user_stories", "requirement_number", "1")
		given(t, tree(append(reqs, story)...), tree(Unchanged(reqs[1]), Unchanged(story))).
			thenRows("traceability_links", "link_index | state | to_number", "0 | resolved | 2", "1 | missing | -").
			thenRows("user_stories", "requirement_number", "2")
	})
}

func TestAnEntryOfTheRiskLogNamesItsRequirement(t *testing.T) {
	t.Parallel()
	log := RiskLog("RISK-001", "low")
	log.Artifacts[1].Links = []domain.Link{
		{Edge: domain.EdgeRiskSpec, Target: "SPEC-001"}, {Edge: domain.EdgeRiskRequirement, Target: "REQ-001"},
	}
	given(t, tree(append(chain(), log)...)).
		thenRows("risks", "gxp_id | requirement_id | requirement_number", "RISK-001 | REQ-001 | 1").
		thenRows("traceability_links", "kind | ordinal | edge | to_requirement | to_spec",
			"risk | 1 | risk.spec | - | 4", "risk | 1 | risk.req | 1 | -", "spec | 0 | parent_id | - | -", "user_story | 0 | parent_id | 1 | -")
}

func TestRemovalTakesAllThatHangsOnAnArtifact(t *testing.T) {
	t.Parallel()
	given(t, tree(append(chain(), evidencePackage("PKG-1"))...), tree(Requirement("REQ-002", "another"))).
		thenRows("requirements", "gxp_id", "REQ-002").
		thenRows("user_stories", "gxp_id").thenRows("specs", "gxp_id").thenRows("evidence", "gxp_id").
		thenRows("evidence_files", "path").thenRows("traceability_links", "path").thenRows("findings", "number | code")
}

func TestAMoveIsARemovalAndANewNumber(t *testing.T) {
	t.Parallel()
	before := File(domain.KindRequirement, ".gxp/requirements/a.md", "REQ-001", "same")
	after := File(domain.KindRequirement, ".gxp/requirements/b.md", "REQ-001", "same")
	given(t, tree(before), tree(after)).
		thenRows("requirements", "number | path | version", "2 | .gxp/requirements/b.md | 1").
		thenRows("artifact_versions", "number | version | change | moved_from | end_reason | moved_to | ended_scan_id | ended_position",
			"1 | 1 | new | - | moved | .gxp/requirements/b.md | "+scanID(2)+" | 4",
			"2 | 1 | new | .gxp/requirements/a.md | - | - | - | -").
		thenRows("audit_log", "action | resource_type | resource_id | summary",
			"REPOSITORY_REGISTERED | repository | "+repository+` | Registered repository "demo", read from "https://example.org/demo".`,
			`ARTIFACT_INSERTED | requirement | .gxp/requirements/a.md | Added requirement "REQ-001", "Title of REQ-001", at ".gxp/requirements/a.md".`,
			"SCAN_COMPLETED | scan | "+scanID(1)+` | Completed scan 1 of repository "demo": 1 artifact (1 new, 0 changed, 0 read again, 0 unchanged), `+
				"0 removed, 0 rejected; 0 links, 0 broken; 0 findings about the tree.",
			`ARTIFACT_REMOVED | requirement | .gxp/requirements/a.md | Removed requirement "REQ-001" at ".gxp/requirements/a.md"; `+
				`it moved to ".gxp/requirements/b.md". History keeps its 1 version.`,
			`ARTIFACT_MOVED | requirement | .gxp/requirements/b.md | Moved requirement "REQ-001", "Title of REQ-001", from `+
				`".gxp/requirements/a.md" to ".gxp/requirements/b.md".`,
			"SCAN_COMPLETED | scan | "+scanID(2)+` | Completed scan 2 of repository "demo": 1 artifact (1 new, 0 changed, 0 read again, 0 unchanged), `+
				"1 removed, 0 rejected; 0 links, 0 broken; 0 findings about the tree.")
}

func TestTwoArtifactsMayShareAnID(t *testing.T) {
	t.Parallel()
	given(t, tree(
		File(domain.KindRequirement, ".gxp/requirements/a.md", "REQ-001", "one"),
		File(domain.KindRequirement, ".gxp/requirements/b.md", "REQ-001", "two"),
		UserStory("US-001", "REQ-001"),
	)).
		thenRows("requirements", "number | gxp_id | path", "1 | REQ-001 | .gxp/requirements/a.md", "2 | REQ-001 | .gxp/requirements/b.md").
		thenRows("user_stories", "requirement_number", "2").
		thenRows("findings", "number | finding_index | code | kind | path", "0 | 0 | duplicate | - | .gxp/requirements/a.md")
}

func TestFindingsOfTheTreeAreThoseOfTheLastCompletedScan(t *testing.T) {
	t.Parallel()
	with := func(findings ...domain.Finding) step {
		scan := Scan(Flag(), Requirement("REQ-001", "first"))
		scan.Findings = findings
		return scanned(scan)
	}
	link := domain.Finding{Code: domain.FindingSymlink, Path: ".gxp/link", Text: "a symbolic link is not followed"}
	dir := domain.Finding{Code: domain.FindingMissingDir, Text: "specs/ is absent"}
	given(t, with(link, dir)).
		thenRows("findings", "number | finding_index | code | path | line | text | scan_id",
			"0 | 0 | symlink | .gxp/link | - | a symbolic link is not followed | "+scanID(1),
			"0 | 1 | missing_dir | - | - | specs/ is absent | "+scanID(1)).
		thenRows("scans", "findings", "2")
	given(t, with(link, dir), with(dir)).
		thenRows("findings", "number | finding_index | code | scan_id", "0 | 0 | missing_dir | "+scanID(2))
	given(t, with(link), with(), scanned(failing())).
		thenRows("findings", "number").
		thenRows("scans", "number | findings", "1 | 1", "2 | 0", "3 | -")
}

func TestFindingsOfAnArtifactComeAndGoWithItsVersions(t *testing.T) {
	t.Parallel()
	found := Requirement("REQ-001", "first")
	found.Artifacts[0].Findings = []domain.Finding{
		{Code: domain.FindingMixedKeys, Line: 3, Text: "snake and camel"}, {Code: domain.FindingMissingField, Path: "elsewhere", Text: "no title"},
	}
	given(t, tree(found)).
		thenRows("findings", "number | finding_index | code | kind | gxp_id | path | line | text",
			"1 | 0 | mixed_keys | requirement | REQ-001 | "+reqPath+" | 3 | snake and camel",
			"1 | 1 | missing_field | requirement | REQ-001 | elsewhere | - | no title").
		thenRows("artifact_versions", "findings",
			`[{"code":"mixed_keys","line":3,"text":"snake and camel"},{"code":"missing_field","path":"elsewhere","text":"no title"}]`)
	given(t, tree(found), tree(Requirement("REQ-001", "second"))).thenRows("findings", "code")
	given(t, tree(found), tree()).thenRows("findings", "code")
}

func TestARejectedFileIsListedUntilItIsCleared(t *testing.T) {
	t.Parallel()
	bad := Malformed(domain.KindRequirement, reqPath, "first")
	given(t, tree(bad)).
		thenRows("rejected_files", "path | kind | line | col | message | content_sha256 | size | scan_id | rejected_at | position",
			reqPath+" | requirement | 3 | 7 | unexpected end of mapping | "+Hash("first")+" | 5 | "+scanID(1)+" | 2026-03-01T12:00:01.123456Z | 2").
		thenRows("scans", "found | rejected", "0 | 1")
	given(t, tree(bad), tree(Malformed(domain.KindRequirement, reqPath, "second"))).
		thenRows("rejected_files", "content_sha256 | scan_id", Hash("second")+" | "+scanID(2))
	given(t, tree(bad), tree(Requirement("REQ-001", "mended"))).
		thenRows("rejected_files", "path").thenRows("requirements", "gxp_id", "REQ-001")
	given(t, tree(Requirement("REQ-001", "good")), tree(bad)).
		thenRows("rejected_files", "path", reqPath).thenRows("requirements", "gxp_id")
	t.Run("one too large to read has no content", func(t *testing.T) {
		t.Parallel()
		given(t, happened(registered(), domain.ArtifactRejected{Path: reqPath, Rejection: domain.Rejection{
			Kind: domain.KindRequirement, Message: "too large", Content: domain.Content{Size: 1 << 40},
		}})).thenRows("rejected_files", "line | col | content_sha256 | blob | size", "- | - | - | - | 1099511627776")
	})
}

func TestAScanIsCountedByKindAndInAll(t *testing.T) {
	t.Parallel()
	reqs := Tree(
		Requirement("A", "same"), Requirement("B", "same"), Requirement("C", "same"), Requirement("D", "same"), Requirement("E", "same"),
		Requirement("F", "old"), Requirement("G", "old"), Requirement("H", "old"), ReadBy("rosie/0", Requirement("I", "reread")),
		Requirement("J", "gone"), Requirement("K", "gone"), UserStory("US-001", "A"),
	)
	given(t, tree(reqs...), tree(append(
		reqs[:5:5], Requirement("F", "new"), Requirement("G", "new"), Requirement("H", "new"), Requirement("I", "reread"),
		Requirement("L", "new"), Requirement("M", "new"), Requirement("N", "new"), Requirement("O", "new"), Requirement("P", "new"), Requirement("Q", "new"),
		Malformed(domain.KindRequirement, "1", "x"), Malformed(domain.KindRequirement, "2", "x"), Malformed(domain.KindRequirement, "3", "x"),
		Malformed(domain.KindRequirement, "4", "x"), UserStory("US-001", "A"),
	)...)).
		thenRows("scan_counts", "number | kind | found | added | changed | reread | unchanged | removed | rejected",
			"1 | requirement | 11 | 11 | 0 | 0 | 0 | 0 | 0",
			"1 | user_story | 1 | 1 | 0 | 0 | 0 | 0 | 0",
			"2 | requirement | 15 | 6 | 3 | 1 | 5 | 2 | 4",
			"2 | user_story | 1 | 0 | 0 | 0 | 1 | 0 | 0").
		thenRows("scans", "number | found | added | changed | reread | unchanged | removed | rejected",
			"1 | 12 | 12 | 0 | 0 | 0 | 0 | 0", "2 | 16 | 6 | 3 | 1 | 6 | 2 | 4")
}

func failing() domain.Scan {
	scan := Scan(domain.DefaultPolicy(), UserStory("US-001", "REQ-999"), UserStory("US-002", "REQ-998"))
	scan.Reason = "nightly"
	return scan
}

func TestAFailedScanChangesNothingButTheListOfScans(t *testing.T) {
	t.Parallel()
	given(t, tree(chain()...), scanned(failing())).
		thenRows("scans", "number | scan_id | outcome | code | actor | reason | links_policy | duplicates_policy | found | violations | tree_digest",
			"1 | "+scanID(1)+" | completed | - | tester | - | flag | update | 3 | 0 | "+GivenScanned(t, chain()).State().TreeDigest(),
			"2 | "+scanID(2)+" | failed | missing_parent | tester | nightly | strict | reject | - | 2 | -").
		thenRows("scan_violations", "number | violation_index | code | path | gxp_id | edge | target",
			"2 | 0 | missing_parent | .gxp/user_stories/US-001.md | US-001 | parent_id | REQ-999",
			"2 | 1 | missing_parent | .gxp/user_stories/US-002.md | US-002 | parent_id | REQ-998").
		thenRows("user_stories", "gxp_id | parent_id", "US-001 | REQ-001").
		thenRows("repositories", "last_scan_number | last_scan_id | position", "1 | "+scanID(1)+" | 5")
	t.Run("even when it is the first", func(t *testing.T) {
		t.Parallel()
		given(t, scanned(failing())).thenRows("repositories", "name").thenRows("scans", "number | outcome", "1 | failed")
	})
}

func TestAScanShowsWhatGitClaimsApartFromWhatTheEngineKnows(t *testing.T) {
	t.Parallel()
	scan := Scan(Flag(), Requirement("REQ-001", "first"))
	scan.Reason = "release 1"
	scan.Source = domain.Source{
		Ref: "main", Commit: "c0ffee", Tree: "beef", Message: "Add REQ-001", Worktree: true, Dirty: true,
		Author:    &domain.Person{Name: "Ada", Email: "ada@example.org", When: time.Date(2026, 2, 1, 9, 0, 0, 0, time.FixedZone("", 7200))},
		Committer: &domain.Person{Name: "Bob", When: time.Date(2026, 2, 2, 9, 0, 0, 0, time.FixedZone("", -5400))},
	}
	given(t, scanned(scan)).
		thenRows("scans", "ref | commit_sha | tree_sha | message | worktree | dirty | author_name | author_email | author_at | author_zone",
			"main | c0ffee | beef | Add REQ-001 | true | true | Ada | ada@example.org | 2026-02-01T07:00:00.000000Z | +02:00").
		thenRows("scans", "committer_name | committer_email | committer_at | committer_zone", "Bob | - | 2026-02-02T10:30:00.000000Z | -01:30").
		thenRows("scans", "repository_name | repository_url | reader | started_at | decided_at | recorded_at | attempts | position",
			"demo | https://example.org/demo | rosie/1 | 2026-02-03T04:05:06.000000Z | 2026-02-03T04:05:07.000000Z | 2026-03-01T12:00:01.123456Z | 1 | 3").
		thenRows("repositories", "name | url | registered_at | retired_at | last_scan_at | last_commit_sha",
			"demo | https://example.org/demo | 2026-03-01T12:00:01.123456Z | - | 2026-03-01T12:00:01.123456Z | c0ffee")
}

func TestARepositoryFollowsItsLastCompletedScanAndRetires(t *testing.T) {
	t.Parallel()
	moved := Scan(Flag(), chain()...)
	moved.Repository.URL = "https://elsewhere.example.org/demo"
	given(t, tree(chain()...), scanned(moved)).
		thenRows("repositories", "url | last_scan_number", "https://elsewhere.example.org/demo | 2")
	retired := domain.RepositoryRetired{
		Repository: moved.Repository, Actor: "ada", Reason: "replaced", RetiredAt: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}
	given(t, tree(chain()...), happened(retired)).
		thenRows("repositories", "retired_at | retired_by | retired_reason | last_scan_number | position",
			"2026-03-02T00:00:00.000000Z | ada | replaced | 1 | 6").
		thenRows("requirements", "gxp_id", "REQ-001")
}

func TestRepositoriesDoNotMix(t *testing.T) {
	t.Parallel()
	other := Scan(Flag(), Requirement("REQ-001", "theirs"))
	other.Repository = domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000002", Name: "other"}
	given(t, tree(chain()...), scanned(other), tree()).
		thenRows("repositories", "name | url", "demo | https://example.org/demo", "other | -").
		thenRows("requirements", "repository_id | number | gxp_id", "6f1b1f5e-0000-5000-8000-000000000002 | 1 | REQ-001").
		thenRows("artifact_versions", "repository_id | number | gxp_id | end_reason",
			repository+" | 1 | REQ-001 | removed", repository+" | 2 | SPEC-001 | removed", repository+" | 3 | US-001 | removed",
			"6f1b1f5e-0000-5000-8000-000000000002 | 1 | REQ-001 | -")
}
