package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// hostile are titles that try to act on a terminal.
func hostile() []string {
	return []string{
		"\x1b]0;owned\x07title", "\x1b[2Jgone", "up\u202edown\u202c", "two\r\nlines", "tab\there", "\u009b31mred", "nul\x00", "del\x7f",
		"zero\u200bwidth\u2060joiner\ufeff", "tag\U000e0041\U000e007f", "bad \xff\xfe utf8", "line\u2028sep\u2029para", "soft\u00adhyphen",
		"filler\u3164", "private\ue000", "selector\U000e0100", "back\b\b\bspace", "z" + strings.Repeat("\u0301", 40), "isolate\u2066x\u2069",
	}
}

func TestHostileTextIsShownAndDoesNothing(t *testing.T) {
	t.Parallel()
	for _, s := range hostile() {
		got := render.Text(s)
		if got == s || !harmless(got) {
			t.Errorf("Text(%q) = %q", s, got)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"\x1b]0;x\x07", `\x1b]0;x\x07`},
		{"a\u202eb", `a\u202eb`},
		{"a\r\nb\tc", `a\r\nb\tc`},
		{"\xffa", `\xffa`},
		{"\U000e0041", `\U000e0041`},
		{"Straße, 日本語, café, → ✓ 😀, a\u00a0b \\n", "Straße, 日本語, café, → ✓ 😀, a\u00a0b \\n"},
		{"", ""},
	} {
		if got := render.Text(c.in); got != c.want {
			t.Errorf("Text(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// TestANameIsOneWordOfALine: nothing in a name begins another column.
func TestANameIsOneWordOfALine(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"repository-1": "repository-1", "größe": "größe", "a\u202eb": "a\u202eb", "a  b": `"a  b"`, " ": `" "`, "": `""`, `"a"`: `"\"a\""`,
		"a\u00a0b": `"a\u00a0b"`, "a\u3000b": `"a\u3000b"`, "a\u2028b": `"a\u2028b"`,
	} {
		if got := render.Word(name); got != want {
			t.Errorf("Word(%q) = %s, want %s", name, got, want)
		}
	}
}

// harmless is written apart from the code: no control, format or line character, and valid UTF-8.
func harmless(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == 0x3164 || r >= 0xe0000 && r < 0xe1000
	})
}

func FuzzText(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := render.Text(s)
		if !harmless(got) {
			t.Errorf("Text(%q) = %q", s, got)
		}
		if again := render.Text(got); again != got {
			t.Errorf("Text is not idempotent: %q, then %q", got, again)
		}
		if w := render.Width(got); w > 0 {
			if cut := render.Truncate(got, w-1); render.Width(cut) > w-1 {
				t.Errorf("Truncate(%q, %d) = %q", got, w-1, cut)
			}
		}
		var out bytes.Buffer
		if err := render.Line(&out, s); err != nil {
			t.Fatal(err)
		}
		if !harmless(strings.TrimSuffix(out.String(), "\n")) {
			t.Errorf("JSON of %q is %q", s, out.String())
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("JSON of %q reads back as %q, %v", s, back, err)
		}
	})
}

func TestWidthIsWhatATerminalShows(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "😀": 2, "ａ": 2, "✅": 2, "→": 1, "한글": 4} {
		if got := render.Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{{"abcdef", 4, "abc…"}, {"日本語", 4, "日…"}, {"abc", 3, "abc"}, {"abc", 0, ""}, {"日", 1, "…"}} {
		if got := render.Truncate(c.in, c.width); got != c.want {
			t.Errorf("Truncate(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

// golden compares with testdata/NAME, or writes it when UPDATE_GOLDEN is 1.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := errors.Join(os.MkdirAll("testdata", 0o750), os.WriteFile(path, []byte(got), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; UPDATE_GOLDEN=1 accepts:\n%s\nwant\n%s", name, got, want)
	}
}

func table() render.Table {
	t := render.Table{Columns: []render.Column{{Title: "ID"}, {Title: "Title"}, {Title: "Size", Align: render.Right}, {Title: "State"}}}
	t.Add("REQ-001", "日本語のタイトル", 12, render.Good.Of("valid"))
	t.Add("REQ-002", strings.Repeat("A long title that goes on. ", 5), 123456, render.Bad.Of("invalid"))
	for i, title := range hostile() {
		t.Add("REQ-1", title, i, nil)
	}
	t.Add("short row")
	return t
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for name, term := range map[string]render.Terminal{
		"piped.txt": {}, "narrow.txt": {Width: 60}, "colour.txt": {Width: 100, Colour: true}, "tiny.txt": {Width: 5},
	} {
		var out bytes.Buffer
		screen := render.NewScreen(&out, term)
		screen.Line("%s has %d things since %s, because of %v (%s)", render.Strong.Of("evil\x1b[2J"), 3,
			time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("", 7200)), errors.New("two\nlines"), 1500*time.Millisecond)
		screen.Blank()
		screen.Table(table())
		screen.Table(render.Table{Columns: []render.Column{{Title: "never shown"}}})
		if screen.Err() != nil {
			t.Error(screen.Err())
		}
		if term.Width >= 60 {
			for line := range strings.Lines(out.String()) {
				line = strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[0m", "", "\n", "").Replace(line)
				if strings.HasPrefix(line, "REQ") && render.Width(line) > term.Width {
					t.Errorf("%s: line of %d columns: %q", name, render.Width(line), line)
				}
			}
		}
		golden(t, name, out.String())
	}
}

func TestAScreenKeepsItsFirstError(t *testing.T) {
	t.Parallel()
	screen := render.NewScreen(failing{}, render.Terminal{})
	screen.Line("x")
	screen.Table(table())
	if !errors.Is(screen.Err(), io.ErrClosedPipe) {
		t.Errorf("error %v", screen.Err())
	}
	if err := render.Document(failing{}, 1); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestJSONIsExactAndHarmless(t *testing.T) {
	t.Parallel()
	in := map[string]any{"titles": hostile(), "html": "<a&b>", "n": 3.5}
	var out bytes.Buffer
	if err := render.Document(&out, in); err != nil {
		t.Fatal(err)
	}
	if !harmless(strings.ReplaceAll(out.String(), "\n", "")) || !strings.Contains(out.String(), "<a&b>") {
		t.Errorf("document is %s", out.String())
	}
	var back struct {
		Titles []string `json:"titles"`
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	for i, want := range hostile() {
		if utf8.ValidString(want) && back.Titles[i] != want {
			t.Errorf("%q reads back as %q", want, back.Titles[i])
		}
	}
	if err := render.Line(&out, make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}

func TestProgressIsPatientAndCleansUp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	p := render.NewProgress(&out, render.Terminal{Width: 20, Live: true}, clock)
	p.Say("too early")
	p.Done()
	if out.Len() != 0 {
		t.Errorf("said %q within a second", out.String())
	}
	now = now.Add(2 * time.Second)
	p.Say("evil\x1b[2J and much too long for this")
	p.Say("too soon")
	now = now.Add(time.Second)
	p.Say("again")
	p.Done()
	p.Done()
	if got, want := out.String(), "\r\x1b[Kevil\\x1b[2J and mu…\r\x1b[Kagain\r\x1b[K"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	out.Reset()
	silent := render.NewProgress(&out, render.Terminal{}, clock)
	now = now.Add(time.Hour)
	silent.Say("x")
	silent.Done()
	if out.Len() != 0 {
		t.Errorf("a pipe was told %q", out.String())
	}
}

func TestColourIsForTerminalsAlone(t *testing.T) {
	t.Parallel()
	env := func(pairs ...string) func(string) (string, bool) {
		return func(key string) (string, bool) {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1], true
				}
			}
			return "", false
		}
	}
	var pipe bytes.Buffer
	if term := render.Detect(&pipe, render.ColourAuto, env("TERM", "xterm")); term != (render.Terminal{}) {
		t.Errorf("a pipe is %+v", term)
	}
	if !render.Detect(&pipe, render.ColourAlways, env()).Colour {
		t.Error("always is not always")
	}
	if render.Detect(os.Stderr, render.ColourNever, env()).Colour || render.Detect(os.Stderr, render.ColourAuto, env("NO_COLOR", "1")).Colour ||
		render.Detect(os.Stderr, render.ColourAuto, env("TERM", "dumb")).Colour {
		t.Error("never is not never")
	}
	var mode render.ColourMode
	if err := mode.Set("sometimes"); err == nil || mode.Set("never") != nil || mode.String() != "never" || mode.Type() == "" {
		t.Errorf("mode %q, %v", mode, err)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*60*60)
	for _, c := range []struct{ got, want string }{
		{render.Count(1, "file"), "1 file"},
		{render.Count(0, "file"), "0 files"},
		{render.CountOf(2, "entry", "entries"), "2 entries"},
		{render.Time(time.Date(2026, 2, 3, 4, 5, 6, 789, zone)), "2026-02-03T02:05:06Z"},
		{render.ZonedTime(time.Date(2026, 2, 3, 4, 5, 6, 789, zone)), "2026-02-03T04:05:06+02:00"},
		{render.Time(time.Time{}) + render.ZonedTime(time.Time{}), ""},
		{render.Duration(1234567 * time.Nanosecond), "1ms"},
		{render.Duration(1234 * time.Nanosecond), "1µs"},
		{render.Duration(12345 * time.Millisecond), "12.35s"},
		{render.Duration(100 * time.Second), "1m40s"},
		{render.Bytes(512), "512 B"},
		{render.Bytes(1536), "1.5 KiB"},
		{render.Bytes(3 << 20), "3.0 MiB"},
		{render.Bytes(1 << 62), "4.0 EiB"},
		{render.Short("0123456789abcdef"), "0123456789ab"},
		{render.Short("0123"), "0123"},
		{render.FirstLine("\n first \nsecond"), "first"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
