package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// reference is a code span such as `domain/decide.go: Decide` or `eventstore/sqlite: Log.Append`.
type reference struct {
	path   string // a Go file, or a folder of them
	symbol string // a function, Type.Method, type, variable or constant
}

var references = regexp.MustCompile("`([a-z][\\w./-]*): ([A-Za-z_][\\w.]*)`")

func referencesIn(text string) []reference {
	var out []reference
	for _, m := range references.FindAllStringSubmatch(text, -1) {
		out = append(out, reference{path: m[1], symbol: m[2]})
	}
	return out
}

func TestEverySymbolThatTheDocumentsNameExists(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, doc := range documents(t) {
		for _, ref := range referencesIn(read(t, doc)) {
			checked++
			if !declared(t, ref) {
				t.Errorf("%s: `%s: %s` is not declared there", doc, ref.path, ref.symbol)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d references found: the documents changed their form, or this test lost its sight", checked)
	}
}

// declared reports whether the file, or a file of the folder, declares the symbol at its top level.
func declared(t *testing.T, ref reference) bool {
	t.Helper()
	path := filepath.Join(root, ref.path)
	info, err := os.Stat(path)
	if err != nil {
		t.Errorf("a document names %s: %v", ref.path, err)
		return true // reported
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.go")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if declares(d, ref.symbol) {
				return true
			}
		}
	}
	return false
}

func declares(d ast.Decl, symbol string) bool {
	if f, ok := d.(*ast.FuncDecl); ok {
		return receiver(f)+f.Name.Name == symbol
	}
	general, ok := d.(*ast.GenDecl)
	if !ok {
		return false
	}
	for _, spec := range general.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.Name == symbol || member(spec, symbol) {
				return true
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.Name == symbol {
					return true
				}
			}
		}
	}
	return false
}

// receiver returns "Type." for a method and "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name + "."
	}
	return "?."
}

// member reports whether symbol is Type.Field or, of an interface, Type.Method.
func member(spec *ast.TypeSpec, symbol string) bool {
	var fields *ast.FieldList
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		fields = typ.Fields
	case *ast.InterfaceType:
		fields = typ.Methods
	default:
		return false
	}
	for _, field := range fields.List {
		for _, name := range field.Names {
			if spec.Name.Name+"."+name.Name == symbol {
				return true
			}
		}
	}
	return false
}

func TestEveryInvariantNamesItsCodeAndItsTests(t *testing.T) {
	t.Parallel()
	sections := strings.Split(read(t, "invariants.md"), "\n## ")[1:]
	if len(sections) != 19 {
		t.Fatalf("invariants.md has %d sections, want the 19 that are promised", len(sections))
	}
	for i, section := range sections {
		title, _, _ := strings.Cut(section, "\n")
		number, _, _ := strings.Cut(strings.TrimPrefix(title, "I"), " ")
		n, err := strconv.Atoi(number)
		if err != nil || n != i+1 {
			t.Errorf("section %q: want the title to begin with I%d", title, i+1)
		}
		code, tests := 0, 0
		for _, ref := range referencesIn(section) {
			if isTest(ref.symbol) {
				tests++
			} else {
				code++
			}
		}
		if code == 0 || tests == 0 {
			t.Errorf("section %q names %d places in the code and %d tests; want at least one of each", title, code, tests)
		}
	}
}

func isTest(symbol string) bool {
	symbol = symbol[strings.LastIndexByte(symbol, '.')+1:] // of a suite that has its tests as methods
	return strings.HasPrefix(symbol, "Test") || strings.HasPrefix(symbol, "Fuzz") || strings.HasPrefix(symbol, "test")
}

func TestTheLifeOfAScanHasEightStepsEachWithItsFunction(t *testing.T) {
	t.Parallel()
	steps := strings.Split(read(t, "life-of-a-scan.md"), "\n## ")[1:]
	if len(steps) != 8 {
		t.Fatalf("life-of-a-scan.md has %d steps, want 8", len(steps))
	}
	for _, step := range steps {
		if title, _, _ := strings.Cut(step, "\n"); len(referencesIn(step)) == 0 {
			t.Errorf("step %q names no function", title)
		}
	}
}
