package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

type object = map[string]any

// schemas collects the schemas of answers.
type schemas struct {
	tb  testing.TB
	all object
}

// of returns a reference to the schema of the type of a value.
func (s schemas) of(value any) object {
	s.tb.Helper()
	t := reflect.TypeOf(value)
	name := t.Name()
	if name == "" {
		name = t.Elem().Name() + "List"
	}
	name = strings.ToUpper(name[:1]) + strings.TrimSuffix(name[1:], "Document")
	made, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {}, reflect.TypeFor[[]byte](): {Type: "string", ContentEncoding: "base64"},
		reflect.TypeFor[time.Time](): {Type: "string", Format: "date-time"},
	}})
	if err != nil {
		s.tb.Fatalf("%s: %v", t, err)
	}
	opened(made)
	if strings.HasSuffix(t.Name(), "Document") && made.Properties != nil {
		made.Properties["next"] = &jsonschema.Schema{Type: "string", Description: "What to ask the next page with, as after; absent on the last page, and where there are no pages."}
	}
	s.all[name] = made
	return object{"$ref": "#/components/schemas/" + name}
}

// opened lets objects have more than is known now: fields may be added.
func opened(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	opened(s.Items)
	opened(s.AdditionalProperties)
	for _, property := range s.Properties {
		opened(property)
	}
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// openAPIOf is the OpenAPI document of operations.
func openAPIOf(tb testing.TB, operations []api.Operation) []byte {
	tb.Helper()
	s := schemas{tb, object{}}
	problem := object{"description": "A problem, as RFC 9457 has it", "content": object{"application/problem+json": object{"schema": s.of(api.ProblemError{})}}}
	paths := map[string]object{}
	for _, o := range operations {
		parameters := []object{}
		for _, p := range o.Takes() {
			parameters = append(parameters, object{
				"name": p.Name, "in": string(p.In), "required": p.Required, "description": p.About, "schema": object{"type": "string"},
			})
		}
		media, answer := "application/json", object{}
		switch {
		case o.ID == "events":
			media, answer = "text/event-stream", object{"type": "string"}
		case o.Bytes != nil:
			media = "application/octet-stream"
		case o.Answer != nil:
			answer = s.of(o.Answer)
		}
		status := "200"
		described := object{
			"operationId": o.ID, "summary": o.Summary, "parameters": parameters,
			"description": "Needs: " + string(o.Needs) + ".",
		}
		if o.Method == http.MethodPost {
			status = "202"
			described["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": object{
				"type": "object", "properties": object{"reason": object{"type": "string"}}, "additionalProperties": false,
			}}}}
		}
		described["responses"] = object{
			status:    object{"description": "The answer", "content": object{media: object{"schema": answer}}},
			"default": problem,
		}
		if paths[o.Path()] == nil {
			paths[o.Path()] = object{}
		}
		paths[o.Path()][strings.ToLower(o.Method)] = described
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(object{
		"openapi": "3.1.0", "paths": paths, "components": object{"schemas": s.all},
		"info": object{
			"title": "gxpledger", "version": "1.0.0", "license": object{"name": "See the file LICENSE", "identifier": "Apache-2.0"},
			"description": "What was recorded of the compliance artifacts of git repositories. Times are UTC. Answers may get further fields.",
		},
	}); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestTheOpenAPIDocumentIsThatOfTheOperations(t *testing.T) {
	t.Parallel()
	const name = "../api/openapi.json"
	made := openAPIOf(t, cli.Operations())
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, made, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(made, api.OpenAPI().Data) {
		t.Errorf("%s is not that of the operations: UPDATE_GOLDEN=1 go test writes it", name)
	}
	document, err := openapi3.NewLoader().LoadFromData(made)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, o := range cli.Operations() {
		if seen[o.ID] || o.Summary == "" || o.Needs == "" || strings.HasSuffix(o.Summary, ".") {
			t.Errorf("%s: its id, summary or need is missing or not its own", o.ID)
		}
		seen[o.ID] = true
		names := map[string]bool{}
		for _, p := range o.Takes() {
			if names[p.Name] {
				t.Errorf("%s: two parameters have the name %s, of which one would be lost", o.ID, p.Name)
			}
			names[p.Name] = true
		}
		for _, m := range pathParameter.FindAllStringSubmatch(o.Path(), -1) {
			found := false
			for _, p := range o.Takes() {
				found = found || p.Name == m[1] && p.In == api.InPath && p.Required
			}
			if !found {
				t.Errorf("%s: the parameter %s of its path is not described", o.ID, m[1])
			}
		}
	}
}
