package render_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

func TestHarmlessBytesDoNothingToATerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"":                          true,
		"---\ntitle: Größe\t1\n":    true,
		"\x1b[2J":                   false,
		"a\rb":                      false,
		"\u202egpj.exe":             false,
		"\x9b2J":                    false,
		"\u009b2J":                  false,
		"bell\a":                    false,
		"nul\x00":                   false,
		"broken \xff":               false,
		"\ufffd is a character":     true,
		"tag \U000e0041 characters": false,
	} {
		if got := render.Harmless([]byte(text)); got != want {
			t.Errorf("Harmless(%q) = %v, want %v", text, got, want)
		}
	}
}
