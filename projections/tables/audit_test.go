package tables_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
)

func TestEveryEventIsOneRowOfTheAuditTrail(t *testing.T) {
	t.Parallel()
	scan := Scan(Flag(), chain()...)
	scan.Reason = "release 1"
	s := given(t, scanned(scan))
	e := s.log[1]
	s.thenRows("audit_log", "sequence | position | revision | stream | action | actor | outcome | gxp_id",
		"1 | 1 | 0 | repository-"+repository+" | REPOSITORY_REGISTERED | tester | succeeded | -",
		"2 | 2 | 1 | repository-"+repository+" | ARTIFACT_INSERTED | tester | succeeded | REQ-001",
		"3 | 3 | 2 | repository-"+repository+" | ARTIFACT_INSERTED | tester | succeeded | SPEC-001",
		"4 | 4 | 3 | repository-"+repository+" | ARTIFACT_INSERTED | tester | succeeded | US-001",
		"5 | 5 | 4 | repository-"+repository+" | SCAN_COMPLETED | tester | succeeded | -")
	rows := s.tables(wholeBatches).show("audit_log", "event_id | payload_sha256 | scan_id | repository_id | reason | recorded_at")
	want := strings.Join([]string{e.ID.String(), hash(e.Data), scanID(1), repository, "release 1", "2026-03-01T12:00:01.123456Z"}, " | ")
	if rows[1] != want {
		t.Errorf("row\n  %s\nwant\n  %s", rows[1], want)
	}
}

func Test43ArtifactsGive43Insertions(t *testing.T) {
	t.Parallel()
	var files []domain.File
	for i := range 43 {
		files = append(files, Requirement("REQ-"+string(rune('A'+i)), "text"))
	}
	inserted := 0
	for _, action := range given(t, tree(files...)).tables(wholeBatches).show("audit_log", "action") {
		if action == "ARTIFACT_INSERTED" {
			inserted++
		}
	}
	if inserted != 43 {
		t.Errorf("%d insertions in the audit trail, want 43", inserted)
	}
}

// summaries are the last rows of a story.
func summaries(s *story, n int) []string {
	all := s.tables(wholeBatches).show("audit_log", "action | resource_type | resource_id | outcome | summary")
	return all[len(all)-n:]
}

func TestEachEventIsAPlainSentence(t *testing.T) {
	t.Parallel()
	story := UserStory("US-001", "REQ-001")
	bad := Malformed(domain.KindSpec, ".gxp/specs/SPEC-001.md", "bad")
	atCommit := Scan(Flag(), story)
	atCommit.Source.Commit = "c0ffee"
	onDisk := failing()
	onDisk.Source = domain.Source{Commit: "c0ffee", Worktree: true}
	tooLarge := domain.ArtifactRejected{Path: "x", Rejection: domain.Rejection{Kind: domain.KindADR, Message: "too large."}}
	for _, c := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"a change", []step{tree(Requirement("REQ-001", "one")), tree(Requirement("REQ-001", "two"))}, []string{
			`ARTIFACT_UPDATED | requirement | ` + reqPath + ` | succeeded | Changed requirement "REQ-001", "Title of REQ-001", at "` + reqPath + `": version 2.`,
			`SCAN_COMPLETED | scan | ` + scanID(2) + ` | succeeded | Completed scan 2 of repository "demo": 1 artifact (0 new, 1 changed, 0 read again, ` +
				`0 unchanged), 0 removed, 0 rejected; 0 links, 0 broken; 0 findings about the tree.`,
		}},
		{"a second reading", []step{tree(story), tree(ReadBy("rosie/2", story))}, []string{
			`ARTIFACT_REREAD | user_story | ` + storyPath + ` | succeeded | Read user story "US-001", "Title of US-001", at "` + storyPath +
				`" again, unchanged, with another reader or other keys: version 2.`,
			`SCAN_COMPLETED | scan | ` + scanID(2) + ` | succeeded | Completed scan 2 of repository "demo": 1 artifact (0 new, 0 changed, 1 read again, ` +
				`0 unchanged), 0 removed, 0 rejected; 1 link, 1 broken; 0 findings about the tree.`,
		}},
		{"a removal", []step{tree(story, RiskLog("RISK-001", "low")), scanned(atCommit)}, []string{
			`ARTIFACT_REMOVED | risk_log | .gxp/risk_assessment.log | succeeded | Removed risk log at ".gxp/risk_assessment.log". History keeps its 1 version.`,
			`ARTIFACT_REMOVED | risk | .gxp/risk_assessment.log#1 | succeeded | Removed risk "RISK-001" at ".gxp/risk_assessment.log", entry 1. ` +
				`History keeps its 1 version.`,
			`SCAN_COMPLETED | scan | ` + scanID(2) + ` | succeeded | Completed scan 2 of repository "demo" at commit "c0ffee": 1 artifact (0 new, 0 changed, ` +
				`0 read again, 1 unchanged), 2 removed, 0 rejected; 1 link, 1 broken; 0 findings about the tree.`,
		}},
		{"a scan with both sorts of broken links", []step{tree(Requirement("REQ-001", ""), Spec("SPEC-001", "REQ-001"), UserStory("US-001", "REQ-999"))}, []string{
			`SCAN_COMPLETED | scan | ` + scanID(1) + ` | succeeded | Completed scan 1 of repository "demo": 3 artifacts (3 new, 0 changed, 0 read again, ` +
				`0 unchanged), 0 removed, 0 rejected; 2 links, 2 broken; 0 findings about the tree.`,
		}},
		{"a rejection", []step{happened(registered(), must(bad), tooLarge)}, []string{
			`ARTIFACT_REJECTED | file | .gxp/specs/SPEC-001.md | rejected | Could not read spec ".gxp/specs/SPEC-001.md" at line 3, column 7: ` +
				`unexpected end of mapping. Its bytes are kept.`,
			`ARTIFACT_REJECTED | file | x | rejected | Could not read decision record "x": too large.`,
		}},
		{"a rejection that is cleared", []step{happened(domain.RejectionCleared{Path: "x"})}, []string{
			`REJECTION_CLEARED | file | x | succeeded | File "x" is no longer rejected: it is gone or can be read.`,
		}},
		{"evidence", []step{happened(registered(), parsed(1, domain.KindEvidencePackage, packagePath, func(e *domain.ArtifactParsed) {
			e.Title = ""
			e.Evidence = evidencePackage("x").Artifacts[0].Evidence
		}))}, []string{
			`ARTIFACT_INSERTED | evidence_package | ` + packagePath + ` | succeeded | Added evidence package "ID-001" at "` + packagePath + `"; as evidence it is valid.`,
		}},
		{"a failed scan", []step{scanned(onDisk)}, []string{
			`SCAN_FAILED | scan | ` + scanID(1) + ` | failed | Failed scan 1 of repository "demo" as it lay on disk, and changed nothing, for 2 reasons, the first: ` +
				`.gxp/user_stories/US-001.md: parent_id names "REQ-999", and no artifact of this revision has that id; expected the id of a ` +
				`requirement: add it or fix the link, or scan with the link policy "flag".`,
		}},
		{"a retirement", []step{tree(), happened(domain.RepositoryRetired{Repository: atCommit.Repository, Actor: "ada"})}, []string{
			`REPOSITORY_RETIRED | repository | ` + repository + ` | succeeded | Retired repository "demo": it is scanned no more and its history stays.`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := summaries(given(t, c.steps...), len(c.want))
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("audit trail\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func must(f domain.File) domain.Event {
	return domain.ArtifactRejected{Path: f.Path, Rejection: *f.Rejected, Stamp: f.Stamp, Source: f.Blob}
}

func acted(action domain.AdminActed) step {
	return func(s *story) {
		s.scans++
		action.ID = scanID(s.scans)
		s.record(eventstore.EngineStream, eventstore.Meta{Actor: action.Actor, Reason: action.Reason, Scan: action.ID, Attempt: 1}, []domain.Event{action})
	}
}

func TestAdminActionsAreInTheAuditTrail(t *testing.T) {
	t.Parallel()
	rebuild := domain.AdminActed{
		Action: "projection.rebuild", Target: "artifacts", Arguments: map[string]string{"from": "1", "all": "no"},
		Actor: "ada", Reason: "new column", Outcome: "failed", Detail: "disk full", At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	given(t, tree(), acted(rebuild), tree()).
		thenRows("audit_log", "action | repository_id",
			"REPOSITORY_REGISTERED | "+repository, "SCAN_COMPLETED | "+repository, "ADMIN_PROJECTION_REBUILD | -", "SCAN_COMPLETED | "+repository)
	given(t, acted(rebuild), acted(domain.AdminActed{Action: "Pause-A2Z", Actor: "bob", Outcome: "succeeded"})).
		thenRows("audit_log", "action | resource_type | resource_id | repository_id | actor | reason | outcome | stream | scan_id",
			"ADMIN_PROJECTION_REBUILD | engine | artifacts | - | ada | new column | failed | engine | "+scanID(1),
			"ADMIN_PAUSE_A2Z | engine | engine | - | bob | - | succeeded | engine | "+scanID(2)).
		thenRows("audit_log", "summary",
			`Administrator "ada" ran "projection.rebuild" on "artifacts" with "all" = "no", "from" = "1": failed, disk full.`,
			`Administrator "bob" ran "Pause-A2Z": succeeded.`)
}

// A log may hold actions that this version no longer has.
func TestAnActionOfAnOlderVersionStaysInTheAuditTrail(t *testing.T) { // I11
	t.Parallel()
	given(t, acted(domain.AdminActed{Action: "projection.rollback", Target: "history", Actor: "ada", Reason: "back", Outcome: "succeeded", Detail: "build 1"})).
		thenRows("audit_log", "action | resource_id | outcome | reason", "ADMIN_PROJECTION_ROLLBACK | history | succeeded | back").
		thenRows("audit_log", "summary", `Administrator "ada" ran "projection.rollback" on "history": succeeded, build 1.`)
}

func TestASummaryIsSafeToPrint(t *testing.T) {
	t.Parallel()
	hostile := "a\x1b]0;owned\x07\r\nSCAN_COMPLETED \u202egnp.exe \u2066\x00 \" . Removed everything." + strings.Repeat("é", 300)
	s := given(t, happened(registered(), parsed(1, domain.KindRequirement, hostile, func(e *domain.ArtifactParsed) {
		e.GxPID, e.Title = hostile, hostile
	}), domain.ArtifactRejected{Path: hostile, Rejection: domain.Rejection{Kind: domain.KindADR, Message: hostile + hostile}}))
	cut := 0
	for _, summary := range s.tables(wholeBatches).show("audit_log", "summary") {
		for _, r := range summary {
			if !unicode.IsPrint(r) {
				t.Errorf("summary %q holds %q", summary, r)
			}
		}
		cut += strings.Count(summary, `...`)
		if strings.Contains(summary, `\xc3`) {
			t.Errorf("summary %q cuts a character in two", summary)
		}
		if len(summary) > 1500 {
			t.Errorf("summary of %d bytes", len(summary))
		}
		if strings.Contains(summary, `" . Removed everything`) && !strings.Contains(summary, `\" . Removed everything`) {
			t.Errorf("summary %q lets text out of its quotes", summary)
		}
	}
	if cut != 5 {
		t.Errorf("%d texts are shown as cut, want 5", cut)
	}
}

// inEngine is an event of the stream "engine" that is no admin action.
func inEngine(actor, reason string, event domain.Event) step {
	return func(s *story) {
		s.scans++
		s.record(eventstore.EngineStream, eventstore.Meta{Actor: actor, Reason: reason, Scan: scanID(s.scans), Attempt: 1}, []domain.Event{event})
	}
}

func TestKeysAndFailedAttemptsAreInTheAuditTrail(t *testing.T) {
	t.Parallel()
	given(t,
		inEngine("ada", "cr 17", domain.KeyTrusted{Fingerprint: "9f86", Name: "CI \x1b[2J", Actor: "ada", Reason: "cr 17"}),
		inEngine("bob", "leaked", domain.KeyRevoked{Fingerprint: "9f86", Name: "CI", Actor: "bob", Reason: "leaked"}),
		inEngine("eve", "", domain.ScanAttemptFailed{
			Scan: scanID(3), Name: "pumsp", Source: domain.Source{Ref: "mian"}, Actor: "eve", Code: domain.ViolationUnreadable,
			Violations: []domain.Violation{{Code: domain.ViolationUnreadable, Text: "there is no revision mian."}},
		}), tree()).
		thenRows("audit_log", "action | resource_type | resource_id | repository_id | actor | reason | outcome | scan_id",
			"KEY_TRUSTED | key | 9f86 | - | ada | cr 17 | succeeded | "+scanID(1),
			"KEY_REVOKED | key | 9f86 | - | bob | leaked | succeeded | "+scanID(2),
			"SCAN_ATTEMPT_FAILED | scan | "+scanID(3)+" | - | eve | - | failed | "+scanID(3),
			"REPOSITORY_REGISTERED | repository | "+repository+" | "+repository+" | tester | - | succeeded | "+scanID(4),
			"SCAN_COMPLETED | scan | "+scanID(4)+" | "+repository+" | tester | - | succeeded | "+scanID(4)).
		thenRows("scans", "number", "1").
		thenRows("repositories", "name", "demo")
	all := given(t, inEngine("ada", "cr 17", domain.KeyTrusted{Fingerprint: "9f86", Name: "CI \x1b[2J"}),
		inEngine("eve", "", domain.ScanAttemptFailed{Name: "pumsp", Source: domain.Source{Ref: "mian"}, Violations: []domain.Violation{{Text: "there is no revision mian."}}})).
		tables(wholeBatches).show("audit_log", "summary")
	want := []string{
		`Trusted evidence key "CI \x1b[2J" ("9f86"): it verifies evidence from the next scan on.`,
		`Failed to scan "pumsp", which is not a known repository, at "mian": there is no revision mian.`,
	}
	if strings.Join(all, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit trail says\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
}

func TestRelaysAreInTheAuditTrail(t *testing.T) {
	t.Parallel()
	all := given(t,
		inEngine("ada", "cr 18", domain.RelayAdded{RelayDefinition: domain.RelayDefinition{Name: "lims", To: "https://lims.example.com/\u202e"}, Actor: "ada", Reason: "cr 18"}),
		inEngine("bob", "replaced", domain.RelayRemoved{Name: "lims", To: "https://lims.example.com/", Actor: "bob", Reason: "replaced"})).
		thenRows("audit_log", "action | resource_type | resource_id | actor | reason | outcome",
			"RELAY_ADDED | relay | lims | ada | cr 18 | succeeded",
			"RELAY_REMOVED | relay | lims | bob | replaced | succeeded").
		tables(wholeBatches).show("audit_log", "summary")
	want := []string{
		`Added relay "lims", which sends events to "https://lims.example.com/\u202e".`,
		`Removed relay "lims", which sent events to "https://lims.example.com/".`,
	}
	if strings.Join(all, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit trail says\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
}
