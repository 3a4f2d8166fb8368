package contracts_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

// object is a part of a document.
type object = map[string]any

// envelopeSchema describes what cloudevents.Encoder makes, in structured mode.
func envelopeSchema() *jsonschema.Schema {
	text := func(about, pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MinLength: new(1), Description: about, Pattern: pattern}
	}
	number := func(about string, least float64) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "integer", Minimum: &least, Description: about}
	}
	at := text("When the log recorded the event, by the clock of the engine, in UTC.", "")
	at.Format = "date-time"
	return &jsonschema.Schema{
		Schema: dialect, ID: cloudevents.SchemaPrefix + contracts.NameEnvelope, Title: contracts.NameEnvelope, Type: "object",
		Description: "An event of gxpledger in the structured mode of CloudEvents 1.0. Extensions may be added.",
		Required: []string{
			"specversion", "id", "source", "type", "time", "dataschema", "datacontenttype", cloudevents.ExtensionSequence, cloudevents.ExtensionPartitionKey,
			cloudevents.ExtensionBatchIndex, cloudevents.ExtensionBatchSize, "data",
		},
		Properties: map[string]*jsonschema.Schema{
			"specversion":                     {Type: "string", Const: jsonschema.Ptr[any](cloudevents.SpecVersion)},
			"id":                              text("Identifies the event for ever: the key to drop duplicates by.", `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
			"source":                          text("The log and the repository, or the engine.", `^/logs/[0-9a-f-]{36}/(engine|repositories/[^/]+)$`),
			"type":                            text("io.gxpledger. and the stored type.", `^io\.gxpledger\.`),
			"subject":                         text("What it is about: the path of an artifact, with # and its ordinal where a file holds several; the name of a repository; the id of a scan; the target of an admin action; the fingerprint of a key. Absent where that is no text of CloudEvents.", ""),
			"time":                            at,
			"dataschema":                      text("The schema of the data.", `^urn:gxpledger:schema:`),
			"datacontenttype":                 {Type: "string", Const: jsonschema.Ptr[any](cloudevents.DataContentType)},
			cloudevents.ExtensionSequence:     text("The position in the log, in 20 digits: texts sort as positions do. Compare positions of one log, do not count with them.", `^[0-9]{20}$`),
			cloudevents.ExtensionPartitionKey: text("The id of the repository, or engine. Events of one key are in order.", ""),
			cloudevents.ExtensionScanID:       text("The scan that recorded the event. Absent for what no scan recorded.", ""),
			cloudevents.ExtensionScanNumber:   number("Counts the scans of the repository.", 1),
			cloudevents.ExtensionBatchIndex:   number("The place in the batch.", 0),
			cloudevents.ExtensionBatchSize:    number("The number of events of the batch. The one whose batchindex is batchsize - 1 ends it.", 1),
			cloudevents.ExtensionCommit:       text("The commit that was scanned.", ""),
			cloudevents.ExtensionTraceParent:  text("W3C trace context of what appended the event.", ""),
			"data":                            {Type: "object", Description: "The stored bytes of the event."},
		},
	}
}

// asyncAPI describes the channels by which the events of the schemas leave.
func asyncAPI(tb testing.TB, envelope *jsonschema.Schema, schemas map[string]json.RawMessage) object {
	tb.Helper()
	messages, all := object{}, object{}
	components := object{contracts.NameEnvelope: embedded(tb, indented(tb, envelope))}
	scans := object{}
	for _, name := range eventstore.KnownTypes() {
		schema := embedded(tb, schemas[name])
		components[name] = schema
		messages[name] = object{
			"name": cloudevents.TypePrefix + name, "title": name, "summary": schema["description"], "contentType": cloudevents.MediaType,
			"payload": object{"allOf": []any{
				object{"$ref": "#/components/schemas/" + contracts.NameEnvelope},
				object{"type": "object", "properties": object{
					"type": object{"const": cloudevents.TypePrefix + name}, "dataschema": object{"const": cloudevents.SchemaName(name)},
					"data": object{"$ref": "#/components/schemas/" + name},
				}},
			}},
			"bindings": object{"kafka": object{"key": object{"type": "string", "description": "the partitionkey"}, "bindingVersion": "0.5.0"}},
		}
		all[name] = object{"$ref": "#/components/messages/" + name}
		if strings.HasPrefix(name, "scan.") {
			scans[name] = object{"$ref": "#/components/messages/" + name}
		}
	}
	channels, operations := object{}, object{}
	for _, c := range []channel{
		{"sse", "/v1/events", "Server-sent events. Each has one event as its data and its sequence as its id; Last-Event-ID or ?after= resumes behind it.", all, object{"http": object{"method": "GET", "bindingVersion": "0.3.0"}}},
		{"webhook", nil, "Requests to an address that an operator gave, signed as Standard Webhooks says. The webhook-id is the id of the event.", all, object{"http": object{"method": "POST", "bindingVersion": "0.3.0"}}},
		{"brokerScans", "gxpledger.scans", "A topic, subject or stream of a broker: the event of each scan that ends its batch, and no other.", scans, nil},
		{"brokerEvents", "gxpledger.events", "A topic, subject or stream of a broker: every event.", all, nil},
	} {
		channels[c.name] = object{"address": c.address, "description": c.about, "messages": c.messages}
		operation := object{"action": "send", "channel": object{"$ref": "#/channels/" + c.name}, "summary": c.about}
		if c.bindings != nil {
			operation["bindings"] = c.bindings
		}
		operations["send_"+c.name] = operation
	}
	return object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "gxpledger", "version": "1.0.0",
			"description": "The events of a log. Each is sent at least once, in the order of the log for each partitionkey; the same id means the same event, byte for byte. Fields and types may be added; a type never changes its meaning.",
		},
		"defaultContentType": cloudevents.MediaType,
		"channels":           channels,
		"operations":         operations,
		"components":         object{"messages": messages, "schemas": components},
	}
}

// channel is one way out.
type channel struct {
	name     string
	address  any // nil when it is not known before
	about    string
	messages object
	bindings object
}

// embedded is a schema as a part of another document, which names and versions it.
func embedded(tb testing.TB, schema []byte) object {
	tb.Helper()
	var out object
	if err := json.Unmarshal(schema, &out); err != nil {
		tb.Fatal(fmt.Errorf("a schema is no JSON: %w", err))
	}
	delete(out, "$id")
	delete(out, "$schema")
	return out
}
