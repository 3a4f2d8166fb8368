package docs_test

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/gxpledger/gxpledger"
	logs   = module + "/eventstore" // where the type of positions is
)

// counting may count positions, since the positions are those of logs that say DensePositions: packages, and functions of
// others.
var counting = []string{
	logs + "/memory", logs + "/sqlite", logs + "/postgres",
	module + "/projections/databasetest", // a log of its own, and pages that no log gave
	logs + ".Distance",                   // for people
	logs + ".Records",                    // of a log whose positions are dense
	logs + "/verify.next", logs + "/verify.previous",
	logs + "/eventstoretest.dense", logs + "/eventstoretest.give",
}

// TestNobodyCountsPositions holds I19: a position is a token, which only a log whose positions are dense may count with.
// What tests alone do is not looked at.
func TestNobodyCountsPositions(t *testing.T) {
	t.Parallel()
	m := newChecked()
	for _, dir := range packages(t) {
		if _, err := m.Import(path.Join(module, filepath.ToSlash(dir))); err != nil {
			t.Fatal(err)
		}
	}
	if m.seen < 100 {
		t.Errorf("only %d positions found: the type was renamed, or this test lost its sight", m.seen)
	}
	for _, fault := range m.faults {
		t.Errorf("%s: a position is a token, and is neither counted up nor down (I19)", fault)
	}
}

// TestCountingOfPositionsIsFound says what the test above finds, and what it does not.
func TestCountingOfPositionsIsFound(t *testing.T) {
	t.Parallel()
	statements := map[string]int{
		"_ = at + 1":                       1,
		"_ = uint64(at) - 1":               1,
		"_ = eventstore.Position(n + 1)":   1,
		"_ = (eventstore.Position((n-1)))": 1,
		"at++":                             1,
		"at -= 1":                          1,
		"n += int64(at)":                   1,
		"_ = r.Position - at":              1,
		"for r := range some() { read(max(r.Position, 1) - 1) }": 1,
		"_ = at > 1 && at != r.Position":                         0,
		"_ = []eventstore.Position{1 << 62, 1<<63 - 1}":          0,
		"_ = max(at, r.Position)":                                0,
		"_ = n + 1":                                              0,
	}
	m := newChecked()
	if _, err := m.Import(logs); err != nil {
		t.Fatal(err)
	}
	for statement, want := range statements {
		source := "package p\nimport (\"iter\"; \"" + logs + "\")\n" +
			"func some() iter.Seq[eventstore.Record]\nfunc read(eventstore.Position)\n" +
			"func f(at eventstore.Position, n int64, r eventstore.Record) {\n" + statement + "\n}"
		file, err := parser.ParseFile(m.fset, "p.go", source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		m.faults = nil
		if m.check("p", []*ast.File{file}); len(m.faults) != want {
			t.Errorf("%s: found %v, want %d", statement, m.faults, want)
		}
	}
}

// packages are the folders of the module that hold Go files.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name != root {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
		}
		if files, err := filepath.Glob(filepath.Join(name, "*.go")); err != nil || len(files) == 0 {
			return err
		}
		dir, err := filepath.Rel(root, name)
		dirs = append(dirs, dir)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// checked are packages of this module, with what is wrong in them. What comes from elsewhere is not known, but for the
// packages of the standard library that positions pass through: that is enough to tell a position, and quick.
type checked struct {
	fset   *token.FileSet
	std    types.Importer
	done   map[string]*types.Package
	seen   int // positions
	faults []string
}

func newChecked() *checked {
	m := &checked{fset: token.NewFileSet(), done: map[string]*types.Package{}}
	m.std = importer.ForCompiler(m.fset, "source", nil)
	return m
}

var through = []string{"cmp", "context", "errors", "fmt", "iter", "maps", "math", "slices", "sync", "sync/atomic", "time"}

// Import implements [types.Importer].
func (m *checked) Import(name string) (*types.Package, error) {
	if p, ok := m.done[name]; ok {
		return p, nil
	}
	dir, ours := strings.CutPrefix(name, module)
	switch {
	case ours:
		found, err := build.ImportDir(filepath.Join(root, filepath.FromSlash(dir)), 0)
		if err != nil && len(found.GoFiles)+len(found.TestGoFiles)+len(found.XTestGoFiles) == 0 {
			return nil, err
		}
		var files []*ast.File
		for _, each := range found.GoFiles {
			file, err := parser.ParseFile(m.fset, filepath.Join(found.Dir, each), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
		}
		m.done[name] = m.check(name, files)
	case slices.Contains(through, name):
		p, err := m.std.Import(name)
		if err != nil {
			return nil, err
		}
		m.done[name] = p
	default:
		p := types.NewPackage(name, path.Base(name))
		p.MarkComplete()
		m.done[name] = p
	}
	return m.done[name], nil
}

// check finds out the types of a package and looks for positions that are counted.
func (m *checked) check(name string, files []*ast.File) *types.Package {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{IgnoreFuncBodies: !meets(files), Importer: m, Error: func(error) {}, FakeImportC: true} // what is not known is an error, and expected
	p, _ := config.Check(name, m.fset, files, info)
	for _, t := range info.Types {
		if isPosition(t.Type) {
			m.seen++
		}
	}
	if slices.Contains(counting, name) {
		return p
	}
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && slices.Contains(counting, name+"."+f.Name.Name) {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				m.look(n, info)
				return true
			})
		}
	}
	return p
}

// meets reports whether a package imports one that has positions to give.
func meets(files []*ast.File) bool {
	for _, file := range files {
		for _, i := range file.Imports {
			for _, name := range []string{"/eventstore", "/projections", "/query"} {
				if strings.HasPrefix(i.Path.Value, `"`+module) && strings.Contains(i.Path.Value, name) {
					return true
				}
			}
		}
		if file.Name.Name == "eventstore" {
			return true
		}
	}
	return false
}

func (m *checked) look(n ast.Node, info *types.Info) {
	found := false
	switch n := n.(type) {
	case *ast.BinaryExpr:
		found = counts(n, info) && (position(n.X, info) || position(n.Y, info))
	case *ast.IncDecStmt:
		found = position(n.X, info)
	case *ast.AssignStmt:
		found = n.Tok != token.ASSIGN && n.Tok != token.DEFINE && (position(n.Lhs[0], info) || position(n.Rhs[0], info))
	case *ast.CallExpr: // a conversion of what was counted
		if of := info.Types[n.Fun]; of.IsType() && isPosition(of.Type) && len(n.Args) == 1 {
			counted, ok := bare(n.Args[0], info).(*ast.BinaryExpr)
			found = ok && counts(counted, info)
		}
	}
	if found {
		m.faults = append(m.faults, m.fset.Position(n.Pos()).String())
	}
}

// counts reports whether e is arithmetic, but for that of constants.
func counts(e *ast.BinaryExpr, info *types.Info) bool {
	return token.ADD <= e.Op && e.Op <= token.AND_NOT && info.Types[e].Value == nil
}

// position reports whether e is a position, whatever it is converted to.
func position(e ast.Expr, info *types.Info) bool {
	return isPosition(info.Types[e].Type) || isPosition(info.Types[bare(e, info)].Type)
}

// bare is e without parentheses and conversions.
func bare(e ast.Expr, info *types.Info) ast.Expr {
	for {
		switch inner := e.(type) {
		case *ast.ParenExpr:
			e = inner.X
			continue
		case *ast.CallExpr:
			if info.Types[inner.Fun].IsType() && len(inner.Args) == 1 {
				e = inner.Args[0]
				continue
			}
		}
		return e
	}
}

func isPosition(t types.Type) bool {
	named, ok := t.(*types.Named)
	return ok && named.Obj().Name() == "Position" && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == logs
}
