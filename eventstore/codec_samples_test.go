package eventstore_test

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// samples are the golden events, by stored name. Between them they fill every field of every event.
func samples() map[string]domain.Event {
	return map[string]domain.Event{
		eventstore.TypeRepositoryRegistered: domain.RepositoryRegistered{Repository: sampleRepository(), Addresses: []string{"git.example.com/pumps"}},
		eventstore.TypeRepositoryChanged: domain.RepositoryChanged{
			Repository: sampleRepository(), Actor: "ada", Reason: "change request 17",
			Settings: domain.RepositorySettings{
				Addresses: []string{"git.example.com/pumps", "mirror.example.com:7999/pumps"}, Links: domain.LinksFlag,
				Duplicates: domain.DuplicatesUpdate, Unsigned: domain.UnsignedInvalid, MainLine: "main", Limits: map[string]int64{"bytes": 1 << 30, "files": 5000},
			},
			ChangedAt: time.Date(2026, 2, 27, 12, 0, 0, 1, time.UTC),
		},
		eventstore.TypeRepositoryRetired: domain.RepositoryRetired{
			Repository: sampleRepository(), Actor: "ada", Reason: "moved to pumps-2",
			RetiredAt: time.Date(2026, 2, 28, 23, 59, 59, 999999999, time.UTC),
		},
		eventstore.TypeArtifactParsed: sampleParsed(),
		eventstore.TypeArtifactRejected: domain.ArtifactRejected{
			Path: ".gxp/specs/SPEC-9.md",
			Rejection: domain.Rejection{
				Kind: domain.KindSpec, Line: 3, Column: 14,
				Message: "front matter: alias *a: aliases are not allowed", Content: sampleContent('c'),
			},
			Stamp: "rosie/1", Source: strings.Repeat("d", 40),
		},
		eventstore.TypeArtifactRemoved: domain.ArtifactRemoved{
			Key: domain.Key{Path: ".gxp/risk_assessment.log", Ordinal: 4}, Kind: domain.KindRisk, GxPID: "RISK-4",
			Number: 12, Version: 3, Previous: strings.Repeat("e", 64),
			MovedTo: &domain.Key{Path: ".gxp/risk_assessment.log", Ordinal: 5},
		},
		eventstore.TypeArtifactRelinked: domain.ArtifactRelinked{
			Key: domain.Key{Path: ".gxp/risk_assessment.log", Ordinal: 2}, Kind: domain.KindRisk, GxPID: "RISK-2", Number: 9,
			Links: sampleLinks(), Changed: []int{0, 1},
		},
		eventstore.TypeRejectionCleared: domain.RejectionCleared{Path: ".gxp/specs/SPEC-9.md"},
		eventstore.TypeScanCompleted:    sampleCompleted(),
		eventstore.TypeScanFailed:       sampleFailed(),
		eventstore.TypeAdminActed: domain.AdminActed{
			ID: "01951c2e-7a00-7000-8000-0000000000aa", Action: "projection.rebuild", Target: "artifacts",
			Arguments: map[string]string{"to": "4711", "from": "0"}, Actor: "ada", Reason: "new columns",
			Outcome: "succeeded", Detail: "4711 events", At: time.Date(2026, 3, 1, 8, 0, 0, 1000, time.UTC),
		},
		eventstore.TypeKeyTrusted: domain.KeyTrusted{
			Fingerprint: strings.Repeat("8", 64), Name: "CI 2026", PublicKey: sampleKey, Actor: "ada", Reason: "change request 17",
			TrustedAt: time.Date(2026, 3, 1, 9, 0, 0, 1, time.UTC),
		},
		eventstore.TypeKeyRevoked: domain.KeyRevoked{
			Fingerprint: strings.Repeat("8", 64), Name: "CI 2026", Actor: "ada", Reason: "the server was replaced",
			RevokedAt: time.Date(2026, 4, 1, 9, 0, 0, 1, time.UTC),
		},
		eventstore.TypeRelayAdded: domain.RelayAdded{
			RelayDefinition: domain.RelayDefinition{
				Name: "lims", To: "https://lims.example.com/hooks/gxp", SecretFile: "/etc/gxpledger/lims.secret", SecretVariable: "LIMS_SECRET",
				AllowPrivate: true, Types: []string{"artifact.parsed", "scan.completed.v2"}, Repositories: []domain.RepositoryID{"01951c2e-7a00-8000-8000-000000000001"},
				Kinds: []domain.Kind{domain.KindRequirement}, Risks: []string{"high"},
			},
			Actor: "ada", Reason: "change request 18", AddedAt: time.Date(2026, 3, 1, 9, 0, 0, 1, time.UTC),
		},
		eventstore.TypeRelayRemoved: domain.RelayRemoved{
			Name: "lims", To: "https://lims.example.com/hooks/gxp", Actor: "ada", Reason: "the system was replaced",
			RemovedAt: time.Date(2026, 4, 1, 9, 0, 0, 1, time.UTC),
		},
		eventstore.TypeScanAttemptFailed: domain.ScanAttemptFailed{
			Scan: "01951c2e-7a00-7000-8000-000000000003", Name: "pumps", URL: "https://git.example.com/pumps.git", Source: sampleOrdered().Source,
			Actor: "ada", ActorFrom: domain.ActorClaimed, Reason: "release 1.2",
			StartedAt: time.Date(2026, 3, 1, 7, 0, 0, 123456789, time.UTC), FailedAt: time.Date(2026, 3, 1, 7, 0, 1, 500000000, time.UTC),
			Code: domain.ViolationUnreadable, Violations: []domain.Violation{{
				Code: domain.ViolationUnreadable, Path: ".gxp", GxPID: "US-7", Edge: domain.EdgeParentID, Target: "REQ-77", Text: "no revision main",
			}},
		},
	}
}

// laterSamples are golden events with optional fields that were added within a version, by file. The golden file of the version stays as it
// was.
func laterSamples() map[string]domain.Event {
	completed, failed := sampleCompleted(), sampleFailed()
	completed.Settings.KeysRevision, failed.Settings.KeysRevision = new(int64(12)), new(int64(12))
	return map[string]domain.Event{
		eventstore.TypeScanCompleted + "+keys":  completed,
		eventstore.TypeScanFailed + "+keys":     failed,
		eventstore.TypeScanCompleted + "+order": domain.ScanCompleted{Head: sampleOrdered(), Counts: sampleCompleted().Counts, TreeDigest: strings.Repeat("4", 64)},
		eventstore.TypeScanFailed + "+order": domain.ScanFailed{
			Head: sampleOrdered(), Code: domain.ViolationOrder, Total: 1, Violations: []domain.Violation{{Code: domain.ViolationOrder, Text: "history went back"}},
		},
	}
}

// sampleKey has the form of a public key in PEM.
const sampleKey = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"

func sampleRepository() domain.Repository {
	return domain.Repository{
		ID: "6b1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e11", Name: "pumps", URL: "https://git.example.com/pumps.git",
	}
}

func sampleContent(digit rune) domain.Content {
	return domain.Content{SHA256: strings.Repeat(string(digit), 64), Blob: strings.Repeat(string(digit), 40), Size: 1234}
}

func sampleHead() domain.Head {
	return domain.Head{
		Scan: "01951c2e-7a00-7000-8000-000000000001", Number: 7, Repository: sampleRepository(),
		Source: domain.Source{
			Ref: "main", Commit: strings.Repeat("1", 40), Tree: strings.Repeat("2", 40),
			Author: &domain.Person{
				Name: "Grace <script>", Email: "grace@example.com",
				When: time.Date(2026, 2, 28, 17, 30, 0, 0, time.FixedZone("", 5*3600+1800)),
			},
			Committer: &domain.Person{
				Name: "Linus & co", Email: "linus@example.com",
				When: time.Date(2026, 2, 28, 4, 0, 0, 0, time.FixedZone("", -8*3600)),
			},
			Message: "Add REQ-1 \u2014 “first”\n\nBody\u2028end", Worktree: true, Dirty: true, DirtyUnknown: "a filter decides", Relation: domain.RelationDescendant,
		},
		Actor: "ada", ActorFrom: domain.ActorClaimed, Reason: "release 1.2",
		Policy: domain.Policy{
			Links: domain.LinksFlag, Duplicates: domain.DuplicatesUpdate, Unsigned: domain.UnsignedUnverified, AllowSecrets: true,
		},
		Settings: &domain.Settings{
			Keys: []string{strings.Repeat("8", 64)}, Limits: map[string]int64{"links": 9}, Revision: new(int64(41)),
			Overrides: []string{"links"},
		},
		Reader: "rosie/1 0f1e2d3c", StartedAt: time.Date(2026, 3, 1, 7, 0, 0, 123456789, time.UTC),
		DecidedAt: time.Date(2026, 3, 1, 7, 0, 1, 500000000, time.UTC),
	}
}

func sampleOrdered() domain.Head {
	head := sampleHead()
	head.Source.Relation, head.Source.FullRef, head.Source.Previous = domain.RelationAncestor, "refs/heads/main", strings.Repeat("3", 40)
	head.Settings.Overrides = []string{"links", domain.OverrideRewind}
	return head
}

func sampleCompleted() domain.ScanCompleted {
	return domain.ScanCompleted{
		Head: sampleHead(),
		Counts: []domain.Count{{
			Kind: domain.KindRequirement, Found: 6, New: 1, Changed: 2, Reread: 1, Unchanged: 2, Removed: 4, Rejected: 5,
		}},
		Links:         domain.LinkCounts{Sound: 30, Missing: 2, WrongKind: 1},
		RelinkedLinks: 2,
		Relinked: []domain.ArtifactRelinked{{
			Key: domain.Key{Path: ".gxp/risk_assessment.log", Ordinal: 2}, Kind: domain.KindRisk, GxPID: "RISK-2", Number: 9,
			Links: sampleLinks(), Changed: []int{0, 1},
		}},
		Ignored: &domain.Ignored{Count: 1200, Paths: []string{".gxp/README.md"}},
		Coverage: &domain.CoverageChange{
			Before: domain.Coverage{
				Requirements: domain.Covered{Covered: 1, Total: 2}, UserStories: domain.Covered{Covered: 3, Total: 4},
				Specs: domain.Covered{Covered: 5, Total: 6},
			},
			After: domain.Coverage{
				Requirements: domain.Covered{Covered: 1, Total: 3}, UserStories: domain.Covered{Covered: 4, Total: 5},
				Specs: domain.Covered{Covered: 6, Total: 7},
			},
			NewGaps: []domain.Gap{{
				Key: domain.Key{Path: ".gxp/specs/SPEC-2.md", Ordinal: 1}, Kind: domain.KindSpec, GxPID: "SPEC-2", Number: 4,
			}},
			NewGapsTotal: 120,
		},
		Findings: []domain.Finding{{
			Code: domain.FindingSymlink, Path: ".gxp/specs/link.md", Line: 1, Text: "symbolic link, not followed",
		}},
		TreeDigest: strings.Repeat("f", 64),
	}
}

func sampleFailed() domain.ScanFailed {
	return domain.ScanFailed{
		Head: sampleHead(), Code: domain.ViolationMissingParent,
		Violations: []domain.Violation{{
			Code: domain.ViolationMissingParent, Path: ".gxp/user_stories/US-7.md", GxPID: "US-7",
			Edge: domain.EdgeParentID, Target: "REQ-77",
			Text: `parent_id "REQ-77" is no requirement of this tree: add it or correct the id`,
		}},
		Total: 257400,
	}
}

func sampleLinks() []domain.Link {
	return []domain.Link{
		{Edge: domain.EdgeImplements, Target: "US-2", To: &domain.Ref{Number: 3, Kind: domain.KindUserStory}},
		{Edge: domain.EdgeSpecID, Target: "SPEC-8", Broken: domain.BrokenMissing},
	}
}

func sampleParsed() domain.ArtifactParsed {
	issued := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	expires := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	term := func(raw, normal string) *domain.Term { return &domain.Term{Raw: raw, Normal: normal} }
	return domain.ArtifactParsed{
		Artifact: domain.Artifact{
			Key:  domain.Key{Path: ".gxp/evidence/EV-1", Ordinal: 1},
			Kind: domain.KindEvidencePackage, GxPID: "EV-1", Title: "Pump stops < 2 s & alarms",
			Risk: term("HIGH", "high"), Tier: term("OQ", "oq"), Status: term("In Review", "in_review"),
			ValidationStatus: term("Validated", "validated"), AssuranceStatus: term("Open", "open"),
			Fields:  json.RawMessage(`{"z":"1","a":{"b":[null,"<é>"]}}`),
			Content: sampleContent('a'), Digest: strings.Repeat("b", 64),
			Links: []domain.Link{
				{Edge: domain.EdgeSpecID, Target: "SPEC-1", To: &domain.Ref{Number: 2, Kind: domain.KindSpec}},
				{Edge: domain.EdgeTracedUserStory, Target: "US-404", Broken: domain.BrokenMissing},
			},
			Members: []domain.Member{{Path: "logs/run.txt", Content: sampleContent('9')}},
			Evidence: &domain.Evidence{
				Signature: domain.Signature{
					Verdict: domain.VerdictInvalid, Reason: "no key verifies it", Algorithm: "ES256", KeyID: "kid-1",
					Fingerprint: strings.Repeat("8", 64), IssuedAt: &issued, ExpiresAt: &expires, Expired: true,
				},
				Checks: []domain.Check{{
					Name: domain.CheckIntegrity, Verdict: domain.VerdictInvalid,
					Problems: []domain.Problem{{Code: "hash_mismatch", Path: "logs/run.txt", Text: "want 9, have 8"}},
				}},
				Results: domain.Results{
					State: domain.ResultsKnown, Reason: domain.ResultsMalformed, Detail: "$.failed is no number",
					Totals: &domain.TestTotals{Passed: 41, Failed: 1, Skipped: 2},
					Cases: &domain.TestCases{
						Passed: 41, Failed: 1, Skipped: 2, Unknown: 3,
						NotPassed: []domain.TestCase{{Name: "alarm <loud>", Status: "failed"}},
					},
					Failing: true, Tool: "go test", Version: "1.26", DurationMS: "12.5",
				},
				Payload: strings.Repeat("3", 64),
				SpecID:  "SPEC-1", UserStory: "US-404", Timestamp: "2026-01-02T03:04:05Z",
				StateHash: strings.Repeat("7", 64), GitCommit: strings.Repeat("6", 40), SignerFile: "manifest.jws",
			},
			Findings: []domain.Finding{{Code: domain.FindingExpired, Path: "manifest.jws", Line: 1, Text: "expired"}},
		},
		Number: 2, Version: 5, Change: domain.ChangeChanged, Previous: strings.Repeat("5", 64),
		MovedFrom: &domain.Key{Path: ".gxp/evidence/EV-0", Ordinal: 2},
		Shifted:   []domain.Shift{{Number: 9, Version: 2, From: 3, To: 4, Links: 1}, {Number: 10, Version: 1, From: 4, To: 3}},
		Stamp:     "rosie/1 keys:0a1b", Source: strings.Repeat("4", 40),
	}
}
