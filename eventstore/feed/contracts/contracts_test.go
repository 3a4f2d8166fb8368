package contracts_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

const goldenFolder = "../../testdata/events"

// events are one value of each event that is written today.
func events() []domain.Event {
	return []domain.Event{
		domain.RepositoryRegistered{},
		domain.RepositoryChanged{},
		domain.RepositoryRetired{},
		domain.ArtifactParsed{},
		domain.ArtifactRejected{},
		domain.ArtifactRemoved{},
		domain.ArtifactRelinked{},
		domain.RejectionCleared{},
		domain.ScanCompleted{},
		domain.ScanFailed{},
		domain.AdminActed{},
		domain.KeyTrusted{},
		domain.KeyRevoked{},
		domain.RelayAdded{},
		domain.RelayRemoved{},
		domain.ScanAttemptFailed{},
	}
}

// generate makes the documents that follow from the Go types, by file.
func generate(t *testing.T) map[string][]byte {
	t.Helper()
	sources := readComments(t, "../../../domain")
	out, known := map[string][]byte{}, map[string]json.RawMessage{}
	for _, name := range eventstore.KnownTypes() {
		if data, err := os.ReadFile(schemaFile(name)); err == nil {
			known[name] = data // of an earlier version, unless it is made below
		}
	}
	for _, e := range events() {
		name := eventstore.TypeOf(e)
		out[schemaFile(name)] = indented(t, eventSchema(t, name, reflect.TypeOf(e), sources))
		known[name] = out[schemaFile(name)]
	}
	out[schemaFile(contracts.NameEnvelope)] = indented(t, envelopeSchema())
	out["asyncapi.json"] = indented(t, asyncAPI(t, envelopeSchema(), known))
	return out
}

func schemaFile(name string) string { return filepath.Join("schemas", name+".json") }

func TestGoldenContractsAreThoseOfTheGoTypes(t *testing.T) { //nolint:paralleltest // it writes files that others read
	for file, want := range generate(t) {
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, want, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): run UPDATE_GOLDEN=1 go test ./eventstore/feed/contracts", file, err)
		}
	}
}

func TestEveryStoredTypeHasASchemaWithItsName(t *testing.T) {
	t.Parallel()
	documents := contracts.Documents()
	names := append(eventstore.KnownTypes(), contracts.NameEnvelope, contracts.NameAsyncAPI)
	if len(documents) != len(names) {
		t.Errorf("%d contracts for %d names", len(documents), len(names))
	}
	for _, name := range names {
		d, ok := contracts.Find(documents, name)
		if !ok || d.Name != name || !json.Valid(d.Data) || d.About == "" {
			t.Errorf("%s: found %v, %s, about %q", name, ok, d.Name, d.About)
		}
		var head struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal(d.Data, &head); err != nil || name != contracts.NameAsyncAPI && head.ID != cloudevents.SchemaName(name) {
			t.Errorf("%s: $id is %q, %v", name, head.ID, err)
		}
		if byURN, ok := contracts.Find(documents, cloudevents.SchemaName(name)); !ok || byURN.Name != name {
			t.Errorf("%s is not found as %s", name, cloudevents.SchemaName(name))
		}
	}
	if !slices.IsSortedFunc(documents, func(a, b contracts.Document) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("contracts are not in order")
	}
	if _, ok := contracts.Find(documents, "artifact.parsed"); ok {
		t.Error("a name that is no contract is found")
	}
}

// compile compiles all schemas, against the schema of schemas.
func compile(tb testing.TB) func(name string) *schemas.Schema {
	tb.Helper()
	compiler := schemas.NewCompiler()
	compiler.AssertFormat()
	for _, d := range contracts.Documents() {
		if d.MediaType != contracts.MediaTypeSchema {
			continue
		}
		if err := compiler.AddResource(cloudevents.SchemaName(d.Name), instance(tb, d.Data)); err != nil {
			tb.Fatal(err)
		}
	}
	return func(name string) *schemas.Schema {
		schema, err := compiler.Compile(cloudevents.SchemaName(name))
		if err != nil {
			tb.Fatal(err)
		}
		return schema
	}
}

// instance reads JSON as the validator wants it.
func instance(tb testing.TB, data []byte) any {
	tb.Helper()
	v, err := schemas.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// goldens are the stored forms of events, by file.
func goldens(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(goldenFolder, "*.json"))
	if err != nil || len(files) < len(eventstore.KnownTypes()) {
		tb.Fatalf("%d golden events, %v", len(files), err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = data
	}
	return out
}

// I11: what was stored once is valid for ever, and a schema is of use: what lacks a field that it demands, or has another type
// than it says, at any depth, is not valid.
func TestGoldenEventsAreValidAndBrokenOnesAreNot(t *testing.T) {
	t.Parallel()
	schemaOf := compile(t)
	for file, data := range goldens(t) {
		name, _, _ := strings.Cut(file, "+")
		schema := schemaOf(name)
		if err := schema.Validate(instance(t, data)); err != nil {
			t.Errorf("%s is not valid: %v", file, err)
			continue
		}
		document, _ := contracts.Find(contracts.Documents(), name)
		root := instance(t, data)
		b := breaker{t: t, file: file, valid: func() bool { return schema.Validate(root) == nil }}
		b.breakAll(instance(t, document.Data), root, "")
		if b.removed == 0 || b.replaced < b.removed {
			t.Errorf("%s: %d fields were removed and %d replaced", file, b.removed, b.replaced)
		}
	}
}

// breaker breaks a valid document at one place after the other, and mends it again.
type breaker struct {
	t                 *testing.T
	file              string
	valid             func() bool
	removed, replaced int
}

// breakAll breaks value, which schema describes, everywhere below path.
func (b *breaker) breakAll(schema, value any, path string) {
	rules, ok := schema.(map[string]any)
	if !ok {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		b.breakObject(rules, value, path)
	case []any:
		for i := range value {
			b.replace(rules["items"], func(v any) any { old := value[i]; value[i] = v; return old }, path+"[]")
			b.breakAll(rules["items"], value[i], path+"[]")
		}
	}
}

func (b *breaker) breakObject(rules, value map[string]any, path string) {
	required, _ := rules["required"].([]any)
	for _, name := range required {
		name, _ := name.(string)
		old := value[name]
		delete(value, name)
		if b.removed++; b.valid() {
			b.t.Errorf("%s is valid without %s/%s", b.file, path, name)
		}
		value[name] = old
	}
	properties, _ := rules["properties"].(map[string]any)
	for name := range value {
		schema, known := properties[name]
		if !known {
			schema = rules["additionalProperties"]
		}
		if schema == nil {
			if !strings.HasPrefix(path, "/fields") { // what an author wrote, of any form
				b.t.Errorf("%s: nothing describes %s/%s", b.file, path, name)
			}
			continue
		}
		b.replace(schema, func(v any) any { old := value[name]; value[name] = v; return old }, path+"/"+name)
		b.breakAll(schema, value[name], path+"/"+name)
	}
	value["added_later"] = json.Number("7.5")
	if _, ofOneType := rules["additionalProperties"]; b.valid() == ofOneType { // values of a map have a type, fields do not
		b.t.Errorf("%s: a field that is added later at %s: valid %v", b.file, path, b.valid())
	}
	delete(value, "added_later")
}

// replace puts values of other types in place of one.
func (b *breaker) replace(schema any, set func(any) any, path string) {
	rules, _ := schema.(map[string]any)
	for typ, wrong := range map[string]any{"string": "x", "integer": json.Number("1"), "boolean": true, "object": map[string]any{}, "array": []any{}} {
		if types, several := rules["type"].([]any); rules["type"] == typ || several && slices.Contains(types, any(typ)) {
			continue
		}
		old := set(wrong)
		if b.replaced++; b.valid() {
			b.t.Errorf("%s is valid with a %s at %s", b.file, typ, path)
		}
		set(old)
	}
}
