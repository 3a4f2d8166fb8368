package rosie

import (
	"bytes"
	"html"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	goldmarkhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// body is a Markdown text, parsed to its blocks by the rules of CommonMark. Inlines are parsed only where a text is asked for.
//
// The library's time is not linear for some inputs that nobody writes by hand: blocks nested thousands deep, thousands of
// link definitions in a row, long rows of brackets. The limits below keep them from it.
type body struct {
	source []byte // with plain line ends, so that its lines are those of the file
	root   ast.Node
	refs   parser.Context // of the link definitions

	inlines  parser.Parser     // of the text of one block; nil until it is needed
	renderer renderer.Renderer // beside it
}

const (
	maxIndent      = 200     // columns of blanks and of marks of quotes and lists before the text of a line; beyond it, the line is none
	maxDefinitions = 1000    // lines of a paragraph that may be link definitions
	maxInline      = 4 << 10 // bytes of a text whose inlines are parsed; beyond it, it stays as it was written
)

// parseBody parses a Markdown text. A lone carriage return ends a line, as in CommonMark.
func parseBody(data []byte) (b *body, err error) {
	defer func() {
		if recover() != nil {
			b, err = nil, malformedAt(0, 0, "the text is not Markdown that can be read")
		}
	}()
	b = &body{source: withoutDeepLines(plainLineEnds(data)), refs: parser.NewContext()}
	blocks := parser.NewParser(
		parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		parser.WithParagraphTransformers(util.Prioritized(fewDefinitions{parser.LinkReferenceParagraphTransformer}, 100)),
	)
	b.root = blocks.Parse(text.NewReader(b.source), parser.WithContext(b.refs))
	return b, nil
}

// plainLineEnds turns CRLF and a lone CR into LF.
func plainLineEnds(data []byte) []byte {
	if bytes.IndexByte(data, '\r') < 0 {
		return data
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
}

// withoutDeepLines empties lines whose text begins beyond maxIndent.
func withoutDeepLines(data []byte) []byte {
	var out []byte // nil while nothing is to be emptied
	start := 0
	for line := range bytes.Lines(data) {
		rest := bytes.TrimLeft(line, " \t>-+*0123456789.)")
		if len(line)-len(rest) > maxIndent && len(bytes.TrimSpace(rest)) > 0 {
			if out == nil {
				out = append(make([]byte, 0, len(data)), data[:start]...)
			}
			out = append(out, '\n')
		} else if out != nil {
			out = append(out, line...)
		}
		start += len(line)
	}
	if out == nil {
		return data
	}
	return out
}

// fewDefinitions leaves a paragraph of very many lines as it is.
type fewDefinitions struct{ parser.ParagraphTransformer }

// Transform implements [parser.ParagraphTransformer].
func (f fewDefinitions) Transform(node *ast.Paragraph, reader text.Reader, pc parser.Context) {
	first := node.Lines().At(0)
	if bytes.HasPrefix(bytes.TrimLeft(first.Value(reader.Source()), " "), []byte("[")) && node.Lines().Len() <= maxDefinitions {
		f.ParagraphTransformer.Transform(node, reader, pc)
	}
}

// title is the text of the first heading of the first level that has any; "" when there is none. Headings in quotes and
// lists are those of what is quoted or listed.
func (b *body) title() string {
	for node := b.root.FirstChild(); node != nil; node = node.NextSibling() {
		if h, ok := node.(*ast.Heading); ok && h.Level == 1 && !isTable(h, b.source) {
			if title := oneLine(b.text(h)); title != "" {
				return title
			}
		}
	}
	return ""
}

// section is the first line of text below a heading of this name.
func (b *body) section(name string) string {
	inside := false
	for node := b.root.FirstChild(); node != nil; node = node.NextSibling() {
		if h, ok := node.(*ast.Heading); ok {
			inside = strings.EqualFold(oneLine(b.text(h)), name)
			continue
		}
		if !inside {
			continue
		}
		if line := b.firstLine(node); line != "" {
			return line
		}
	}
	return ""
}

// firstLine is the first line of text in a block, or in what it holds. Code and HTML have none.
func (b *body) firstLine(node ast.Node) string {
	switch node.Kind() {
	case ast.KindParagraph, ast.KindTextBlock:
		for line := range strings.Lines(b.text(node)) {
			if line = strings.TrimSpace(line); line != "" {
				return line
			}
		}
	case ast.KindList, ast.KindListItem, ast.KindBlockquote:
		for child := node.FirstChild(); child != nil; child = child.NextSibling() {
			if line := b.firstLine(child); line != "" {
				return line
			}
		}
	}
	return ""
}

// text is the text of a block as a browser shows it: without marks, raw HTML and images.
func (b *body) text(node ast.Node) string {
	var raw bytes.Buffer
	for _, line := range node.Lines().Sliced(0, node.Lines().Len()) {
		raw.Write(bytes.TrimLeft(line.Value(b.source), " \t"))
	}
	source := bytes.TrimSpace(raw.Bytes())
	if len(source) > maxInline || !bytes.ContainsAny(source, "\\`*_[]<>&!") {
		return string(source)
	}
	if b.inlines == nil {
		b.inlines = parser.NewParser(
			parser.WithBlockParsers(util.Prioritized(parser.NewParagraphParser(), 100)),
			parser.WithInlineParsers(parser.DefaultInlineParsers()...),
		)
		b.renderer = renderer.NewRenderer(renderer.WithNodeRenderers(util.Prioritized(goldmarkhtml.NewRenderer(), 100)))
	}
	paragraph := b.inlines.Parse(text.NewReader(source), parser.WithContext(b.refs))
	var shown bytes.Buffer
	if err := b.renderer.Render(&shown, source, paragraph); err != nil {
		return string(source) // a buffer takes everything
	}
	return strings.TrimSpace(html.UnescapeString(withoutTags(shown.String())))
}

// withoutTags leaves the text of HTML that the renderer wrote: there, every < and > of a text is escaped.
func withoutTags(shown string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(shown, "<")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		_, shown, _ = strings.Cut(rest, ">")
	}
}

// oneLine joins the lines of a text.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// isTable reports whether the lines of a heading are a table of GitHub's dialect, which an underline does not make a heading.
func isTable(h *ast.Heading, source []byte) bool {
	lines := h.Lines()
	if lines.Len() < 2 {
		return false
	}
	first, second := lines.At(0), lines.At(1)
	head, rule := cells(first.Value(source)), cells(second.Value(source))
	for _, cell := range rule {
		dashes := strings.TrimSuffix(strings.TrimPrefix(cell, ":"), ":")
		if dashes == "" || strings.Trim(dashes, "-") != "" {
			return false
		}
	}
	return len(head) == len(rule) && bytes.IndexByte(first.Value(source), '|') >= 0
}

// cells are the cells of one row of a table.
func cells(row []byte) []string {
	s := strings.TrimSpace(string(row))
	s = strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(s, `\|`, ""), "|"), "|")
	all := strings.Split(s, "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}
