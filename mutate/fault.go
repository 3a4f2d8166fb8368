package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// fault is one deliberate fault in one file.
type fault struct {
	file     string // below the root of the module
	line     int
	function string
	// what is the change, as "before -> after" on one line.
	what string
	// source is the whole file with the fault in it.
	source []byte
}

func (f fault) String() string {
	return fmt.Sprintf("%s:%d\t%s\t%s", f.file, f.line, f.function, f.what)
}

// faultsOf returns every fault that is known for the files of a package, without its tests and generated files, in their order.
func faultsOf(root, name string) ([]fault, error) {
	dir := filepath.Join(root, filepath.FromSlash(name))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list the files of %s: %w", name, err)
	}
	var faults []fault
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("cannot read a file of %s: %w", name, err)
		}
		found, err := faultsIn(path.Join(name, e.Name()), source)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	return faults, nil
}

// faultsIn returns every fault of one file.
func faultsIn(file string, source []byte) ([]fault, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %s: %w", file, err)
	}
	if ast.IsGenerated(tree) {
		return nil, nil
	}
	c := collector{file: file, source: source, fset: fset}
	for _, d := range tree.Decls {
		c.function = "-"
		if fn, ok := d.(*ast.FuncDecl); ok {
			c.function = fn.Name.Name
		}
		ast.Inspect(d, func(n ast.Node) bool {
			c.node(n)
			return true
		})
	}
	return c.faults, nil
}

type collector struct {
	file, function string
	source         []byte
	fset           *token.FileSet
	faults         []fault
}

func (c *collector) text(from, to token.Pos) string {
	return string(c.source[c.fset.Position(from).Offset:c.fset.Position(to).Offset])
}

// add records a fault that replaces what is between two positions.
func (c *collector) add(from, to token.Pos, replacement string) {
	start, end := c.fset.Position(from), c.fset.Position(to)
	var b bytes.Buffer
	b.Write(c.source[:start.Offset])
	b.WriteString(replacement)
	b.Write(c.source[end.Offset:])
	before, after := oneLine(string(c.source[start.Offset:end.Offset])), oneLine(replacement)
	if after == "" {
		after = "(nothing)"
	}
	c.faults = append(c.faults, fault{
		file: c.file, line: start.Line, function: c.function, what: before + " -> " + after, source: b.Bytes(),
	})
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "..."
	}
	return s
}

// swapped is the operator that takes the place of another. Comparisons move by one, the kind of fault at boundaries.
var swapped = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR, token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.LAND: token.LOR, token.LOR: token.LAND, token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
	token.AND: token.OR, token.OR: token.AND, token.SHL: token.SHR, token.SHR: token.SHL,
}

func (c *collector) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if to, ok := swapped[n.Op]; ok && !isText(n.X) && !isText(n.Y) {
			c.add(n.X.Pos(), n.Y.End(), c.text(n.X.Pos(), n.X.End())+" "+to.String()+" "+c.text(n.Y.Pos(), n.Y.End()))
		}
	case *ast.IfStmt:
		c.add(n.Cond.Pos(), n.Cond.End(), "!("+c.text(n.Cond.Pos(), n.Cond.End())+")")
	case *ast.IncDecStmt:
		to := map[token.Token]string{token.INC: "--", token.DEC: "++"}[n.Tok]
		c.add(n.Pos(), n.End(), c.text(n.X.Pos(), n.X.End())+to)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			c.add(n.Pos(), n.End(), "("+n.Value+" + 1)")
		}
	case *ast.Ident:
		switch n.Name {
		case "true":
			c.add(n.Pos(), n.End(), "false")
		case "false":
			c.add(n.Pos(), n.End(), "true")
		}
	case *ast.BranchStmt:
		if n.Label == nil && n.Tok == token.BREAK {
			c.add(n.Pos(), n.End(), "continue")
		} else if n.Label == nil && n.Tok == token.CONTINUE {
			c.add(n.Pos(), n.End(), "break")
		}
	case *ast.ReturnStmt:
		if len(n.Results) > 0 {
			if last := n.Results[len(n.Results)-1]; isError(last) {
				c.add(last.Pos(), last.End(), "nil")
			}
		}
	case *ast.BlockStmt:
		c.statements(n.List)
	case *ast.CaseClause:
		c.statements(n.Body)
	case *ast.CommClause:
		c.statements(n.Body)
	case *ast.CompositeLit:
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if _, named := kv.Key.(*ast.Ident); named { // a field of a struct, in most cases
					c.remove(kv.Pos(), kv.End())
				}
			}
		}
	}
}

// statements leaves out each statement that a program compiles without.
func (c *collector) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			c.add(s.Pos(), s.End(), "")
		case *ast.DeferStmt:
			c.add(s.Pos(), s.End(), "")
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				blank := ""
				for _, l := range s.Rhs { // so that variables stay used
					if id, ok := l.(*ast.Ident); ok && id.Name != "nil" {
						blank = "_ = " + id.Name
					}
				}
				c.add(s.Pos(), s.End(), blank)
			}
		}
	}
}

// remove leaves out a field of a literal, with the comma behind it.
func (c *collector) remove(from, to token.Pos) {
	if rest := c.source[c.fset.Position(to).Offset:]; len(rest) > 0 && rest[0] == ',' {
		to++
	}
	c.add(from, to, "")
}

func isText(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.STRING
}

// isError reports whether an expression is likely to be an error: named so, or made by a call that is named so.
func isError(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "err" || strings.HasPrefix(e.Name, "Err") || strings.HasPrefix(e.Name, "err")
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok {
			return s.Sel.Name == "Errorf" || s.Sel.Name == "New" || s.Sel.Name == "Join" || s.Sel.Name == "Err"
		}
	}
	return false
}

// equivalence is a fault that changes nothing anybody can observe.
type equivalence struct{ file, function, what string }

func parseEquivalent(content string) (map[equivalence]bool, error) {
	known := make(map[equivalence]bool)
	for line := range strings.Lines(content) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 || strings.TrimSpace(fields[3]) == "" {
			return nil, fmt.Errorf("cannot read equivalent.txt: want FILE, FUNCTION, FAULT and REASON apart by tabs, got %q", line)
		}
		known[equivalence{fields[0], fields[1], fields[2]}] = true
	}
	return known, nil
}

func without(faults []fault, known map[equivalence]bool) []fault {
	var rest []fault
	for _, f := range faults {
		if !known[equivalence{f.file, f.function, f.what}] {
			rest = append(rest, f)
		}
	}
	return rest
}
