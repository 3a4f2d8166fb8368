package eventstore_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// The fast way of decoding is taken for what Encode writes, whatever fields an artifact has: a field that is added to the
// event and not to the fast way is slow, and shows here.
func TestEncodedEventsTakeTheFastDecoder(t *testing.T) {
	t.Parallel()
	full := sampleParsed()
	small := domain.ArtifactParsed{Artifact: domain.Artifact{Key: domain.Key{Path: "a"}}, Number: 1, Version: 1}
	escaped := full
	escaped.Title = "tab\tquote\" backslash\\ line\u2028 \x01 é \U0001f600"
	escaped.Fields = json.RawMessage(`{"a\"\\/\b\n":["\u001f",{},[],"x",null,true,false,0,12]}`)
	for name, want := range map[string]domain.ArtifactParsed{"full": full, "small": small, "escaped": escaped} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, data, err := eventstore.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := eventstore.ParsedFromPlain(data)
			if !ok || !reflect.DeepEqual(got, want) {
				t.Errorf("fast: %t\n got %+v\nwant %+v\n%s", ok, got, want, data)
			}
		})
	}
}

// What the fast way takes, encoding/json takes too, and makes the same event of it.
func TestPropertyBothDecodersAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := reflect.New(reflect.TypeFor[domain.ArtifactParsed]()).Elem()
		fill(t, v)
		event, _ := reflect.TypeAssert[domain.ArtifactParsed](v)
		_, data, err := eventstore.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		if n := rapid.IntRange(0, 3).Draw(t, "edits"); n > 0 { // most of what is stored and not quite right looks like this
			for range n {
				data = edit(t, data)
			}
		}
		checkBothDecoders(t, data)
	})
}

// edit changes, removes or repeats a few bytes.
func edit(t *rapid.T, data []byte) []byte {
	from := rapid.IntRange(0, len(data)).Draw(t, "from")
	to := min(len(data), from+rapid.IntRange(0, 4).Draw(t, "length"))
	put := rapid.SampledFrom([]string{
		"", " ", `"`, `\`, ",", ":", "{", "}", "[", "]", "null", "0", "-1", "01", "1e3", "1.5", `\u12`, `\ud800`, "\n", string(data[from:to]) + string(data[from:to]),
	}).Draw(t, "put")
	return []byte(string(data[:from]) + put + string(data[to:]))
}

type failing interface {
	Fatalf(format string, args ...any)
}

func checkBothDecoders(t failing, data []byte) {
	if !utf8.Valid(data) {
		return // refused before
	}
	fast, ok := eventstore.ParsedFromPlain(data)
	if !ok {
		return
	}
	slow, err := eventstore.ParsedFromJSON(data)
	if err != nil || !reflect.DeepEqual(slow, domain.Event(fast)) {
		t.Fatalf("%s\ndecodes to\n %+v\nand by encoding/json to\n %+v, %v", data, fast, slow, err)
	}
}

func FuzzBothDecodersAgree(f *testing.F) {
	_, data, err := eventstore.Encode(sampleParsed())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(string(data) + "}"))
	for _, pair := range [][2]string{
		{`"z":"1"`, `"z":1.5e3`},
		{`"z":"1"`, `"z":-0`},
		{`"z":"1"`, `"z":01`},
		{`"z":"1"`, `"z":"\ud800\x"`},
		{`"z":"1"`, `"z":"\u00zz"`},
		{`"z":"1"`, `"z":` + strings.Repeat("[", 200) + strings.Repeat("]", 200)},
		{`"z":"1"`, "\"z\":\"a\x01\""},
		{`"links":[`, `"links":[],"x":[`},
		{`"ordinal":1`, `"ordinal":1,"ordinal":2`},
		{`"number":2`, `"number":12345678901`},
		{`"title"`, `"TITLE"`},
		{`"kind"`, ` "kind"`},
		{`"raw":"HIGH"`, `"raw":null`},
	} {
		f.Add([]byte(strings.Replace(string(data), pair[0], pair[1], 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkBothDecoders(t, data) })
}

// BenchmarkDecode decodes requirements of about 1 KB.
func BenchmarkDecode(b *testing.B) {
	event := sampleParsed()
	event.Kind, event.Evidence, event.Members, event.Findings, event.MovedFrom = domain.KindRequirement, nil, nil, nil, nil
	event.Fields = json.RawMessage(`{"gxp_id":"REQ-1","title":"The pump stops","risk_level":"HIGH","tags":["a","b"],"description":"` +
		strings.Repeat("The pump stops within two seconds. ", 8) + `"}`)
	_, data, err := eventstore.Encode(event)
	if err != nil {
		b.Fatal(err)
	}
	record := eventstore.Record{Type: eventstore.TypeArtifactParsed, Data: data}
	for name, decode := range map[string]func() (domain.Event, error){
		"Decode":        func() (domain.Event, error) { return eventstore.Decode(record) },
		"encoding-json": func() (domain.Event, error) { return eventstore.ParsedFromJSON(data) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := decode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
