package rosie_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

const spec = "SPEC-001-001"

func readPackage(t *testing.T, all map[string]string, options rosie.Options) domain.Artifact {
	t.Helper()
	return artifact(t, read(t, placed(all).fs(), options), packagePath)
}

// verdicts are those of the four checks, each with its problems.
func verdicts(a domain.Artifact) []string {
	var all []string
	for _, c := range a.Evidence.Checks {
		text := string(c.Verdict)
		for _, p := range c.Problems {
			text += " " + p.Code + ":" + p.Path
		}
		all = append(all, text)
	}
	return all
}

func TestValidPackage(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := s.pack(t, spec)
	tree := read(t, placed(all).fs(), s.options())
	a := artifact(t, tree, packagePath)
	equal(t, "checks", verdicts(a), []string{"valid", "valid", "valid", "valid"})
	equal(t, "names", fmt.Sprint(a.Evidence.Checks[0].Name, a.Evidence.Checks[1].Name, a.Evidence.Checks[2].Name, a.Evidence.Checks[3].Name),
		"presencesignatureintegritycompleteness")
	equal(t, "kind and id", fmt.Sprint(a.Kind, " ", a.GxPID), "evidence_package PKG-SPEC-001-001")
	equal(t, "content is the manifest", a.Content.SHA256, hash(all["manifest.json"]))
	equal(t, "tier", showTier(a), "OQ/oq")
	equal(t, "links", showLinks(a), "spec_id SPEC-001-001, traced_user_story US-001-001")
	equal(t, "tests", *a.Evidence.Results.Totals, domain.TestTotals{Passed: 3, Failed: 1, Skipped: 2})
	equal(t, "signer", a.Evidence.SignerFile, "manifest.jws")
	equal(t, "timestamp", a.Evidence.Timestamp, "2026-02-07T11:09:34.721Z")
	equal(t, "fields", strings.Contains(string(a.Fields), `"package_id":"PKG-SPEC-001-001"`), true)
	equal(t, "findings", codes(a.Findings), nil)
	var members []string
	for _, m := range a.Members {
		members = append(members, m.Path)
		equal(t, m.Path, m.Content, domain.Content{SHA256: hash(all[m.Path]), Blob: blob(all[m.Path]), Size: int64(len(all[m.Path]))})
		equal(t, m.Path+": bytes", contentOf(tree, m.SHA256), all[m.Path])
	}
	equal(t, "members", members, slices.Sorted(maps.Keys(all)))
	equal(t, "files", len(tree.Files), 2)
}

// One fault at a time, and the four checks that see it.
func TestPackageChecks(t *testing.T) {
	t.Parallel()
	s, stranger := newSigner(t), newSigner(t)
	// resign signs a manifest, so that only what it says is at fault.
	resign := func(all map[string]string, manifest string) {
		all["manifest.json"], all["manifest.jws"] = manifest, s.sign(t, claims(manifest))
	}
	valid := manifestOf(t, spec, packageFiles(spec))
	tests := map[string]struct {
		change func(all map[string]string)
		want   []string
	}{
		"signature.jws instead": {
			func(all map[string]string) { all["signature.jws"] = all["manifest.jws"]; delete(all, "manifest.jws") },
			[]string{"valid", "valid", "valid", "valid"},
		},
		"no signature file": {
			func(all map[string]string) { delete(all, "manifest.jws") },
			[]string{"valid", "unsigned", "valid", "valid"},
		},
		"no manifest": {
			func(all map[string]string) { delete(all, "manifest.json") },
			[]string{"invalid missing_file:manifest.json", "not_run", "not_run", "not_run"},
		},
		"no metadata": {
			func(all map[string]string) { delete(all, "metadata.json") },
			[]string{"invalid missing_file:metadata.json", "valid", "invalid missing_file:metadata.json", "valid"},
		},
		"signed by a stranger": {
			func(all map[string]string) { all["manifest.jws"] = stranger.sign(t, claims(valid)) },
			[]string{"valid", "invalid bad_signature:manifest.jws", "valid", "valid"},
		},
		"no JWS at all": {
			func(all map[string]string) { all["manifest.jws"] = "signed, honestly" },
			[]string{"valid", "invalid bad_signature:manifest.jws", "valid", "valid"},
		},
		"a signed payload that is no JSON": {
			func(all map[string]string) { all["manifest.jws"] = s.sign(t, "sound") },
			[]string{"valid", "invalid bad_signature:manifest.jws", "valid", "valid"},
		},
		"another manifest signed": {
			func(all map[string]string) {
				all["manifest.jws"] = s.sign(t, claims(strings.Replace(valid, "OQ", "PQ", 1)))
			},
			[]string{"valid", "invalid payload_mismatch:manifest.jws", "valid", "valid"},
		},
		"the manifest written otherwise": {
			func(all map[string]string) { all["manifest.json"] = strings.ReplaceAll(valid, ",", ",\n ") },
			[]string{"valid", "valid", "valid", "valid"},
		},
		"a number signed as text": {func(all map[string]string) {
			all["manifest.jws"] = s.sign(t, claims(strings.Replace(valid, `"file_count":4`, `"file_count":"4"`, 1)))
		}, []string{"valid", "invalid payload_mismatch:manifest.jws", "valid", "valid"}},
		"a file left out": {
			func(all map[string]string) { delete(all, "test-output.log") },
			[]string{"valid", "valid", "invalid missing_file:test-output.log", "valid"},
		},
		"a file changed": {
			func(all map[string]string) { all["test-output.log"] = "no\n" },
			[]string{"valid", "valid", "invalid hash_mismatch:test-output.log", "valid"},
		},
		"a file grown": {
			func(all map[string]string) { all["test-output.log"] = "ok\n\n" },
			[]string{"valid", "valid", "invalid hash_mismatch:test-output.log size_mismatch:test-output.log", "valid"},
		},
		"a file more": {
			func(all map[string]string) { all["traces/extra.bin"] = "\xff" },
			[]string{"valid", "valid", "valid", "invalid unlisted_file:traces/extra.bin"},
		},
		"a size that lies": {
			func(all map[string]string) {
				resign(all, strings.Replace(valid, `"size_bytes":3}`, `"size_bytes":4}`, 1))
			},
			[]string{"valid", "valid", "invalid size_mismatch:test-output.log", "valid"},
		},
		"a path out of the package": {
			func(all map[string]string) {
				resign(all, strings.Replace(valid, `"test-output.log"`, `"../../../etc/passwd"`, 1))
			},
			[]string{"valid", "valid", "invalid bad_path:../../../etc/passwd", "invalid unlisted_file:test-output.log"},
		},
		"an absolute path": {
			func(all map[string]string) {
				resign(all, strings.Replace(valid, `"test-output.log"`, `"/etc/passwd"`, 1))
			},
			[]string{"valid", "valid", "invalid bad_path:/etc/passwd", "invalid unlisted_file:test-output.log"},
		},
		"a path with a backslash": {
			func(all map[string]string) { resign(all, strings.Replace(valid, `"test-output.log"`, `"..\\x"`, 1)) },
			[]string{"valid", "valid", `invalid bad_path:..\x`, "invalid unlisted_file:test-output.log"},
		},
		"a path twice": {func(all map[string]string) {
			resign(all, strings.Replace(valid, `"files":[`, `"files":[{"path":"test-output.log","sha256":"`+hash("ok\n")+`"},`, 1))
		}, []string{"valid", "valid", "invalid duplicate_path:test-output.log", "valid"}},
		"a path twice in other case": {func(all map[string]string) {
			resign(all, strings.Replace(valid, `"files":[`, `"files":[{"path":"Test-Output.log","sha256":"`+hash("ok\n")+`"},`, 1))
		}, []string{"valid", "valid", "invalid missing_file:Test-Output.log", "valid"}},
		"a hash that is none": {
			func(all map[string]string) { resign(all, strings.Replace(valid, hash("ok\n"), "sha512:00", 1)) },
			[]string{"valid", "valid", "invalid bad_hash:test-output.log", "valid"},
		},
		"no list of files": {
			func(all map[string]string) { resign(all, `{"package_id":"P"}`) },
			[]string{"valid", "valid", "invalid no_file_list:", "invalid unlisted_file:artifacts/test-results.json unlisted_file:environment.json unlisted_file:metadata.json unlisted_file:test-output.log"},
		},
		"an entry that is no object": {
			func(all map[string]string) { resign(all, strings.Replace(valid, `"files":[`, `"files":["x",`, 1)) },
			[]string{"valid", "valid", "invalid bad_path:", "valid"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := s.pack(t, spec)
			test.change(all)
			equal(t, "checks", verdicts(readPackage(t, all, s.options())), test.want)
		})
	}
}

// The dialects of a manifest say the same.
func TestManifestDialects(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := packageFiles(spec)
	list := func(format string) string {
		var entries []string
		for _, path := range slices.Sorted(maps.Keys(all)) {
			entries = append(entries, strings.NewReplacer("PATH", path, "HASH", hash(all[path]), "SIZE", fmt.Sprint(len(all[path]))).Replace(format))
		}
		return strings.Join(entries, ",")
	}
	for name, manifest := range map[string]string{
		"objects with sha256":    `{"files":[` + list(`{"path":"PATH","sha256":"HASH","size_bytes":SIZE}`) + `]}`,
		"objects with hash":      `{"files":[` + list(`{"path":"PATH","hash":"sha256:HASH","mime_type":"x"}`) + `]}`,
		"objects in camelCase":   `{"files":[` + list(`{"path":"PATH","sha256":"sha256:HASH","sizeBytes":SIZE}`) + `]}`,
		"hashes in upper case":   `{"files":[` + strings.ToUpper(hash("")[:0]) + list(`{"path":"PATH","sha256":"HASH"}`) + `]}`,
		"an object of hashes":    `{"files":{` + list(`"PATH":"sha256:HASH"`) + `}}`,
		"an object, no prefix":   `{"files":{` + list(`"PATH":"HASH"`) + `}}`,
		"an object of objects":   `{"files":{` + list(`"PATH":{"sha256":"HASH","size":SIZE}`) + `}}`,
		"with a byte order mark": "\ufeff" + `{"files":{` + list(`"PATH":"HASH"`) + `}}`,
	} {
		signed := maps.Clone(all)
		signed["manifest.json"] = manifest
		signed["signature.jws"] = s.sign(t, claims(strings.TrimPrefix(manifest, "\ufeff")))
		equal(t, name, verdicts(readPackage(t, signed, s.options())), []string{"valid", "valid", "valid", "valid"})
	}
}

// The newer name of the signature file wins. The other one is then a file that nobody vouches for.
func TestTwoSignatureFiles(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := s.pack(t, spec)
	all["signature.jws"] = newSigner(t).sign(t, claims(all["manifest.json"]))
	a := readPackage(t, all, s.options())
	equal(t, "checks", verdicts(a), []string{"valid", "invalid bad_signature:signature.jws", "valid", "invalid unlisted_file:manifest.jws"})
	equal(t, "signer", a.Evidence.SignerFile, "signature.jws")
}

func TestPackageWithoutAKey(t *testing.T) {
	t.Parallel()
	a := readPackage(t, newSigner(t).pack(t, spec), rosie.Options{})
	equal(t, "checks", verdicts(a), []string{"valid", "unverifiable", "valid", "valid"})
	all := newSigner(t).pack(t, spec)
	all["manifest.json"] = strings.Replace(all["manifest.json"], `"OQ"`, `"PQ"`, 1)
	a = readPackage(t, all, rosie.Options{})
	equal(t, "another manifest needs no key", verdicts(a)[1], "invalid payload_mismatch:manifest.jws")
}

func TestUnsignedPackageIsRemarkedOn(t *testing.T) {
	t.Parallel()
	a := readPackage(t, map[string]string{"metadata.json": `{"package_id":"P","spec_id":"S"}`}, rosie.Options{})
	equal(t, "findings", codes(a.Findings), []string{"unsigned_package"})
	equal(t, "content is the first member", a.Content.SHA256, hash(`{"package_id":"P","spec_id":"S"}`))
	equal(t, "signature", a.Evidence.Signature.Verdict, domain.VerdictUnsigned)
}

// Without metadata the manifest says what the package is.
func TestPackageIdentityFromTheManifest(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	all := s.pack(t, spec)
	delete(all, "metadata.json")
	a := readPackage(t, all, s.options())
	equal(t, "id and links", a.GxPID+" "+showLinks(a), "PKG-SPEC-001-001 spec_id SPEC-001-001")
}

// Malformed JSON in metadata or manifest rejects the package at its directory, and every byte is kept.
func TestMalformedPackage(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, text := range map[string]string{
		"metadata.json": "{\n  \"package_id\": oops\n}",
		"manifest.json": "{\"files\": [],\n \"files\": []}",
	} {
		all := s.pack(t, spec)
		all[name] = text
		tree := read(t, placed(all).fs(), s.options())
		f := unit(t, tree, packagePath)
		if f.Rejected == nil {
			t.Fatalf("%s: not rejected", name)
		}
		equal(t, name+": kind and line", fmt.Sprint(f.Rejected.Kind, f.Rejected.Line), "evidence_package2")
		equal(t, name+": names the file", strings.HasPrefix(f.Rejected.Message, name+": "), true)
		equal(t, name+": content", f.Rejected.Content.SHA256, hash(text))
		for path, want := range all {
			equal(t, path, contentOf(tree, hash(want)), want)
		}
	}
	all := s.pack(t, spec)
	all["artifacts/test-results.json"] = "{"
	a := readPackage(t, all, s.options())
	equal(t, "malformed test results are a finding", codes(a.Findings), []string{"malformed"})
	equal(t, "and no totals", a.Evidence.Results.Totals == nil, true)
}

// A directory is a package by what is in it, at any depth below evidence; what is deeper belongs to it.
func TestWhereAPackageIs(t *testing.T) {
	t.Parallel()
	tree := read(t, files{
		".gxp/evidence/manifest.json":                 `{}`,
		".gxp/evidence/manifest.jws":                  "x",
		".gxp/evidence/loose.jws":                     "x",
		".gxp/evidence/.gitkeep":                      "",
		".gxp/evidence/note.txt":                      "",
		".gxp/evidence/a/b/c/metadata.json":           `{"package_id":"deep"}`,
		".gxp/evidence/a/b/c/inner/manifest.json":     `{}`,
		".gxp/evidence/a/b/c/inner/x.jws":             "x",
		".gxp/evidence/a/single.jws":                  "x",
		".gxp/evidence/b/Manifest.json":               `{}`,
		".gxp/requirements/pack/manifest.json":        `{}`,
		".gxp/requirements/deeper/REQ-002.md":         "---\ngxp_id: REQ-002\n---\n",
		".gxp/requirements/README.md":                 "no",
		".gxp/requirements/Readme.md":                 "no",
		".gxp/requirements/REQ-003.txt":               "no",
		".gxp/requirements/REQ-004.MD":                "no",
		".gxp/stories/US-1.md":                        "no",
		".gxp/System_Context.txt":                     "no",
		"requirements/REQ-009.md":                     "not below .gxp",
		".gxp/archive/requirements/REQ-008.md":        "no",
		".gxp/evidence/c/signature.jws/manifest.json": `{}`,
	}.fs(), rosie.Options{})
	var got []string
	for _, f := range tree.Files {
		var kind domain.Kind
		if f.Rejected != nil {
			kind = f.Rejected.Kind
		} else {
			kind = f.Artifacts[0].Kind
		}
		got = append(got, strings.TrimPrefix(f.Path, ".gxp/")+" "+string(kind))
	}
	equal(t, "units", strings.Join(got, "\n"), strings.Join([]string{
		"evidence/a/b/c evidence_package",
		"evidence/a/single.jws evidence_jws",
		"evidence/c/signature.jws evidence_package",
		"evidence/loose.jws evidence_jws",
		"evidence/manifest.jws evidence_jws",
		"requirements/deeper/REQ-002.md requirement",
		"system_context.md system_context",
	}, "\n"))
	equal(t, "ignored", strings.Join(tree.Ignored, "\n"), strings.Join([]string{
		".gxp/System_Context.txt",
		".gxp/archive/requirements/REQ-008.md",
		".gxp/evidence/.gitkeep",
		".gxp/evidence/b/Manifest.json",
		".gxp/evidence/manifest.json",
		".gxp/evidence/note.txt",
		".gxp/requirements/README.md",
		".gxp/requirements/REQ-003.txt",
		".gxp/requirements/REQ-004.MD",
		".gxp/requirements/Readme.md",
		".gxp/requirements/pack/manifest.json",
		".gxp/stories/US-1.md",
	}, "\n"))
	equal(t, "members of the deep one", len(artifact(t, tree, ".gxp/evidence/a/b/c").Members), 3)
}
