package domaintest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// With is f with its one artifact changed.
func With(f domain.File, change func(a *domain.Artifact)) domain.File {
	a := f.Artifacts[0]
	change(&a)
	f.Artifacts = []domain.Artifact{a}
	return f
}

// Saying is f with fields, a JSON object, and other bytes with them.
func Saying(fields string, f domain.File) domain.File {
	f = With(f, func(a *domain.Artifact) {
		a.Fields = json.RawMessage(fields)
		a.Digest = Hash(a.Digest + fields)
		a.Content.SHA256 = a.Digest
	})
	f.Blob = f.Artifacts[0].Digest[:40]
	return f
}

// Leading is f with more links.
func Leading(f domain.File, links ...domain.Link) domain.File {
	return With(f, func(a *domain.Artifact) { a.Links = append(slices.Clone(a.Links), links...) })
}

// Evidence is a signed record for a spec of which one test passed, with that verdict on its signature.
func Evidence(id, spec string, verdict domain.Verdict) domain.File {
	f := File(domain.KindEvidenceJWS, ".gxp/evidence/"+id+".jws", id, string(verdict), domain.Link{Edge: domain.EdgeSpecID, Target: spec})
	return With(f, func(a *domain.Artifact) {
		a.Evidence = &domain.Evidence{SpecID: spec, Signature: domain.Signature{Verdict: verdict, Algorithm: "ES256"}, Results: Totals(1, 0, 0)}
	})
}

// Tested is f, which is evidence, with so many tests passed and failed.
func Tested(f domain.File, passed, failed int) domain.File {
	return With(f, func(a *domain.Artifact) { a.Evidence.Results = Totals(passed, failed, 0) })
}

// Package is an evidence package for a spec of which one test passed, with the verdicts of presence, signature, integrity
// and completeness.
func Package(id, spec string, checks ...domain.Verdict) domain.File {
	f := File(domain.KindEvidencePackage, ".gxp/evidence/packages/"+id, id, fmt.Sprint(checks), domain.Link{Edge: domain.EdgeSpecID, Target: spec})
	names := []domain.CheckName{domain.CheckPresence, domain.CheckSignature, domain.CheckIntegrity, domain.CheckCompleteness}
	return With(f, func(a *domain.Artifact) {
		a.Evidence = &domain.Evidence{SpecID: spec, Signature: domain.Signature{Verdict: checks[1]}, SignerFile: "manifest.jws", Results: Totals(1, 0, 0)}
		for i, v := range checks {
			a.Evidence.Checks = append(a.Evidence.Checks, domain.Check{Name: names[i], Verdict: v})
		}
		for _, path := range []string{"manifest.jws", "manifest.json"} {
			sha := Hash(id + path)
			a.Members = append(a.Members, domain.Member{Path: path, Content: domain.Content{SHA256: sha, Blob: sha[:40], Size: 7}})
		}
	})
}

// Covered is a requirement with the user story, spec and evidence that cover it.
func Covered() []domain.File {
	return []domain.File{Requirement("REQ-1", "a"), UserStory("US-1", "REQ-1"), Spec("SPEC-1", "US-1"), Evidence("EV-1", "SPEC-1", "valid")}
}
