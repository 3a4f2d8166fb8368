package domain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
)

// TestTheTableOfKindsIsComplete: every constant has an entry, every entry all that the rest of the engine takes from it, and
// no name or place stands for two kinds.
func TestTheTableOfKindsIsComplete(t *testing.T) {
	t.Parallel()
	declared := kindConstants(t)
	if n := len(domain.Kinds()); n != len(declared) {
		t.Errorf("the table has %d kinds, and %d constants are declared", n, len(declared))
	}
	owner := map[string]domain.Kind{}
	alone := func(kind domain.Kind, what, value string) {
		if before, taken := owner[what+value]; taken && value != "" {
			t.Errorf("%s and %s both have the %s %q", before, kind, what, value)
		}
		owner[what+value] = kind
	}
	for _, kind := range domain.Kinds() {
		info := kind.Info()
		if kind == "" || info.Kind != kind || info.One == "" || info.Many == "" || info.Table == "" {
			t.Errorf("the entry of %q lacks a name or a table: %+v", kind, info)
		}
		if hasFile, found := info.File != "", info.Dir != ""; hasFile && found || found != (info.Suffix != "") || (hasFile || found) != (info.Form != "") {
			t.Errorf("%s: want either File, or Dir and Suffix, or neither, and Form with them: %+v", kind, info)
		}
		alone(kind, "name", info.One)
		alone(kind, "plural", info.Many)
		alone(kind, "file", info.File+info.Dir+info.Suffix)
		for _, word := range info.Words {
			alone(kind, "word", word)
		}
		for _, prefix := range info.Prefixes {
			alone(kind, "prefix", prefix)
		}
		for _, e := range info.Edges {
			alone(kind, string(kind)+" edge", string(e.Edge))
			if len(e.Targets) == 0 {
				t.Errorf("%s: the edge %s leads nowhere", kind, e.Edge)
			}
		}
		for _, p := range info.Parents {
			if !slices.Contains(domain.Targets(kind, p.Edge), p.Kind) {
				t.Errorf("%s: no edge %s leads to its parent, a %s", kind, p.Edge, p.Kind)
			}
		}
	}
}

// TestEveryKindIsInOneGroup: the groups are a partition of the kinds, one for each table, and the kinds of a group have the
// same parents.
func TestEveryKindIsInOneGroup(t *testing.T) {
	t.Parallel()
	var all []domain.Kind
	for _, g := range domain.Groups() {
		if g.One == "" || g.Many == "" || len(g.Words) == 0 || g.About == "" {
			t.Errorf("the group of the table %s lacks a name: %+v", g.Table, g)
		}
		for _, kind := range g.Kinds {
			if info := kind.Info(); info.Table != g.Table || !slices.Equal(info.Parents, g.Kinds[0].Info().Parents) {
				t.Errorf("%s is in the group of the table %s: %+v", kind, g.Table, info)
			}
		}
		all = append(all, g.Kinds...)
	}
	want := domain.Kinds()
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("the groups hold %v, want each of %v once", all, want)
	}
}

// TestAKindThatIsNotThereHasNoPlace: a kind of a later version is called unknown and taken for none of ours (I15).
func TestAKindThatIsNotThereHasNoPlace(t *testing.T) {
	t.Parallel()
	info := domain.Kind("novel").Info()
	if info.Table != "" || info.Level != 0 || info.One != "artifact of an unknown kind" || domain.Targets("novel", domain.EdgeParentID) != nil {
		t.Errorf("an unknown kind is %+v", info)
	}
}

// TestNothingListsKindsBesideTheTable: a declaration outside the table that names several kinds is a place which a new kind
// would have to find. What is known of a kind belongs in its entry.
func TestNothingListsKindsBesideTheTable(t *testing.T) {
	t.Parallel()
	const few = 2 // a rule may be about a kind, or about one and another
	names := kindConstants(t)
	for _, kind := range domain.Kinds() {
		names = append(names, strconv.Quote(string(kind)))
	}
	walkGo(t, func(path string, file *ast.File) {
		switch path {
		case "domain/kinds.go":
			return
		case "cmd/gxpledger/internal/render/matrix_csv.go", // whose columns are the levels
			"domain/rosie/riskentry.go": // which knows columns of a risk log by these labels
			return
		}
		for _, decl := range file.Decls {
			named := map[string]bool{}
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					named[n.Name] = slices.Contains(names, n.Name)
				case *ast.BasicLit:
					named[n.Value] = slices.Contains(names, n.Value)
				}
				maps.DeleteFunc(named, func(_ string, kind bool) bool { return !kind })
				return true
			})
			if len(named) > few {
				t.Errorf("%s: a declaration names %d kinds: take them from the table in domain/kinds.go", path, len(named))
			}
		}
	})
}

// kindConstants returns the names of the constants of type Kind.
func kindConstants(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if typ, named := spec.Type.(*ast.Ident); named && typ.Name == "Kind" {
				names = append(names, spec.Names[0].Name)
			}
		}
		return true
	})
	return names
}

// walkGo parses every Go file of the repository that is neither a test nor of a package for tests.
func walkGo(t *testing.T, visit func(path string, file *ast.File)) {
	t.Helper()
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasSuffix(path, "test") {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
		if err == nil {
			visit(path, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
