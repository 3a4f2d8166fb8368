package domaintest

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
)

// DrawTree draws a tree of few ids at few places, so that moves, duplicates, broken links, links past a level and circles
// are common.
func DrawTree(t *rapid.T) []domain.File {
	var files []domain.File
	for _, kind := range []domain.Kind{domain.KindRequirement, domain.KindUserStory, domain.KindSpec, domain.KindEvidenceJWS} {
		for n := range 3 {
			path := fmt.Sprintf("%s/%d.md", kind, n)
			if rapid.IntRange(0, 3).Draw(t, "absent "+path) == 0 {
				continue
			}
			if rapid.IntRange(0, 4).Draw(t, "moved "+path) == 0 {
				path = "moved/" + path
			}
			id := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "id")
			word := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "word")
			links := drawLinks(t, kind)
			f := File(kind, path, id, fmt.Sprint(kind, word, links), links...)
			if kind == domain.KindEvidenceJWS {
				drawEvidence(t, &f)
			}
			stamp := rapid.SampledFrom([]string{Stamp, Stamp, "rosie/2"}).Draw(t, "stamp")
			files = append(files, ReadBy(stamp, f))
		}
	}
	return files
}

func drawEvidence(t *rapid.T, f *domain.File) {
	a := &f.Artifacts[0]
	a.Evidence = &domain.Evidence{
		Signature: domain.Signature{Verdict: rapid.SampledFrom([]domain.Verdict{"valid", "valid", "invalid", "unverifiable"}).Draw(t, "verdict")},
		Results:   Totals(rapid.SampledFrom([]int{1, 1, 1, 0}).Draw(t, "passed"), rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "failed"), 0),
	}
	a.Digest = Hash(fmt.Sprint(a.Digest, a.Evidence.Signature, *a.Evidence.Results.Totals))
	a.Content.SHA256 = a.Digest
	f.Blob = a.Digest[:40]
}

func drawLinks(t *rapid.T, kind domain.Kind) []domain.Link {
	edges := map[domain.Kind][]domain.Edge{
		domain.KindRequirement: {domain.EdgeParentID},
		domain.KindUserStory:   {domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeDerivesFrom},
		domain.KindSpec:        {domain.EdgeParentID, domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeImplements, domain.EdgeDerivesFrom},
		domain.KindEvidenceJWS: {domain.EdgeSpecID, domain.EdgeSpecID, domain.EdgeTracedUserStory},
	}[kind]
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) domain.Link {
		return domain.Link{
			Edge: rapid.SampledFrom(edges).Draw(t, "edge"), Target: rapid.SampledFrom([]string{"A", "B", "C", "D"}).Draw(t, "target"),
		}
	}), 0, 3, func(l domain.Link) string { return string(l.Edge) + l.Target }).Draw(t, "links")
}
