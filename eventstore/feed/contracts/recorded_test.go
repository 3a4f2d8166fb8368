package contracts_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

// Whatever an event holds, empty or not, its stored form is what its schema says.
func TestWhateverIsEncodedIsValid(t *testing.T) {
	t.Parallel()
	schemaOf := compile(t)
	for _, e := range events() {
		schema := schemaOf(eventstore.TypeOf(e))
		rapid.Check(t, func(t *rapid.T) {
			v := reflect.New(reflect.TypeOf(e)).Elem()
			draw(t, v)
			event, ok := reflect.TypeAssert[domain.Event](v)
			if !ok {
				t.Fatalf("%s is not an event", v.Type())
			}
			typ, data, err := eventstore.Encode(event)
			if err != nil {
				t.Fatal(err)
			}
			var document any
			if err := json.Unmarshal(data, &document); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); err != nil {
				t.Fatalf("%s is not valid: %v\n%s", typ, err, data)
			}
		})
	}
}

// draw sets v to anything that an event may hold.
func draw(t *rapid.T, v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(0, 253_000_000_000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))))
		return
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(rapid.SampledFrom([]string{"", "{}", `{"a":[null]}`}).Draw(t, "fields")))
		return
	}
	switch v.Kind() { //nolint:exhaustive // the default refuses the others
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "x", "\u0000é"}).Draw(t, "text"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64Range(-1, 1<<52).Draw(t, "number"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "truth"))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			draw(t, field)
		}
	case reflect.Slice:
		if length := rapid.IntRange(-1, 2).Draw(t, "length"); length >= 0 { // -1 is nil
			v.Set(reflect.MakeSlice(v.Type(), length, length))
			for i := range length {
				draw(t, v.Index(i))
			}
		}
	case reflect.Map:
		if rapid.Bool().Draw(t, "map") {
			v.Set(reflect.MakeMap(v.Type()))
			value := reflect.New(v.Type().Elem()).Elem()
			draw(t, value)
			v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
		}
	default:
		t.Fatalf("no value for a %s", v.Type())
	}
}

// What an engine records leaves as the contracts say: a completed scan of this project's own artifacts, and a failed one.
func TestWhatAnEngineRecordsIsValid(t *testing.T) {
	t.Parallel()
	project, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: filepath.Join(t.TempDir(), "home")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	if _, err := ledger.Scan(t.Context(), gxpledger.ScanRequest{Repository: project, Name: "own", Worktree: true, Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.MkdirAll(filepath.Join(broken, ".gxp", "specs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Scan(t.Context(), gxpledger.ScanRequest{Repository: broken, Name: "broken", Worktree: true, Reason: "test"}); err == nil {
		t.Fatal("a scan without a system context completed")
	}
	checkRecorded(t, ledger)
}

// noReads is a log that is never read.
type noReads struct{ eventstore.StreamReader }

func (noReads) ID() uuid.UUID { return uuid.MustParse("0192f0c1-2d3e-7f40-8a5b-6c7d8e9fa0b1") }

// checkRecorded checks every event of a log against the contracts, to its last scan.
func checkRecorded(t *testing.T, ledger *gxpledger.Ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	schemaOf := compile(t)
	encoder := cloudevents.NewEncoder(noReads{})
	seen := map[string]int{}
	for r, err := range ledger.Follow(ctx, 0) {
		if err != nil {
			t.Fatalf("%v, after %v", err, seen)
		}
		seen[r.Type]++
		r.Meta.Index, r.Meta.Size = 0, 1 // its batch is not at hand
		e, err := encoder.Encode(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		structured, err := e.Structured()
		if err != nil {
			t.Fatal(err)
		}
		root, ok := instance(t, structured).(map[string]any)
		if !ok {
			t.Fatalf("sent is %s", structured)
		}
		if err := schemaOf(contracts.NameEnvelope).Validate(root); err != nil {
			t.Errorf("position %d: %v", r.Position, err)
		}
		if err := schemaOf(strings.TrimPrefix(e.DataSchema, cloudevents.SchemaPrefix)).Validate(root["data"]); err != nil {
			t.Errorf("position %d, %s: %v", r.Position, r.Type, err)
		}
		if r.Type == eventstore.TypeScanFailed {
			break
		}
	}
	if seen[eventstore.TypeScanCompleted] != 1 || seen[eventstore.TypeArtifactParsed] < 10 {
		t.Errorf("the log holds %v", seen)
	}
}
