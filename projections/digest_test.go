package projections_test

import (
	"encoding/json"
	"testing"

	"github.com/gxpledger/gxpledger/projections"
)

// The digest of a table is stored when its build is activated, and compared between databases: its form is this.
func TestTheDigestOfATableIsOfTheseBytes(t *testing.T) {
	t.Parallel()
	long := string(make([]byte, 300))
	for _, c := range []struct {
		row  []any
		form string
	}{
		{nil, "\n"},
		{[]any{nil}, "0\n"},
		{[]any{"", "a", "ä\n"}, "s\x00s\x01as\x03ä\n\n"},
		{[]any{long}, "s\xac\x02" + long + "\n"},
		{[]any{int64(0), int64(1), int64(-1), int64(64), int64(-9223372036854775808)}, "i\x00i\x02i\x01i\x80\x01i\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\n"},
		{[]any{true, false}, "tf\n"},
		{[]any{json.RawMessage(`{"a":1}`)}, "j\x07{\"a\":1}\n"},
	} {
		if got, err := projections.AppendRow(nil, c.row); err != nil || string(got) != c.form {
			t.Errorf("%v has the form %q, %v; want %q", c.row, got, err, c.form)
		}
	}
	d := projections.NewDigester("boxes")
	for _, row := range [][]any{{int64(1), "one", nil, true}, {int64(2), "", json.RawMessage(`[]`), false}} {
		if err := d.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	want := projections.Digest{Table: "boxes", Rows: 2, SHA256: "f4766c14866ebceebdb002900f4c6a2bb051d86fc97c5a3b9ef0006a17b1844d"}
	if got := d.Digest(); got != want {
		t.Errorf("digest is %+v, want %+v", got, want)
	}
	if err := d.Add([]any{1}); err == nil {
		t.Error("a value of a type that no database returns was added")
	}
}
