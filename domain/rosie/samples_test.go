package rosie_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// evidencePayload is what a single piece of evidence says of a spec.
func evidencePayload(spec string) string {
	cases := strings.TrimSuffix(strings.Repeat(`{"name":"does its work","status":"passed","duration":1.25,"ancestorTitles":["Suite"]},`, 5), ",")
	return `{"@context":"https://example.test/evidence/v1","gxp_id":"EV-` + spec + `","spec_id":"` + spec +
		`","verification_tier":"OQ","traced_user_story":"US-001-001","test_results":{"tool":"gotest","version":"1.26.0","passed":5,` +
		`"failed":0,"skipped":1,"duration_ms":12.5,"test_cases":[` + cases + `]},"timestamp":"2026-02-07T11:09:35.609Z",` +
		`"system_state_hash":"` + hash("state") + `","git_commit":"` + blob("commit") + `","iat":1770462575,"exp":2086038575}`
}

// packageFiles are the unsigned files of a valid package.
func packageFiles(spec string) map[string]string {
	return map[string]string{
		"metadata.json": `{"package_id":"PKG-` + spec + `","spec_id":"` + spec + `","tier":"OQ","traced_user_story":"US-001-001",` +
			`"system_state_hash":"` + hash("state") + `","git_commit":"` + blob("commit") + `","created_at":"2026-02-07T11:09:34.721Z"}`,
		"environment.json":            `{"platform":"linux"}`,
		"test-output.log":             "ok\n",
		"artifacts/test-results.json": `{"tool":"gotest","version":"1.26.0","passed":3,"failed":1,"skipped":2,"duration_ms":47,"test_cases":[]}`,
	}
}

// manifestOf lists files as RFC-001 says.
func manifestOf(tb testing.TB, spec string, listed map[string]string) string {
	tb.Helper()
	type entry struct {
		Path   string `json:"path"`
		SHA256 string `json:"sha256"`
		Size   int    `json:"size_bytes"`
	}
	var entries []entry
	for _, path := range slices.Sorted(maps.Keys(listed)) {
		entries = append(entries, entry{Path: path, SHA256: hash(listed[path]), Size: len(listed[path])})
	}
	list, err := json.Marshal(entries)
	if err != nil {
		tb.Fatal(err)
	}
	return `{"package_id":"PKG-` + spec + `","spec_id":"` + spec + `","tier":"OQ","files":` + string(list) +
		`,"file_count":` + strconv.Itoa(len(entries)) + `}`
}

// claims adds iat and exp to a JSON object.
func claims(object string) string {
	return strings.TrimSuffix(object, "}") + `,"iat":1770462574,"exp":2086038574}`
}

// pack makes a valid package: paths within it to texts.
func (s signer) pack(tb testing.TB, spec string) map[string]string {
	tb.Helper()
	all := packageFiles(spec)
	manifest := manifestOf(tb, spec, all)
	all["manifest.json"] = manifest
	all["manifest.jws"] = s.sign(tb, claims(manifest))
	return all
}

// placed puts the files of a package into a repository.
func placed(all map[string]string) files {
	repository := make(files)
	for path, text := range all {
		repository[packagePath+"/"+path] = text
	}
	return repository
}
