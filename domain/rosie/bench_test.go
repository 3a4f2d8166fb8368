package rosie_test

import (
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/domain/rosie"
)

// thousand is a repository of 1000 artifacts in the proportions of a real one: requirements, stories and specs, and
// evidence half single and half packed.
func thousand(tb testing.TB, s signer) files {
	tb.Helper()
	repository := make(files)
	for i := range 200 {
		repository[fmt.Sprintf(".gxp/requirements/REQ-%03d.md", i)] = fmt.Sprintf(
			"---\ngxp_id: REQ-%03d\ntitle: \"Requirement %d\"\ngxp_risk_rating: HIGH\ndescription: |\n  The system does what number %d says.\n"+
				"acceptance_criteria:\n  - It is done\n  - It is seen to be done\nvalidation_status: DRAFT\n---\n\n# Requirement\n\nText.\n", i, i, i)
		repository[fmt.Sprintf(".gxp/user_stories/US-%03d-001.md", i)] = fmt.Sprintf(
			"---\ngxp_id: US-%03d-001\ntitle: Story %d\nparent_id: REQ-%03d\nas_a: Reviewer\ni_want: \"to see it\"\nso_that: \"I can sign\"\n"+
				"acceptance_criteria:\n  - One\n  - Two\nstatus: IMPLEMENTED\n---\nText.\n", i, i, i)
		repository[fmt.Sprintf(".gxp/specs/SPEC-%03d-001.md", i)] = fmt.Sprintf(
			"---\ngxp_id: SPEC-%03d-001\ntitle: Spec %d\nparent_id: US-%03d-001\nverification_tier: OQ\ndesign_approach: |\n  As simple as it can be.\n"+
				"source_files:\n  - a/b/c.go\ntest_files: []\nvalidation_status: DRAFT\n---\nText.\n", i, i, i)
		spec := fmt.Sprintf("SPEC-%03d-001", i)
		repository[".gxp/evidence/EV-"+spec+".jws"] = s.sign(tb, evidencePayload(spec))
		for path, text := range s.pack(tb, spec) {
			repository[".gxp/evidence/packages/OQ-"+spec+"/"+path] = text
		}
	}
	return repository
}

// BenchmarkParse1000 reads 1000 artifacts: 600 documents, and 400 pieces of evidence with their signatures verified.
func BenchmarkParse1000(b *testing.B) {
	s := newSigner(b)
	fsys := thousand(b, s).fs()
	options := s.options()
	options.At = scanTime()
	b.ReportAllocs()
	for b.Loop() {
		tree, err := rosie.Read(b.Context(), fsys, options)
		if err != nil || len(tree.Files) != 1001 || len(tree.Faults) > 0 {
			b.Fatalf("read %d files: %v %v", len(tree.Files), err, tree.Faults)
		}
	}
}
