package docs_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// TestGoldenEventCatalogue writes docs/events.md from the declarations of package domain, their comments, and the golden
// events of package eventstore, and holds it to them: what the catalogue says is what is stored.
func TestGoldenEventCatalogue(t *testing.T) {
	t.Parallel()
	want := eventCatalogue(t)
	const path = "events.md"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := read(t, path); got != want {
		t.Errorf("%s is stale: run UPDATE_GOLDEN=1 go test ./docs", path)
	}
}

const eventsHead = `# Events

Generated from the declarations in ` + "`domain`" + ` and the golden files in ` + "`eventstore/testdata/events`" + `; do not edit. To update it:
` + "`UPDATE_GOLDEN=1 go test ./docs`" + `.

A stored name carries a version and never changes its meaning (I11). A new meaning is a new version, and an upcaster leads from the
old one to it wherever events are read. Fields may be added within a version; a reader passes over what it does not know.

## The envelope

Every event has, beside its data:

%s
`

// eventCatalogue renders the catalogue.
func eventCatalogue(t *testing.T) string {
	t.Helper()
	structs := declarations(t, "../domain")
	envelope := declarations(t, "../eventstore")
	var out bytes.Buffer
	fmt.Fprintf(&out, eventsHead, fieldTable(envelope, "Record")+"\n`Meta`:\n\n"+fieldTable(envelope, "Meta"))
	shared := map[string]bool{}
	for _, name := range eventstore.KnownTypes() {
		golden := read(t, filepath.Join("..", "eventstore", "testdata", "events", name+".json"))
		event, err := eventstore.Decode(eventstore.Record{Type: name, Data: []byte(golden)})
		if err != nil {
			t.Fatal(err)
		}
		typ := reflect.TypeOf(event).Name()
		fmt.Fprintf(&out, "\n## %s\n\n%s\n\n%s\nExample:\n\n```json\n%s\n```\n", name, structs[typ].doc, fieldTable(structs, typ), strings.TrimSpace(golden))
		structs.reach(typ, shared)
	}
	out.WriteString("\n# What events are made of\n")
	for _, name := range slices.Sorted(keys(shared)) {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n\n%s", name, structs[name].doc, fieldTable(structs, name))
	}
	out.WriteString(vocabulary(t))
	return out.String()
}

func keys(set map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range set {
			if !yield(k) {
				return
			}
		}
	}
}

// structure is a struct type as its source declares it.
type structure struct {
	doc    string
	fields []field
}

type field struct {
	json, typ, doc string
	embedded       bool
}

type structures map[string]structure

// declarations parses the struct types of a package.
func declarations(t *testing.T, dir string) structures {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	out := structures{}
	set := token.NewFileSet()
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			out.add(d)
		}
	}
	return out
}

func (s structures) add(d ast.Decl) {
	gen, ok := d.(*ast.GenDecl)
	if !ok {
		return
	}
	for _, spec := range gen.Specs {
		typ, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		if body, ok := typ.Type.(*ast.StructType); ok {
			s[typ.Name.Name] = structure{doc: flat(gen.Doc), fields: fieldsOf(body)}
		}
	}
}

func fieldsOf(body *ast.StructType) []field {
	var out []field
	for _, f := range body.Fields.List {
		one := field{typ: types.ExprString(f.Type), doc: flat(f.Doc), embedded: len(f.Names) == 0}
		if one.doc == "" {
			one.doc = flat(f.Comment)
		}
		if f.Tag != nil {
			tag, _ := strconv.Unquote(f.Tag.Value)
			one.json = reflect.StructTag(tag).Get("json")
		}
		if one.embedded {
			out = append(out, one)
			continue
		}
		for _, name := range f.Names {
			if one.json == "" {
				one.json = name.Name
			}
			out = append(out, one)
		}
	}
	return out
}

func flat(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	text := strings.Join(strings.Fields(strings.TrimSuffix(c.Text(), "sumtype:decl")), " ")
	return strings.NewReplacer("[", "", "]", "").Replace(text)
}

// fieldTable lists the fields of a struct, those of embedded ones in their place.
func fieldTable(s structures, name string) string {
	var out strings.Builder
	out.WriteString("| field | type | |\n|---|---|---|\n")
	s.rows(&out, name)
	return out.String()
}

func (s structures) rows(out *strings.Builder, name string) {
	for _, f := range s[name].fields {
		if f.embedded {
			s.rows(out, f.typ)
			continue
		}
		json, options, _ := strings.Cut(f.json, ",")
		doc := f.doc
		if strings.Contains(options, "omitempty") {
			doc = strings.TrimSpace(doc + " (left out when empty)")
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", json, strings.ReplaceAll(f.typ, "|", `\|`), strings.ReplaceAll(doc, "|", `\|`))
	}
}

// reach notes every struct that name holds, embedded ones seen through.
func (s structures) reach(name string, seen map[string]bool) {
	for _, f := range s[name].fields {
		typ := strings.TrimLeft(f.typ, "[]*")
		if _, ok := s[typ]; !ok {
			continue
		}
		if !f.embedded && !seen[typ] {
			seen[typ] = true
		}
		s.reach(typ, seen)
	}
}

// vocabulary lists the kinds, and where each edge may lead.
func vocabulary(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("\n# Kinds and edges\n\n| kind | edge | may lead to |\n|---|---|---|\n")
	for _, kind := range domain.Kinds() {
		for _, e := range kind.Info().Edges {
			to := make([]string, len(e.Targets))
			for i, k := range e.Targets {
				to[i] = "`" + string(k) + "`"
			}
			fmt.Fprintf(&out, "| `%s` | `%s` | %s |\n", kind, e.Edge, strings.Join(to, ", "))
		}
	}
	return out.String()
}
