package pg_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/pg"
)

// TestTheManualListsEveryParameter: the table in docs/operations.md is the list, in its order.
func TestTheManualListsEveryParameter(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "| parameter | value | with another value |\n|---|---|---|\n"
	for _, p := range pg.Parameters() {
		value := "`" + p.Value + "`"
		if p.Value == "" {
			value = "empty"
		}
		if p.Keep != "" {
			value += ", or `" + p.Keep + "` where that is set"
		}
		want += fmt.Sprintf("| `%s` | %s | %s |\n", p.Name, value, p.Why)
	}
	if !strings.Contains(string(manual), want) {
		t.Errorf("docs/operations.md lacks this table:\n%s", want)
	}
}
