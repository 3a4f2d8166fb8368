package render

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Style is what a piece of text is meant to say to somebody who looks for it. It shows only in colour.
type Style string

// The styles, as parameters of the ANSI sequence SGR.
const (
	Strong Style = "1"
	Faint  Style = "2"
	Good   Style = "32"
	Bad    Style = "31"
	Notice Style = "33"
)

// Of marks a value to be shown in the style.
func (s Style) Of(value any) Styled { return Styled{style: s, value: value} }

// Styled is a value with a style.
type Styled struct {
	style Style
	value any
}

// Screen is where a person reads. Everything that is written to it, but the formats, is neutralised. It keeps the first
// error of the writer and then writes no more. A Screen is not safe for concurrent use.
type Screen struct {
	w    io.Writer
	term Terminal
	err  error
}

// NewScreen returns a screen that writes to w, as term can show it.
func NewScreen(w io.Writer, term Terminal) *Screen { return &Screen{w: w, term: term} }

// Line writes one line. format is ours and constant; it uses %s, %d and %v alone. Of args, numbers are written as
// they are, times as UTC, and the rest as neutralised text.
func (s *Screen) Line(format string, args ...any) {
	shown := make([]any, len(args))
	for i, arg := range args {
		shown[i] = s.show(arg)
	}
	s.write(strings.TrimRight(fmt.Sprintf(format, shown...), " ") + "\n")
}

// Field writes a line with a name in front of it.
func (s *Screen) Field(name, format string, args ...any) {
	const width = 12
	s.Line("%s"+format, append([]any{name + strings.Repeat(" ", width-len(name))}, args...)...)
}

// Blank writes an empty line.
func (s *Screen) Blank() { s.write("\n") }

// Err returns the first error of the writer.
func (s *Screen) Err() error { return s.err }

func (s *Screen) write(line string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, line)
	}
}

// show returns arg as something that is safe to print.
func (s *Screen) show(arg any) any {
	switch v := arg.(type) {
	case int, int64, uint64:
		return v
	case Styled:
		return s.paint(v.style, plainText(v.value))
	default:
		return plainText(arg)
	}
}

func (s *Screen) paint(style Style, text string) string {
	if !s.term.Colour || text == "" || style == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// plainText returns a value as neutralised text, without a style.
func plainText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return Text(v)
	case time.Time:
		return Time(v)
	case time.Duration:
		return Duration(v)
	case Styled:
		return plainText(v.value)
	default:
		return Text(fmt.Sprint(v))
	}
}
