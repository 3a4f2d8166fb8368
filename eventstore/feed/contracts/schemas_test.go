package contracts_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// dialect is the form of JSON Schema that contracts have.
const dialect = "https://json-schema.org/draft/2020-12/schema"

// eventSchema makes the schema of an event of its Go type and the comments of its source.
func eventSchema(tb testing.TB, name string, event reflect.Type, sources comments) *jsonschema.Schema {
	tb.Helper()
	s, err := jsonschema.ForType(event, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {Type: "object"},
		reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	sources.complete(s, event)
	s.Schema, s.ID, s.Title, s.Description = dialect, cloudevents.SchemaName(name), name, sources.types[event.Name()]
	return s
}

// comments are those of the source of a package.
type comments struct {
	types  map[string]string            // by name of the type
	fields map[string]map[string]string // by name of the type, then of the field
	values map[string][]any             // the string constants of a type, in their order
}

// readComments reads the source of the package in dir.
func readComments(tb testing.TB, dir string) comments {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no source in %s: %v", dir, err)
	}
	out := comments{types: map[string]string{}, fields: map[string]map[string]string{}, values: map[string][]any{}}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range file.Decls {
			if declared, ok := d.(*ast.GenDecl); ok {
				out.add(declared)
			}
		}
	}
	return out
}

func (c comments) add(declared *ast.GenDecl) {
	for _, spec := range declared.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			c.types[spec.Name.Name] = flat(declared.Doc)
			if body, ok := spec.Type.(*ast.StructType); ok {
				c.fields[spec.Name.Name] = fieldComments(body)
			}
		case *ast.ValueSpec:
			c.addValue(spec)
		}
	}
}

func (c comments) addValue(spec *ast.ValueSpec) {
	typ, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, value := range spec.Values {
		if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && text != "" {
				c.values[typ.Name] = append(c.values[typ.Name], text)
			}
		}
	}
}

func fieldComments(body *ast.StructType) map[string]string {
	out := map[string]string{}
	for _, f := range body.Fields.List {
		text := flat(f.Doc)
		if text == "" {
			text = flat(f.Comment)
		}
		for _, name := range f.Names {
			out[name.Name] = text
		}
	}
	return out
}

// flat is a comment on one line, without the brackets of links.
func flat(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.NewReplacer("[", "", "]", "").Replace(strings.Join(strings.Fields(c.Text()), " "))
}

// complete adds comments and known values to the schema of a type, and lets other fields be.
func (c comments) complete(s *jsonschema.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s.Format == "date-time" || t == reflect.TypeFor[json.RawMessage]() {
		return
	}
	switch t.Kind() { //nolint:exhaustive // the other kinds hold nothing
	case reflect.String:
		s.Examples = c.values[t.Name()]
	case reflect.Slice:
		c.complete(s.Items, t.Elem())
	case reflect.Map:
		c.complete(s.AdditionalProperties, t.Elem())
	case reflect.Struct:
		s.AdditionalProperties = nil
		for _, field := range reflect.VisibleFields(t) {
			if field.Anonymous {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			p := s.Properties[name]
			p.Description = c.fields[owner(t, field).Name()][field.Name]
			if !slices.Contains(s.Required, name) {
				neverNull(p)
			}
			c.complete(p, field.Type)
		}
	}
}

// owner is the struct that declares a field of t.
func owner(t reflect.Type, field reflect.StructField) reflect.Type {
	for _, i := range field.Index[:len(field.Index)-1] {
		t = t.Field(i).Type
	}
	return t
}

// neverNull is for what is left out when it is empty.
func neverNull(s *jsonschema.Schema) {
	if i := slices.Index(s.Types, "null"); i >= 0 {
		s.Types = slices.Delete(slices.Clone(s.Types), i, i+1)
	}
	if len(s.Types) == 1 {
		s.Type, s.Types = s.Types[0], nil
	}
}

// indented is the form of a schema in its file.
func indented(tb testing.TB, v any) []byte {
	tb.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return []byte(out.String())
}
