package spelling_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/spelling"
)

func TestNearestFindsWhatWasMeant(t *testing.T) {
	t.Parallel()
	known := []string{"scan", "scans", "show", "history", "version", "main", "feature/long-name"}
	for _, c := range []struct {
		word string
		want []string
	}{
		{"sacn", []string{"scan", "scans"}},
		{"histroy", []string{"history"}},
		{"VERSION", []string{"version"}},
		{"mian", []string{"main"}},
		{"feat", []string{"feature/long-name"}},
		{"feature/lnog-name", []string{"feature/long-name"}},
		{"xyzzy", nil},
		{"", nil},
		{strings.Repeat("s", 5000), nil},
	} {
		got := spelling.Nearest(c.word, known, 3)
		if len(got) > 2 {
			got = got[:2]
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("Nearest(%.20q) = %q, want %q", c.word, got, c.want)
		}
	}
}

func TestNearestReturnsNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	if got := spelling.Nearest("aa", []string{"ab", "ac", "ad"}, 2); len(got) != 2 {
		t.Errorf("got %q, want two", got)
	}
}
