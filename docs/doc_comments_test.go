package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	sayWait  = regexp.MustCompile(`(?i)\bwaits?\b`)
	sayError = regexp.MustCompile(`\bErrors\b[^.]*:\s`)
)

// Whoever calls a method of the front door with a context has to know what it waits for and which errors to match.
func TestEachCallWithAContextSaysWhatItWaitsForAndItsErrors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(root + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, read(t, path), parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || !takesContext(f) || !token.IsExported(strings.TrimSuffix(receiver(f), ".")) && f.Recv != nil {
				continue
			}
			calls++
			for what, pattern := range map[string]*regexp.Regexp{"what it waits for": sayWait, "its errors (Errors: ...)": sayError} {
				if !pattern.MatchString(f.Doc.Text()) {
					t.Errorf("%s: the comment of %s%s does not say %s", path, receiver(f), f.Name.Name, what)
				}
			}
		}
	}
	if calls < 20 {
		t.Errorf("found %d calls that take a context", calls)
	}
}

func takesContext(f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		if s, ok := p.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" {
			return true
		}
	}
	return false
}
