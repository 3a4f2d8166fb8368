package cloudevents_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	protocol "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

// The Go SDK of CloudEvents, which nobody here wrote, reads both modes as what was encoded.
func TestTheGoSDKReadsBothModes(t *testing.T) {
	t.Parallel()
	var events []stored
	for _, typ := range eventstore.KnownTypes() {
		events = append(events, stored{typ, golden(t, typ)})
	}
	events = append(events, stored{"scan.completed.v2", golden(t, "scan.completed.v2")})
	log, records := record(t, eventstore.RepositoryStream(repository), meta(), events...)
	encoder := cloudevents.NewEncoder(log)
	for _, r := range records {
		e, err := encoder.Encode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		checkSDK(t, e)
		got, err := binding.ToEvent(t.Context(), protocol.NewMessageFromHttpRequest(request(t, e)))
		if err != nil {
			t.Fatalf("%s in binary mode: %v", r.Type, err)
		}
		sameAsSent(t, got, e)
	}
}

// checkSDK reads the structured mode of e by the SDK.
func checkSDK(t failer, e cloudevents.Event) {
	t.Helper()
	document, err := e.Structured()
	if err != nil {
		t.Fatalf("%v", err)
	}
	var got event.Event
	if err := got.UnmarshalJSON(document); err != nil {
		t.Fatalf("the SDK cannot read %s: %v", document, err)
	}
	sameAsSent(t, &got, e)
}

// sameAsSent compares what the SDK read with what was sent.
func sameAsSent(t failer, got *event.Event, e cloudevents.Event) {
	t.Helper()
	if err := got.Validate(); err != nil {
		t.Fatalf("the SDK finds %v invalid: %v", got, err)
	}
	want := e.Attributes()
	have := map[string]string{
		"specversion": got.SpecVersion(), "id": got.ID(), "source": got.Source(), "type": got.Type(), "datacontenttype": got.DataContentType(),
	}
	for name, value := range map[string]string{"subject": got.Subject(), "dataschema": got.DataSchema()} {
		if value != "" {
			have[name] = value
		}
	}
	if !got.Time().IsZero() {
		have["time"] = got.Time().UTC().Format(time.RFC3339Nano)
	}
	for name, value := range got.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		have[name] = text
	}
	if !maps.Equal(have, want) {
		t.Fatalf("the SDK reads\n %v\nwant\n %v", have, want)
	}
	if !bytes.Equal(got.Data(), e.Data) {
		t.Fatalf("the SDK reads the data %s, want %s", got.Data(), e.Data)
	}
}

// request sends e in binary mode. The SDK does not decode percent-encoded values, so that only events whose values are plain are
// equal in both modes: checkBinary holds the others.
func request(t *testing.T, e cloudevents.Event) *http.Request {
	t.Helper()
	attributes, contentType, data := e.Binary()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(data))
	r.Header.Set("Content-Type", contentType)
	for name, value := range attributes {
		r.Header.Set("Ce-"+name, value)
	}
	return r
}
