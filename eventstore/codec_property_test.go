package eventstore_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// For every event there is: decoding what was encoded gives it back, and encoding it again gives the same bytes.
func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	t.Parallel()
	for name, sample := range samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				v := reflect.New(reflect.TypeOf(sample)).Elem()
				fill(t, v)
				want, ok := reflect.TypeAssert[domain.Event](v)
				if !ok {
					t.Fatalf("%s is not an event", v.Type())
				}
				typ, data, err := eventstore.Encode(want)
				if err != nil {
					t.Fatal(err)
				}
				got, err := eventstore.Decode(eventstore.Record{Type: typ, Data: data})
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("decodes to\n %+v\nwant\n %+v", got, want)
				}
				if _, again, err := eventstore.Encode(got); err != nil || !bytes.Equal(again, data) {
					t.Fatalf("encodes again as\n %s\nwant\n %s\n%v", again, data, err)
				}
			})
		})
	}
}

// fill sets v to anything that an event may hold. What JSON does not tell apart is drawn in the form that decoding
// gives: nil for an empty list, UTC for a zone without offset.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(drawTime(t)))
		return
	case domain.Person:
		v.Set(reflect.ValueOf(drawPerson(t)))
		return
	case json.RawMessage:
		v.SetBytes(drawFields(t))
		return
	}
	switch v.Kind() { //nolint:exhaustive // the default refuses the others
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "text"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "number"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "truth"))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field)
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, "length"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.Map:
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			value := reflect.New(v.Type().Elem()).Elem()
			fill(t, value)
			v.SetMapIndex(reflect.ValueOf(rapid.String().Draw(t, "key")), value)
		}
	default:
		t.Fatalf("events hold a %s now: teach this test to draw one", v.Type())
	}
}

func drawTime(t *rapid.T) time.Time {
	seconds := rapid.Int64Range(-62_000_000_000, 253_000_000_000).Draw(t, "seconds") // years 5 to 9987
	return time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
}

func drawPerson(t *rapid.T) domain.Person {
	p := domain.Person{
		Name: rapid.String().Draw(t, "name"), Email: rapid.String().Draw(t, "email"), When: drawTime(t),
	}
	if minutes := rapid.IntRange(-23*60, 23*60).Draw(t, "offset"); minutes != 0 {
		p.When = p.When.In(time.FixedZone("", minutes*60))
	}
	return p
}

func drawFields(t *rapid.T) []byte {
	m := rapid.MapOfN(rapid.String(), rapid.SliceOfN(rapid.String(), 0, 2), 0, 3).Draw(t, "fields")
	if len(m) == 0 {
		return nil
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whatever bytes a log holds, Decode ends with an event or an error, and an event that it gives can be stored again
// and means the same then.
func FuzzDecode(f *testing.F) {
	names := eventstore.KnownTypes()
	for i, name := range names {
		f.Add(uint8(i), readGolden(f, filepath.Join(goldenFolder, name+".json")))
	}
	f.Add(uint8(0), []byte(`{"repository":{"id":"\ud800"}}`))
	f.Add(uint8(1), []byte(`{"retired_at":"0000-01-01T00:00:00+23:59"}`))
	f.Add(uint8(2), []byte(`{"fields":null,"evidence":{"signature":{"iat":null}},"links":[]}`))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		name := names[int(kind)%len(names)]
		event, err := eventstore.Decode(eventstore.Record{Type: name, Data: data})
		if err != nil {
			return
		}
		newest, first, err := eventstore.Encode(event)
		if err != nil {
			return // a time at the edge of the calendar has no year in UTC
		}
		again, err := eventstore.Decode(eventstore.Record{Type: newest, Data: first})
		if err != nil {
			t.Fatalf("decoded, encoded and no longer decodable: %v\n%s", err, first)
		}
		if _, second, err := eventstore.Encode(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("the second encoding differs: %v\n%s\n%s", err, first, second)
		}
	})
}
