package rosie_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

func TestRecordsOfTesters(t *testing.T) {
	t.Parallel()
	const at = ".gxp/evidence/ROT-SPEC-001.md"
	record := func(result string) string {
		return "---\nspec_id: SPEC-001\ntester: A. Tester\ntest_date: 2026-03-01\ntest_type: OQ\n" + result + "summary: It holds.\n---\n# What was tested\n"
	}
	for name, test := range map[string]struct {
		text, want string
		codes      []string
	}{
		"PASS":                 {record("result: PASS\n"), "unverified unsigned 1/0/0", nil},
		"FAIL":                 {record("result: FAIL\n"), "failed 0/1/0", nil},
		"fail in lower case":   {record("result: fail\n"), "failed 0/1/0", nil},
		"PASS_WITH_DEVIATIONS": {record("result: PASS_WITH_DEVIATIONS\n"), "unverified unsigned 1/0/0", nil},
		"an unknown result":    {record("result: PROBABLY\n"), "unverified unsigned", []string{malformed}},
		"no result":            {record(""), "unverified unsigned", []string{"missing_field"}},
		"counts that failed":   {record("result: PASS\npass_count: 3\nfail_count: 1\n"), "failed 3/1/0", []string{contradiction}},
		"no front matter":      {"# Nothing\n", "unverified unsigned", []string{"no_front_matter", "missing_field", "missing_field"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSigner(t)
			a := artifact(t, read(t, files{at: test.text}.fs(), s.options()), at)
			equal(t, "kind and id", string(a.Kind)+" "+a.GxPID, "evidence_record ROT-SPEC-001")
			equal(t, "judged", judged(a.Evidence), test.want)
			equal(t, "overall", a.Evidence.Overall(), domain.VerdictUnsigned)
			equal(t, "findings", codes(a.Findings), test.codes)
			if name != "no front matter" {
				equal(t, "title", a.Title, "What was tested")
				equal(t, "links, tier and date", showLinks(a)+" "+raw(a.Tier)+" "+a.Evidence.Timestamp, "spec_id SPEC-001 OQ 2026-03-01")
			}
		})
	}
}

// A Markdown file below evidence/ that is no record is ignored; one that must be a record and cannot be read is rejected.
func TestMarkdownBesideEvidence(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 1<<20+1)
	repository := files{
		".gxp/evidence/README.md": "---\nresult: FAIL\n---\n", ".gxp/evidence/notes.md": "# Notes\n", ".gxp/evidence/plan.md": "---\ntitle: Plan\n---\n",
		".gxp/evidence/open.md": "---\nand so on\n", ".gxp/evidence/big.md": big, ".gxp/evidence/latin.md": "caf\xe9\n",
		".gxp/evidence/deep/er/my-record.md": "---\nspec_id: SPEC-1\nresult: PASS\n---\n",
		".gxp/evidence/broken.md":            "---\nresult: FAIL\nspec_id: [\n---\n", ".gxp/evidence/unclosed.md": "---\nspec_id: SPEC-1\nresult: FAIL\n",
		".gxp/evidence/ROT-SPEC-1.md": "\xff\xfe-\x00-\x00-\x00", ".gxp/evidence/ROT-SPEC-2.md": big,
		packagePath + "/metadata.json": `{"package_id":"P"}`, packagePath + "/ROT-SPEC-3.md": "---\nresult: FAIL\n---\n",
	}
	tree := read(t, repository.fs(), rosie.Options{})
	var got []string
	for _, f := range tree.Files {
		text := strings.TrimPrefix(f.Path, ".gxp/")
		if f.Rejected != nil {
			text += " rejected " + string(f.Rejected.Kind)
		}
		got = append(got, text)
	}
	equal(t, "units", strings.Join(got, "\n"), strings.Join([]string{
		"evidence/OQ-SPEC-001-001", "evidence/ROT-SPEC-1.md rejected evidence_record", "evidence/ROT-SPEC-2.md rejected evidence_record",
		"evidence/broken.md rejected evidence_record", "evidence/deep/er/my-record.md", "evidence/unclosed.md rejected evidence_record", "system_context.md",
	}, "\n"))
	equal(t, "ignored", strings.Join(tree.Ignored, " "), ".gxp/evidence/README.md .gxp/evidence/big.md .gxp/evidence/latin.md "+
		".gxp/evidence/notes.md .gxp/evidence/open.md .gxp/evidence/plan.md")
	equal(t, "what was not read is told", slices.Contains(codes(tree.Findings), "oversized"), true)
	for _, c := range tree.Contents {
		if string(c.Bytes) == "# Notes\n" {
			t.Error("the bytes of a file that is ignored are kept")
		}
	}
}

func TestReleaseManifests(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	payload := `{"release_version":"1.2.0","release_date":"2026-03-01","evidence_summary":{"total":3,"passed":3},"approver":{"name":"Q"},"traced_requirement":"REQ-001"}`
	for name, test := range map[string]struct {
		compact string
		verdict domain.Verdict
	}{"signed": {s.sign(t, payload), domain.VerdictValid}, "by a stranger": {newSigner(t).sign(t, payload), domain.VerdictInvalid}} {
		a := readEvidence(t, test.compact, s.options()).Artifacts[0]
		equal(t, name+": kind, id and title", []string{string(a.Kind), a.GxPID, a.Title}, []string{"release_manifest", "EV-1", "1.2.0"})
		equal(t, name+": signature", a.Evidence.Signature.Verdict, test.verdict)
		equal(t, name+": findings", codes(a.Findings), nil)
		equal(t, name+": links", showLinks(a), "traced_requirement REQ-001")
		equal(t, name+": fields", strings.Contains(string(a.Fields), `"evidence_summary":{`), true)
	}
	for _, members := range []string{`"spec_id":"SPEC-1",`, `"test_results":{"passed":1,"failed":1},`} {
		a := readEvidence(t, s.sign(t, "{"+members+payload[1:]), s.options()).Artifacts[0]
		equal(t, members+" makes it evidence", a.Kind, domain.KindEvidenceJWS)
	}
}

func TestTracedRequirementIsALink(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	a := readEvidence(t, s.sign(t, signedPayload(`"traced_requirement":"REQ-001"`)), s.options()).Artifacts[0]
	equal(t, "of a payload", showLinks(a), "spec_id SPEC-001-001, traced_requirement REQ-001")
	all := packageFiles(spec)
	manifest := strings.Replace(manifestOf(t, spec, all), "{", `{"traced_requirement":"REQ-002",`, 1)
	all["manifest.json"], all["signature.jws"] = manifest, s.sign(t, claims(manifest))
	a = readPackage(t, all, s.options())
	equal(t, "of a manifest", showLinks(a), "spec_id SPEC-001-001, traced_user_story US-001-001, traced_requirement REQ-002")
	equal(t, "what is signed", a.Evidence.Payload, hash(claims(manifest)))
	if _, err := base64.RawURLEncoding.DecodeString(strings.Split(all["signature.jws"], ".")[1]); err != nil {
		t.Fatal(err)
	}
}

// The policy decides what a package without a signature is worth: never that it covers, and never that a key would help.
func TestUnsignedPackages(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := s.packWith(t, map[string]string{"artifacts/test-results.json": `{"passed":3,"failed":0}`})
	delete(all, "manifest.jws")
	for policy, want := range map[domain.UnsignedPolicy][]string{
		"":                        {"unsigned", "unsigned", "unverified unsigned 3/0/0", "[valid unsigned valid valid]"},
		domain.UnsignedUnverified: {"unsigned", "unsigned", "unverified unsigned 3/0/0", "[valid unsigned valid valid]"},
		domain.UnsignedInvalid:    {"invalid", "not_run", "unverified invalid 3/0/0", "[invalid missing_file:signature.jws not_run valid valid]"},
	} {
		for _, keys := range [][]rosie.Key{nil, {s.public}} {
			a := readPackage(t, all, rosie.Options{Keys: keys, Unsigned: policy})
			equal(t, string(policy), []string{string(a.Evidence.Overall()), string(a.Evidence.Signature.Verdict), judged(a.Evidence), fmt.Sprint(verdicts(a))}, want)
			equal(t, "findings", codes(a.Findings), []string{"unsigned_package"})
			equal(t, "reason", a.Evidence.Signature.Reason, "The package has no signature file.")
		}
	}
	stamps := make(map[string]bool)
	for _, policy := range []domain.UnsignedPolicy{"", domain.UnsignedUnverified, domain.UnsignedInvalid} {
		stamps[unit(t, read(t, placed(all).fs(), rosie.Options{Unsigned: policy}), packagePath).Stamp] = true
	}
	equal(t, "the policy is part of the stamp, the default is not", len(stamps), 2)
	all["artifacts/test-results.json"] = `{"passed":3,"failed":1}`
	equal(t, "a failure counts", judged(readPackage(t, all, rosie.Options{}).Evidence), "failed 3/1/0")
}
