package commitgroup_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/internal/commitgroup"
)

func TestAGroupHasRoomForSoMuch(t *testing.T) {
	t.Parallel()
	type batch struct {
		bytes  int64
		loaded bool
		want   bool
	}
	in, loaded := func(bytes int64, want bool) batch { return batch{bytes: bytes, want: want} }, func(want bool) batch { return batch{1, true, want} }
	for name, batches := range map[string][]batch{
		"up to its size":              {in(commitgroup.MaxBytes-1, true), in(1, true), in(1, false)},
		"one of any size":             {in(10*commitgroup.MaxBytes, true), in(1, false)},
		"smaller ones behind a large": {in(1, true), in(commitgroup.MaxBytes, false), in(1, true)},
		"one that is loaded":          {loaded(true), in(1, false), loaded(false)},
		"none that is loaded later":   {in(1, true), loaded(false), in(1, true)},
	} {
		var room commitgroup.Room
		for i, b := range batches {
			if got := room.Take(b.bytes, !b.loaded); got != b.want {
				t.Errorf("%s: batch %d is taken: %t, want %t", name, i, got, b.want)
			}
		}
	}
	var room commitgroup.Room
	for i := range commitgroup.MaxBatches + 1 {
		if got, want := room.Take(1, true), i < commitgroup.MaxBatches; got != want {
			t.Errorf("batch %d is taken: %t, want %t", i, got, want)
		}
	}
}
