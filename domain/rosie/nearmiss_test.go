package rosie_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// nearMisses reads one file below .gxp/ that is not read, and returns what the finding says it should be called.
func nearMiss(t *testing.T, file string) string {
	t.Helper()
	tree := read(t, files{".gxp/" + file: "---\ngxp_id: X\n---\n"}.fs(), rosie.Options{})
	if !slices.Contains(tree.Ignored, ".gxp/"+file) {
		t.Errorf("%s is not among the ignored files %q", file, tree.Ignored)
	}
	found := onlyOf(tree.Findings, domain.FindingNearMiss)
	if len(found) == 0 {
		return ""
	}
	if len(found) > 1 || found[0].Path != ".gxp/"+file {
		t.Errorf("%s: findings %+v", file, found)
	}
	_, rest, _ := strings.Cut(found[0].Text, "call it .gxp/")
	should, _, _ := strings.Cut(rest, " (")
	return should
}

func TestNearMissesAreFound(t *testing.T) {
	t.Parallel()
	for file, should := range map[string]string{
		"requirements/REQ-002.MD":        "requirements/REQ-002.md",
		"requirements/REQ-002.markdown":  "requirements/REQ-002.md",
		"requirements/REQ-002.mdown":     "requirements/REQ-002.md",
		"requirements/REQ-002.yaml":      "requirements/REQ-002.md",
		"requirements/REQ-002.yml":       "requirements/REQ-002.md",
		"requirements/login.txt":         "requirements/login.md",
		"requirements/REQ-002.md.txt":    "requirements/REQ-002.md",
		"requirements/sub/REQ-002.Md":    "requirements/sub/REQ-002.md",
		"requirements/REQ-002":           "requirements/REQ-002.md",
		"requirements/REQ-002.mdd":       "",
		"requirements/REQ-002.dm":        "requirements/REQ-002.md",
		"user-stories/US-001.md":         "user_stories/US-001.md",
		"UserStories/US-001.md":          "user_stories/US-001.md",
		"user stories/US-001.md":         "user_stories/US-001.md",
		"user_story/US-001.md":           "user_stories/US-001.md",
		"stories/US-001.md":              "user_stories/US-001.md",
		"usre_stories/US-001.md":         "user_stories/US-001.md",
		"specifications/a.md":            "specs/a.md",
		"requirement/a.md":               "requirements/a.md",
		"Requirements/a.md":              "requirements/a.md",
		"requirments/a.md":               "requirements/a.md",
		"REQUIREMENTS/A.MD":              "requirements/A.md",
		"spec/a.md":                      "specs/a.md",
		"adrs/ADR-1.md":                  "adr/ADR-1.md",
		"ADR/ADR-1.md":                   "adr/ADR-1.md",
		"decisions/one.md":               "adr/one.md",
		"vendor-assessments/a.md":        "vendor_assessments/a.md",
		"vendor_assessment/a.md":         "vendor_assessments/a.md",
		"evidences/e.jws":                "evidence/e.jws",
		"Evidence/OQ/metadata.json":      "evidence/OQ/metadata.json",
		"evidence/EV-1.json":             "evidence/EV-1.jws",
		"evidence/e.JWS":                 "evidence/e.jws",
		"evidence/e.jwt":                 "evidence/e.jws",
		"evidence/e.jws.txt":             "",
		"evidence/EV-1.jws.txt":          "evidence/EV-1.jws",
		"evidence/EV-1":                  "evidence/EV-1.jws",
		"evidence/OQ-1/METADATA.json":    "evidence/OQ-1/metadata.json",
		"evidence/OQ-1/Manifest.JSON":    "evidence/OQ-1/manifest.json",
		"evidence/OQ-1/meta-data.json":   "evidence/OQ-1/metadata.json",
		"evidence/OQ-1/signature.JWS":    "evidence/OQ-1/signature.jws",
		"evidence/manifest.json":         "evidence/NAME/manifest.json",
		"evidence/Metadata.json":         "evidence/NAME/metadata.json",
		"evidence/OQ-1/environment.json": "evidence/OQ-1/metadata.json",
		"risk-assessment.log":            "risk_assessment.log",
		"risk_assessment.md":             "risk_assessment.log",
		"risk_assessment.log.md":         "risk_assessment.log",
		"risk_assessments.log":           "risk_assessment.log",
		"RISK_ASSESSMENT.LOG":            "risk_assessment.log",
		"risks.md":                       "risk_assessment.log",
		"risk_assesment.log":             "risk_assessment.log",
		"SYSTEM_CONTEXT.md":              "system_context.md",
		"system-context.md":              "system_context.md",
		"system_context.yaml":            "system_context.md",
		"SystemContext.md":               "system_context.md",
		"system_contex.md":               "system_context.md",
		"REQ-001.md":                     "requirements/REQ-001.md",
		"drafts/SPEC-001-001.md":         "specs/SPEC-001-001.md",
		"old/e.jws":                      "evidence/e.jws",
		// Ignored without a word: nothing about them is near.
		"README.md": "", "requirements/README.md": "", "user-stories/readme.markdown": "", "requirements/.gitkeep": "", "evidence/.gitkeep": "",
		".gitignore": "", "requirements/diagram.png": "", "requirements/REQ-001.png": "", "user-stories/sketch.svg": "", "evidence/log.zip": "",
		"evidence/screenshot.png": "", "images/logo.svg": "", "notes.md": "", "CHANGELOG.md": "", "templates/page.html": "", "requirements/note": "",
		"context/notes.md": "", "docs/guide.md": "", "evidence/run.sh": "", "add/x.md": "", "risk.png": "",
	} {
		equal(t, file, nearMiss(t, file), should)
	}
}

// From every name that is read: each change of one kind makes a file that is read still, or has a finding that names a file
// which would be read.
func TestEveryNameNearOneThatIsReadIsFound(t *testing.T) {
	t.Parallel()
	changes := map[string]func(string) []string{
		"case": func(s string) []string {
			return []string{strings.ToUpper(s), strings.ToUpper(s[:1]) + s[1:], strings.ToUpper(s[:len(s)-1]) + s[len(s)-1:]}
		},
		"marks": func(s string) []string {
			return []string{strings.ReplaceAll(s, "_", "-"), strings.ReplaceAll(s, "_", " "), strings.ReplaceAll(s, "_", "")}
		},
		"number": func(s string) []string {
			return []string{strings.TrimSuffix(s, "s"), s + "s", strings.Replace(s, "ies", "y", 1)}
		},
		"keyboard": swapped,
	}
	for dir, suffix := range map[string]string{"requirements": "md", "user_stories": "md", "specs": "md", "adr": "md", "vendor_assessments": "md", "evidence": "jws"} {
		for what, change := range changes {
			for _, changed := range change(dir) {
				if changed != dir {
					equal(t, what+" of "+dir+": "+changed, nearMiss(t, changed+"/x/name."+suffix), dir+"/x/name."+suffix)
				}
			}
		}
		for _, changed := range append(changes["case"](suffix), swapped(suffix)...) {
			if changed != suffix {
				equal(t, "suffix "+changed+" in "+dir, nearMiss(t, dir+"/name."+changed), dir+"/name."+suffix)
			}
		}
	}
	for _, name := range []string{"system_context.md", "risk_assessment.log", "evidence/x/metadata.json", "evidence/x/manifest.json"} {
		stem, suffix := strings.TrimSuffix(path.Base(name), path.Ext(name)), path.Ext(name)
		for what, change := range changes {
			for _, changed := range change(stem) {
				if changed != stem {
					equal(t, what+" of "+name+": "+changed, nearMiss(t, path.Join(path.Dir(name), changed+suffix)), name)
				}
			}
		}
		equal(t, "suffix of "+name, nearMiss(t, strings.TrimSuffix(name, suffix)+strings.ToUpper(suffix)), name)
	}
}

// swapped is a name with two neighbours swapped, at each place behind the first letter.
func swapped(s string) []string {
	var all []string
	for i := 1; i+1 < len(s); i++ {
		if s[i] != s[i+1] {
			all = append(all, s[:i]+s[i+1:i+2]+s[i:i+1]+s[i+2:])
		}
	}
	return all
}

func TestAMissingContextNamesTheFileThatMayBeMeant(t *testing.T) {
	t.Parallel()
	fsys := files{".gxp/system-context.md": contextText}.fs()
	delete(fsys, contextPath)
	tree := read(t, fsys, rosie.Options{})
	equal(t, "faults", len(tree.Faults), 1)
	if !strings.Contains(tree.Faults[0].Text, `".gxp/system-context.md" is not read`) {
		t.Errorf("%q does not name the file", tree.Faults[0].Text)
	}
}
