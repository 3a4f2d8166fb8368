package contracts

import (
	"cmp"
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// The media types of contracts.
const (
	MediaTypeSchema   = "application/schema+json"
	MediaTypeAsyncAPI = "application/vnd.aai.asyncapi+json;version=3.0.0"
)

// The names of the contracts that are no schemas of events.
const (
	NameEnvelope = "envelope" // the schema of an event in the structured mode of CloudEvents
	NameAsyncAPI = "asyncapi" // the AsyncAPI document
)

// Document is one contract. Its data is JSON, which nobody changes.
type Document struct {
	Name      string // lower-case letters, digits, dots and underscores: of an event's schema, the stored type
	MediaType string
	About     string // one line for people
	Data      []byte
}

//go:embed schemas/*.json asyncapi.json
var files embed.FS

// Documents returns the contracts of this package, in the order of their names. The caller owns the slice, not the data.
func Documents() []Document {
	var out []Document
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		out = append(out, document(strings.TrimSuffix(path.Base(name), ".json"), data))
		return err
	})
	if err != nil {
		panic(err) //nolint:forbidigo // embedded files can be read
	}
	Sort(out)
	return out
}

func document(name string, data []byte) Document {
	switch name {
	case NameAsyncAPI:
		return Document{Name: name, MediaType: MediaTypeAsyncAPI, About: "AsyncAPI 3.0 document of the channels by which events leave", Data: data}
	case NameEnvelope:
		return Document{Name: name, MediaType: MediaTypeSchema, About: "JSON Schema of an event in the structured mode of CloudEvents", Data: data}
	default:
		return Document{Name: name, MediaType: MediaTypeSchema, About: "JSON Schema of the data of " + name, Data: data}
	}
}

// Sort puts documents into the order of their names.
func Sort(documents []Document) {
	slices.SortFunc(documents, func(a, b Document) int { return cmp.Compare(a.Name, b.Name) })
}

// Find returns the document with a name, which may also be given as the dataschema of an event. ok is false when there is none.
func Find(documents []Document, name string) (_ Document, ok bool) {
	name = strings.TrimPrefix(name, cloudevents.SchemaPrefix)
	i := slices.IndexFunc(documents, func(d Document) bool { return d.Name == name })
	if i < 0 {
		return Document{}, false
	}
	return documents[i], true
}
