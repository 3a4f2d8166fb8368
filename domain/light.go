package domain

import (
	"slices"
	"strings"
)

// Light returns a without what neither [Decide] nor [Evolve] nor the report of a scan looks at: title, terms, fields, members
// and the details of evidence. A scan of very many files keeps those elsewhere; [ArtifactParsed.Whole] joins them again. What
// is decided is the same with either.
func (a Artifact) Light() Artifact {
	light := Artifact{
		Key: a.Key, Kind: a.Kind, GxPID: strings.Clone(a.GxPID), Content: a.Content, Digest: a.Digest,
		Evidence: a.Evidence.light(), Findings: a.Findings,
	}
	light.Links = slices.Clone(a.Links)
	for i, l := range a.Links {
		light.Links[i].Target = strings.Clone(l.Target) // it may be a part of the text of the file
	}
	return light
}

// light returns what [Evidence.Judge] and the counts of a report look at.
func (e *Evidence) light() *Evidence {
	if e == nil {
		return nil
	}
	r := e.Results
	light := &Evidence{
		Signature: Signature{Verdict: e.Signature.Verdict, Fingerprint: e.Signature.Fingerprint},
		Results:   Results{State: r.State, Reason: r.Reason, Totals: r.Totals, Failing: r.Failing},
	}
	if r.Cases != nil {
		cases := *r.Cases
		cases.NotPassed = nil
		light.Results.Cases = &cases
	}
	for _, c := range e.Checks {
		light.Checks = append(light.Checks, Check{Name: c.Name, Verdict: c.Verdict})
	}
	return light
}

// Whole returns e with everything that the artifact that was read says, of which e may hold a light form. The links are those
// of e, which are resolved.
func (e ArtifactParsed) Whole(read Artifact) ArtifactParsed {
	links := e.Links
	e.Artifact = read
	e.Links = links
	return e
}
