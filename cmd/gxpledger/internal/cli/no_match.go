package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/internal/spelling"
	"github.com/gxpledger/gxpledger/projections/query"
)

// A filter that nothing matches is an answer and no error, whichever command it is of: exit code 0, no rows, and a note that
// names the filters that were given and, where they are known, the values that would match something.

// givenFilter is a filter as the user gave it.
type givenFilter struct {
	name, value string            // a filter whose value is "" was not given
	present     []string          // the values that there are; nil when they are not listed
	same        func(string) bool // whether a value that is present is the one given; nil to compare exactly
}

// word is a filter that is compared without regard to case, blanks and dashes.
func word(name, value string, present []string) givenFilter {
	return givenFilter{name, value, present, func(other string) bool { return query.Normal(other) == query.Normal(value) }}
}

// noMatch says that nothing matches the filters that were given; "" when none was. one is what was looked for.
func noMatch(one string, filters ...givenFilter) string {
	var given, unknown []string
	for _, f := range filters {
		if f.value == "" {
			continue
		}
		given = append(given, fmt.Sprintf("%s %q", f.name, f.value))
		if f.present != nil && !f.isPresent() {
			unknown = append(unknown, fmt.Sprintf("There is no %s %q here: %s.", strings.TrimPrefix(f.name, "--"), f.value, f.listed()))
		}
	}
	if len(given) == 0 {
		return ""
	}
	return strings.Join(append([]string{fmt.Sprintf("No %s matches %s.", one, strings.Join(given, " and "))}, unknown...), " ")
}

func (f givenFilter) isPresent() bool {
	return slices.ContainsFunc(f.present, func(other string) bool {
		if f.same != nil {
			return f.same(other)
		}
		return other == f.value
	})
}

// listed lists the values that are present, or those near the one given when they are many.
func (f givenFilter) listed() string {
	const most, nearest = 12, 3
	values := slices.Clone(f.present)
	slices.Sort(values)
	values = slices.DeleteFunc(slices.Compact(values), isBlank)
	switch near := spelling.Nearest(f.value, values, nearest); {
	case len(values) == 0:
		return "none has a value"
	case len(values) <= most:
		return "the values are " + strings.Join(values, ", ")
	case len(near) > 0:
		return fmt.Sprintf("nearest of %d values: %s", len(values), strings.Join(near, ", "))
	default:
		return fmt.Sprintf("%d values, none near it, such as %s", len(values), strings.Join(values[:nearest], ", "))
	}
}
