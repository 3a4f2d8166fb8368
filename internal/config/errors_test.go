package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/config"
)

func TestAnErrorIsOneSentenceForEachCause(t *testing.T) {
	t.Parallel()
	full := errors.New("disk is full, make room: write error (13)")
	wrapped := fmt.Errorf("cannot append: gave up: cannot write: %w", full)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"one layer":              {full, "disk is full, make room: write error (13)"},
		"layers that say cannot": {fmt.Errorf("cannot scan: cannot open log: %w", fmt.Errorf("cannot read head: %w", full)), "cannot scan: open log: read head: disk is full, make room: write error (13)"},
		"a cause in brackets":    {errors.New("cannot use x (cannot open y: z): try again"), "cannot use x (open y: z): try again"},
		"cannot behind a clause": {errors.New("append 1: cannot find ids: cannot read: x"), "append 1: cannot find ids: read: x"},
		"another subject":        {errors.New("the file cannot be read: it cannot be opened"), "the file cannot be read: it cannot be opened"},
		"joined errors":          {errors.Join(wrapped, errors.New("cannot spool: x")), "cannot append: gave up: write: disk is full, make room: write error (13); cannot spool: x"},
		"a line that is repeated": {
			errors.New("failed to connect to `x`:\n\t127.0.0.1: refused\n\t127.0.0.1: refused"), "failed to connect to `x`: 127.0.0.1: refused",
		},
		"an error that wraps another":         {errors.Join(wrapped, fmt.Errorf("cannot record y: %w", wrapped)), "cannot append: gave up: write: disk is full, make room: write error (13); cannot record y, for the same reason"},
		"two errors of one reason":            {errors.Join(fmt.Errorf("cannot open a: %w", full), fmt.Errorf("cannot open b: cannot load c: %w", full)), "cannot open a: disk is full, make room: write error (13); cannot open b: load c, for the same reason"},
		"a line that is not an error of ours": {errors.New("a: dial: refused\nb: dial: refused"), "a: dial: refused; b: dial: refused"},
		"reasons that only end alike":         {errors.New("cannot a: dial [::1]: refused\ncannot b: dial 127.0.0.1: refused"), "cannot a: dial [::1]: refused; cannot b: dial 127.0.0.1: refused"},
		"nothing":                             {errors.New(""), ""},
	} {
		got := config.OneLine(c.err.Error())
		if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
		if again := config.OneLine(got); again != got {
			t.Errorf("%s: a sentence that was made again differs:\n%s\n%s", name, got, again)
		}
		if strings.Contains(got, "\n") {
			t.Errorf("%s: more than one line", name)
		}
	}
}
