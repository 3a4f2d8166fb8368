package tables_test

import (
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

func registered() domain.Event {
	return domain.RepositoryRegistered{Repository: domaintest.Scan(domaintest.Flag()).Repository}
}

// parsed is a new artifact as edit makes it.
func parsed(number int, kind domain.Kind, path string, edit func(e *domain.ArtifactParsed)) domain.Event {
	e := domain.ArtifactParsed{
		Artifact: domain.Artifact{
			Key: domain.Key{Path: path}, Kind: kind, GxPID: "ID-001", Title: "A title",
			Content: domain.Content{SHA256: domaintest.Hash(path), Blob: domaintest.Hash(path)[:40], Size: 10},
			Digest:  domaintest.Hash(path),
		},
		Number: number, Version: 1, Change: domain.ChangeNew, Stamp: domaintest.Stamp, Source: domaintest.Hash(path)[:40],
	}
	edit(&e)
	return e
}

const packagePath = ".gxp/evidence/packages/OQ-SPEC-001"

// evidencePackage is a valid package for SPEC-001 with two files.
func evidencePackage(id string) domain.File {
	issued := time.Date(2026, 2, 5, 10, 0, 0, 0, time.UTC)
	expires := issued.AddDate(10, 0, 0)
	f := domaintest.File(domain.KindEvidencePackage, packagePath, id, "sound",
		domain.Link{Edge: domain.EdgeSpecID, Target: "SPEC-001"}, domain.Link{Edge: domain.EdgeTracedUserStory, Target: "US-001"})
	f.Artifacts[0].Members = []domain.Member{
		{Path: "manifest.json", Content: domain.Content{SHA256: domaintest.Hash("m"), Blob: "b1", Size: 11}},
		{Path: "manifest.jws", Content: domain.Content{SHA256: domaintest.Hash("s"), Blob: "b2", Size: 12}},
	}
	f.Artifacts[0].Evidence = &domain.Evidence{
		Signature: domain.Signature{
			Verdict: domain.VerdictValid, Algorithm: "ES256", KeyID: "kid-1", Fingerprint: domaintest.Hash("key"),
			IssuedAt: &issued, ExpiresAt: &expires,
		},
		Checks: []domain.Check{
			{Name: domain.CheckPresence, Verdict: domain.VerdictValid},
			{Name: domain.CheckSignature, Verdict: domain.VerdictValid},
			{Name: domain.CheckIntegrity, Verdict: domain.VerdictValid},
			{Name: domain.CheckCompleteness, Verdict: domain.VerdictValid},
		},
		Results: domain.Results{
			State: domain.ResultsKnown, Totals: &domain.TestTotals{Passed: 7, Skipped: 1},
			Tool: "vitest", Version: "1.2", DurationMS: "12.5",
		},
		SpecID: "SPEC-001", UserStory: "US-001", Timestamp: "2026-02-05T10:00:00Z", StateHash: "abc", GitCommit: "c0ffee",
		SignerFile: "manifest.jws",
	}
	return f
}
