package eventstore_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// contentsIn returns every content with a hash that v holds anywhere, in its order.
func contentsIn(v reflect.Value) (found []domain.Content) {
	if c, ok := reflect.TypeAssert[domain.Content](v); ok {
		if c.SHA256 == "" {
			return nil
		}
		return []domain.Content{c}
	}
	switch v.Kind() { //nolint:exhaustive // nothing else holds others
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = contentsIn(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanInterface() {
				found = append(found, contentsIn(field)...)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, contentsIn(v.Index(i))...)
		}
	}
	return found
}

// A content that an event names and that is not told is stored by nobody, copied by nobody and missed by nobody.
func TestEveryContentOfAnEventIsNamed(t *testing.T) {
	t.Parallel()
	for name, sample := range samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				v := reflect.New(reflect.TypeOf(sample)).Elem()
				fill(t, v)
				event, ok := reflect.TypeAssert[domain.Event](v)
				if !ok {
					t.Fatalf("%s is not an event", v.Type())
				}
				want := contentsIn(v)
				if got := eventstore.NamedContents(event); !slices.Equal(got, want) {
					t.Fatalf("named are %+v, want %+v", got, want)
				}
				var hashes []string
				for _, c := range want {
					hashes = append(hashes, c.SHA256)
				}
				if got := eventstore.ContentsNamed(event); !slices.Equal(got, hashes) {
					t.Fatalf("named are %q, want %q", got, hashes)
				}
			})
		})
	}
}
