package rosie_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// A repository without .gxp/ that is in another format is told so.
func TestOtherFormatsAreNamed(t *testing.T) {
	t.Parallel()
	const oft = "# Login\n\n### Log in\n`req~login~1`\n\nNeeds: dsn\n"
	for name, test := range map[string]struct {
		files  map[string]string
		format string
	}{
		"Doorstop":                {map[string]string{"reqs/.doorstop.yml": "settings:\n  prefix: REQ\n"}, "Doorstop"},
		"Doorstop, deep":          {map[string]string{"a/b/c/d/.doorstop.yml": "x"}, "Doorstop"},
		"StrictDoc":               {map[string]string{"docs/req.sdoc": "[DOCUMENT]\n"}, "StrictDoc"},
		"StrictDoc by its config": {map[string]string{"strictdoc.toml": "[project]\n"}, "StrictDoc"},
		"Sphinx-Needs":            {map[string]string{"docs/conf.py": "extensions = ['sphinx_needs']\n"}, "Sphinx-Needs"},
		"Sphinx-Needs, old":       {map[string]string{"docs/source/conf.py": "extensions = [\n  \"sphinxcontrib.needs\",\n]\n"}, "Sphinx-Needs"},
		"OpenFastTrace":           {map[string]string{"doc/spec/requirements.md": oft}, "OpenFastTrace"},
		"OpenFastTrace by Maven":  {map[string]string{"pom.xml": "<groupId>org.itsallcode</groupId><artifactId>openfasttrace-maven-plugin</artifactId>"}, "OpenFastTrace"},
		"ReqIF":                   {map[string]string{"spec/Export.REQIF": "<REQ-IF/>"}, "ReqIF"},
		"zipped ReqIF":            {map[string]string{"a.reqifz": "PK"}, "ReqIF"},
		"Sphinx alone":            {map[string]string{"docs/conf.py": "extensions = ['sphinx.ext.autodoc']\n"}, ""},
		"plain code":              {map[string]string{"main.go": "package main", "README.md": "# x\n\nuse ~/x~1\n"}, ""},
		"in node_modules":         {map[string]string{"node_modules/x/.doorstop.yml": "x"}, ""},
		"too deep":                {map[string]string{"a/b/c/d/e/f/.doorstop.yml": "x"}, ""},
	} {
		fsys := fstest.MapFS{}
		for path, text := range test.files {
			fsys[path] = &fstest.MapFile{Data: []byte(text)}
		}
		tree := read(t, fsys, rosie.Options{})
		if len(tree.Faults) != 1 || tree.Faults[0].Code != domain.ViolationNoGxP {
			t.Fatalf("%s: faults %+v", name, tree.Faults)
		}
		_, hint, _ := strings.Cut(tree.Faults[0].Text, " looks like ")
		format, _, _ := strings.Cut(hint, ",")
		equal(t, name, format, test.format)
		equal(t, name+": docs", strings.Contains(tree.Faults[0].Text, "docs/formats.md"), test.format != "")
	}
	tree := read(t, fstest.MapFS{"gxp/system_context.md": {}}, rosie.Options{})
	equal(t, "without the dot", strings.Contains(tree.Faults[0].Text, `there is "gxp", without the dot`), true)
}

// The look at a huge repository is short.
func TestTheLookForOtherFormatsIsBounded(t *testing.T) {
	t.Parallel()
	many := make(files)
	for i := range 20_000 {
		many[fmt.Sprintf("src/%d/x.md", i)] = "x"
	}
	fsys := newNamed(many)
	delete(fsys.MapFS, contextPath)
	if _, err := rosie.Read(t.Context(), fsys, rosie.Options{}); err != nil {
		t.Fatal(err)
	}
	if len(fsys.opened) > 40 {
		t.Errorf("%d files were opened", len(fsys.opened))
	}
}
