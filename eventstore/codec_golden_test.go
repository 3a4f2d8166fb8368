package eventstore_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

const goldenFolder = "testdata/events"

// I11: what was stored once is decoded for ever, and what is encoded now is byte for byte what was stored.
func TestStoredFormsNeverChange(t *testing.T) {
	updateGoldens(t) // before Parallel: no test that reads the files runs yet
	t.Parallel()
	for file, want := range allSamples() {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(file, "+")
			typ, data, err := eventstore.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			if typ != name {
				t.Errorf("encodes as %q", typ)
			}
			golden := readGolden(t, filepath.Join(goldenFolder, file+".json"))
			if !bytes.Equal(golden, data) {
				t.Errorf("the stored form changed\n have %s\n want %s", data, golden)
			}
			got, err := eventstore.Decode(eventstore.Record{Type: typ, Data: golden})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("decodes to\n %+v\nwant\n %+v", got, want)
			}
		})
	}
}

// allSamples are the golden events, by file.
func allSamples() map[string]domain.Event {
	all := samples()
	maps.Copy(all, laterSamples())
	return all
}

// updateGoldens writes the golden files when UPDATE_GOLDEN is 1.
func updateGoldens(t *testing.T) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "1" {
		return
	}
	for name, event := range allSamples() {
		_, data, err := eventstore.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, data, "", "  "); err != nil {
			t.Fatal(err)
		}
		indented.WriteByte('\n')
		if err := os.WriteFile(filepath.Join(goldenFolder, name+".json"), indented.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// readGolden returns the stored form, which the file shows indented.
func readGolden(tb testing.TB, file string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var data bytes.Buffer
	if err := json.Compact(&data, raw); err != nil {
		tb.Fatal(err)
	}
	return data.Bytes()
}

// A golden file is never removed: each is the memory of a form that some log holds.
func TestEveryKnownTypeHasAGoldenFileAndEveryFileDecodes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(goldenFolder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		name, later, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "+")
		if later == "" {
			names = append(names, name)
		}
		if _, err := eventstore.Decode(eventstore.Record{Type: name, Data: readGolden(t, file)}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	known := slices.Sorted(slices.Values(eventstore.KnownTypes()))
	slices.Sort(names)
	if names = slices.Compact(names); !slices.Equal(names, known) {
		t.Errorf("golden files are of %v, known types are %v", names, known)
	}
}

// A field that no golden event fills could change its name unseen.
func TestGoldenEventsFillEveryField(t *testing.T) {
	t.Parallel()
	for name, event := range samples() {
		filled := map[string]bool{}
		markFilled(reflect.ValueOf(event), name, filled)
		for file, later := range laterSamples() {
			if strings.HasPrefix(file, name+"+") {
				markFilled(reflect.ValueOf(later), name, filled)
			}
		}
		for field, ok := range filled {
			if !ok {
				t.Errorf("no golden event fills %s", field)
			}
		}
	}
}

// markFilled notes for each field below v whether any value of it is set; the elements of a slice count as one.
func markFilled(v reflect.Value, path string, filled map[string]bool) {
	filled[path] = filled[path] || !v.IsZero()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
	case v.Kind() == reflect.Pointer && !v.IsNil():
		markFilled(v.Elem(), path, filled)
	case v.Kind() == reflect.Struct:
		for field, value := range v.Fields() {
			markFilled(value, path+"."+field.Name, filled)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			markFilled(v.Index(i), path+"[]", filled)
		}
	}
}

// The set of events is closed in package domain; this is the list that a new one must be added to.
func TestEveryEventHasASample(t *testing.T) {
	t.Parallel()
	have := map[reflect.Type]bool{}
	for _, e := range samples() {
		have[reflect.TypeOf(e)] = true
	}
	for _, e := range []domain.Event{
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
	} {
		if !have[reflect.TypeOf(e)] {
			t.Errorf("%T has no sample", e)
		}
	}
	if len(have)+len(earlierForms(t)) != len(eventstore.KnownTypes()) {
		t.Errorf("%d samples and %d earlier forms for %d known types", len(have), len(earlierForms(t)), len(eventstore.KnownTypes()))
	}
}
