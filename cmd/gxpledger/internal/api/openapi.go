package api

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

//go:embed openapi.json
var openAPI []byte

// MediaTypeOpenAPI is the media type of [OpenAPI].
const MediaTypeOpenAPI = "application/vnd.oai.openapi+json;version=3.1"

// NameOpenAPI is the name of [OpenAPI] among the contracts.
const NameOpenAPI = "openapi"

// OpenAPI is the OpenAPI 3.1 document of all operations. A test makes it of their table, and of the Go types of their answers.
func OpenAPI() contracts.Document {
	return contracts.Document{Name: NameOpenAPI, MediaType: MediaTypeOpenAPI, About: "OpenAPI 3.1 document of the HTTP interface", Data: openAPI}
}

// ContractOperations serve documents: see [contracts.NewHandler].
func ContractOperations(documents []contracts.Document) []Operation {
	handler := contracts.NewHandler(documents)
	serve := func(path string) func(http.ResponseWriter, *http.Request, Call) error {
		return func(w http.ResponseWriter, r *http.Request, _ Call) error {
			if path != "" {
				r = r.Clone(r.Context())
				r.URL.Path = path
			}
			handler.ServeHTTP(w, r)
			return nil
		}
	}
	return []Operation{
		{
			ID: "contracts", Method: http.MethodGet, Pattern: contracts.Prefix + "{$}", Needs: NeedNothing, Answer: []contracts.Entry{}, Handle: serve(""),
			Summary: "List the contracts: schemas of events, and documents of the interfaces",
		},
		{
			ID: "contract", Method: http.MethodGet, Pattern: contracts.Prefix + "{name}", Needs: NeedNothing, Handle: serve(""),
			Summary:    "Show one contract",
			Parameters: []Parameter{{Name: "name", In: InPath, About: "A stored type such as scan.completed.v2, envelope, asyncapi or openapi.", Required: true}},
		},
		{
			ID: "openapi", Method: http.MethodGet, Pattern: "/v1/openapi.json", Needs: NeedNothing, Handle: serve(contracts.Prefix + NameOpenAPI),
			Summary: "Show this document",
		},
	}
}

// Path is the path of o as OpenAPI writes it.
func (o *Operation) Path() string {
	return strings.NewReplacer("{$}", "", "...}", "}").Replace(o.Pattern)
}

// Takes are all parameters of o, those of paging too.
func (o *Operation) Takes() []Parameter { return o.all() }
