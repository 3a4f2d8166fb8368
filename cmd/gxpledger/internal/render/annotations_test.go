package render_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

func TestAnnotations(t *testing.T) {
	t.Parallel()
	report := gxpledger.CheckReport{Problems: []gxpledger.Problem{
		{Severity: gxpledger.SeverityError, Code: "missing_parent", Path: ".gxp/specs/SPEC 1%.md", Line: 4, Text: "parent_id names \"US-9\""},
		{Severity: gxpledger.SeverityWarning, Code: "missing_dir", Text: "there is no specs/"},
	}}
	for format, want := range map[string][]string{
		"github": {
			"::error file=.gxp/specs/SPEC 1%25.md,line=4,title=gxpledger missing_parent::parent_id names \"US-9\"\n",
			"::warning title=gxpledger missing_dir::there is no specs/\n",
		},
		"gitlab": {`"check_name": "missing_parent"`, `"path": ".gxp/specs/SPEC 1%.md"`, `"begin": 4`, `"severity": "major"`, `"severity": "minor"`},
		"sarif":  {`"version": "2.1.0"`, `"uri": ".gxp/specs/SPEC%201%25.md"`, `"startLine": 4`, `"level": "warning"`},
		"junit":  {`<testsuite name="gxpledger check" tests="2" failures="1">`, `line="4"`, `<failure type="missing_parent" message="parent_id names &#34;US-9&#34;">`},
	} {
		var out bytes.Buffer
		if err := render.Annotations(&out, format, report, "v1.2.3"); err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s lacks %q:\n%s", format, part, out.String())
			}
		}
	}
}

// Whatever a repository holds, it adds no annotation and breaks no document.
func TestAnnotationsOfHostileText(t *testing.T) {
	t.Parallel()
	hostile := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\n::error::x", "\r\n", "%0A", "]]>", "</testcase>", "\x00", "\xff", "a:b,c", "\u2028::warning::"}))
	rapid.Check(t, func(t *rapid.T) {
		problems := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gxpledger.Problem {
			return gxpledger.Problem{
				Severity: rapid.SampledFrom([]gxpledger.Severity{gxpledger.SeverityError, gxpledger.SeverityWarning}).Draw(t, "severity"),
				Code:     rapid.SampledFrom([]string{"a", "b"}).Draw(t, "code"), Path: hostile.Draw(t, "path"),
				Line: rapid.IntRange(0, 9).Draw(t, "line"), Text: hostile.Draw(t, "text"),
			}
		}), 1, 5).Draw(t, "problems")
		written := func(format string) string {
			var out bytes.Buffer
			if err := render.Annotations(&out, format, gxpledger.CheckReport{Problems: problems}, "v1"); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		lines := strings.FieldsFunc(written("github"), func(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) })
		if len(lines) != len(problems) {
			t.Fatalf("%d problems are %q", len(problems), lines)
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, "::"+string(problems[i].Severity)+" ") {
				t.Fatalf("a line is %q", line)
			}
		}
		var issues []any
		if err := json.Unmarshal([]byte(written("gitlab")), &issues); err != nil || len(issues) != len(problems) {
			t.Fatalf("gitlab: %d issues, %v", len(issues), err)
		}
		var log struct {
			Runs []struct {
				Results []any `json:"results"`
			} `json:"runs"`
		}
		if err := json.Unmarshal([]byte(written("sarif")), &log); err != nil || len(log.Runs[0].Results) != len(problems) {
			t.Fatalf("sarif: %+v, %v", log, err)
		}
		if cases := testCases(t, written("junit")); cases != len(problems) {
			t.Fatalf("junit: %d cases", cases)
		}
	})
}

func testCases(t *rapid.T, document string) (n int) {
	decoder := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := decoder.Token()
		if err == io.EOF { //nolint:errorlint // it is that very one
			return n
		}
		if err != nil {
			t.Fatalf("junit: %v in %s", err, document)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "testcase" {
			n++
		}
	}
}
