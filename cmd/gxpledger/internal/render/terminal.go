package render

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal is what a writer can show. The zero value is a pipe or a file: plain, and of any width.
type Terminal struct {
	Width  int // columns; 0 when nothing is to be cut
	Colour bool
	Live   bool // lines may be overwritten
}

// ColourMode says when to use colour.
type ColourMode string

// The modes, as a user writes them.
const (
	ColourAuto   ColourMode = "auto" // on a terminal, unless NO_COLOR is set or TERM is dumb
	ColourAlways ColourMode = "always"
	ColourNever  ColourMode = "never"
)

// Set accepts auto, always and never.
func (m *ColourMode) Set(value string) error {
	switch mode := ColourMode(value); mode {
	case ColourAuto, ColourAlways, ColourNever:
		*m = mode
		return nil
	}
	return fmt.Errorf("%q is not one of auto, always, never", value)
}

// String returns the mode.
func (m *ColourMode) String() string { return string(*m) }

// Type names the value in help texts.
func (*ColourMode) Type() string { return "auto|always|never" }

// Detect finds out what w can show. env looks up environment variables.
func Detect(w io.Writer, mode ColourMode, env func(string) (string, bool)) Terminal {
	var t Terminal
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		t.Live = true
		const fallback = 80
		t.Width = fallback
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			t.Width = width
		}
	}
	noColour, set := env("NO_COLOR")
	kind, _ := env("TERM")
	dumb := kind == "dumb"
	t.Live = t.Live && !dumb
	t.Colour = mode == ColourAlways || mode != ColourNever && t.Live && (!set || noColour == "")
	return t
}
