package rosie_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestAMisspeltKeyIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, text string
		want       []string // line and end of each finding
	}{
		"id": {
			reqPath, "---\ngxp_idd: REQ-1\ntitle: T\nrisk: LOW\n---\n",
			[]string{`2 nothing can link to it; did you mean gxp_id by the key "gxp_idd"?`},
		},
		"letters that were swapped": {
			reqPath, "---\ngxp_id: REQ-1\ntitle: T\ngxp_risk_ratign: LOW\n---\n",
			[]string{`4 is missing; did you mean gxp_risk_rating by the key "gxp_risk_ratign"?`},
		},
		"camel case": {
			".gxp/user_stories/US-1.md", "---\ngxpId: US-1\ntitle: T\nparntId: REQ-1\n---\n",
			[]string{`4 is missing; did you mean parentId by the key "parntId"?`},
		},
		"id for gxp_id": {
			reqPath, "---\nid: REQ-009\ntitle: T\nrisk: LOW\n---\n",
			[]string{`2 nothing can link to it; did you mean gxp_id by the key "id"?`},
		},
		"ID for gxp_id": {
			specPath, "---\ntitle: T\nID: SPEC-009\nparent_id: US-1\ntier: OQ\n---\n",
			[]string{`3 nothing can link to it; did you mean gxp_id by the key "ID"?`},
		},
		"a key with a dash": {
			reqPath, "---\nGXP-ID: REQ-009\ntitle: T\nrisk: LOW\n---\n",
			[]string{`2 nothing can link to it; did you mean gxp_id by the key "GXP-ID"?`},
		},
		"an id that is a list": {
			reqPath, "---\ngxp_id: [REQ-009]\ntitle: T\nrisk: LOW\n---\n",
			[]string{`2 nothing can link to it; gxp_id is a list or a map: expected one id as text`},
		},
		"nothing near": {
			reqPath, "---\nidentifier: REQ-1\ntitle: T\nrisk: LOW\n---\n", []string{"0 nothing can link to it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := readOne(t, c.path, c.text).Findings
			if len(found) != len(c.want) {
				t.Fatalf("findings %v, want %d", found, len(c.want))
			}
			for i, f := range found {
				line, end, _ := strings.Cut(c.want[i], " ")
				if fmt.Sprint(f.Line) != line || !strings.HasSuffix(f.Text, end) {
					t.Errorf("finding in line %d: %q; want line %s and %q at its end", f.Line, f.Text, line, end)
				}
			}
		})
	}
}
