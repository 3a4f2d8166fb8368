package cli

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/internal/spelling"
)

// limits is the flag --limit NAME=N.
type limits struct {
	reading rosie.Limits // zero where none was given
	set     map[string]int64
	fetch   int64 // 0 for the default
	given   []string
}

// limitFetch bounds what is fetched. It is none of the reader's.
const limitFetch = "fetch"

// Set accepts NAME=N, where N may end in KiB, MiB or GiB.
func (l *limits) Set(value string) error {
	name, number, ok := strings.Cut(value, "=")
	names := append(rosie.LimitNames(), limitFetch)
	if !slices.Contains(names, name) {
		want := "want one of " + strings.Join(names, ", ") + ", and a number, such as files=500000"
		if near := spelling.Nearest(name, names, 1); len(near) > 0 {
			want = "did you mean " + near[0] + "?"
		}
		return wrongValue("%s", want)
	}
	n, valid := parseAmount(number)
	if !ok || !valid {
		return wrongValue("want %s=N, with N above 0, such as %s=5000 or %s=64MiB", name, name, name)
	}
	if name == limitFetch {
		l.fetch = n
	} else {
		if l.set == nil {
			l.set = map[string]int64{}
		}
		l.set[name] = n
		l.reading, _ = rosie.LimitsOf(l.set) // names and numbers were checked
	}
	l.given = append(l.given, value)
	return nil
}

// String lists what was given.
func (l *limits) String() string { return strings.Join(l.given, " ") }

// Type shows the form.
func (*limits) Type() string { return "NAME=N" }

// parseAmount reads a positive number with an optional unit.
func parseAmount(text string) (int64, bool) {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			text, shift = digits, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}
