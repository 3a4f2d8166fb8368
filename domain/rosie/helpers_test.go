package rosie_test

import (
	"fmt"
	"testing"
)

// equal reports a difference between what was read and what was expected, by their printed forms: nil and empty lists
// are the same to a reader.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}
