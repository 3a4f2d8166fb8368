package rosie

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	goldmarkhtml "github.com/yuin/goldmark/renderer/html"
	mdtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/gxpledger/gxpledger/domain"
)

// The spellings of fields that more than one name is used for.
const (
	fieldID   = "gxp_id"
	fieldRisk = "gxp_risk_rating"
	fieldTier = "verification_tier"
)

// parseDocument reads the kinds that are markdown with a front matter.
func parseDocument(src source, limits *Limits) (domain.Artifact, error) {
	d, err := openPage(src, limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	if err := d.read(d.root, d.body); err != nil {
		return domain.Artifact{}, err
	}
	return d.finish(), nil
}

// frontedPage is a markdown file taken apart into the fields of its front matter and its body.
type frontedPage struct {
	*draft

	root value
	body []byte
}

func openPage(src source, limits *Limits) (frontedPage, error) {
	if err := checkUTF8(src.data); err != nil {
		return frontedPage{}, err
	}
	page, err := splitPage(src.data, limits)
	if err != nil {
		return frontedPage{}, err
	}
	d := newDraft(src, limits)
	if !page.fronted {
		d.note(domain.FindingNoFrontMatter, 1, "the file has no front matter: expected a first line of three dashes, fields, and three dashes again")
	}
	root, err := parseMatter(page.matter, limits)
	return frontedPage{draft: d, root: root, body: page.body}, err
}

// read fills the draft from the fields of a front matter and the headings of a body.
func (d *draft) read(root value, text []byte) error {
	if len(root.keys) > 0 {
		d.Fields = root.appendJSON(nil)
	}
	d.checkKeys(root)
	d.readID(root)
	if err := d.readTitle(root, text); err != nil {
		return err
	}
	d.Risk = d.term(fieldRisk, riskField(root))
	d.Tier = d.term(fieldTier, root.field(fieldTier, "tier"))
	d.Status = d.term("status", root.field("status"))
	d.ValidationStatus = d.term("validation_status", root.field("validation_status"))
	d.AssuranceStatus = d.term("assurance_status", root.field("assurance_status"))
	d.readLinks(root)
	d.checkRequired(root)
	d.checkListItems(root)
	return nil
}

// riskField finds the risk rating in each of its spellings; a map carries it as "overall".
func riskField(root value) value {
	for _, key := range []string{fieldRisk, "risk_level", "risk"} {
		v := root.field(key)
		if v.form == formMap {
			v = v.field("overall")
		}
		if v.scalar() {
			return v
		}
	}
	return value{}
}

func (d *draft) term(field string, v value) *domain.Term {
	if !v.scalar() {
		return nil
	}
	return term(d.bounded(field, v.text, maxTerm))
}

func (d *draft) readID(root value) {
	from := d.Kind.Info().IDFrom
	switch from {
	case domain.IDFromFileName:
		d.setID("the file name", stem(d.Path))
		return
	case domain.IDFromFileStart:
		d.setID("the file name", decisionID(d.Path))
		return
	case domain.IDFromField, domain.IDFromFieldIfAny:
	}
	if !d.setID(fieldID, root.fieldText(fieldID)) && from == domain.IDFromField {
		near, line := misspeltID(root)
		d.note(domain.FindingMissingID, line, "the file gives no gxp_id: nothing can link to it%s", near)
	}
}

// misspeltID is misspelt for gxp_id. Other formats have their ids under names that are not near it.
func misspeltID(root value) (text string, line int) {
	if given := root.field(fieldID); given.form == formList || given.form == formMap {
		return "; gxp_id is a list or a map: expected one id as text", given.line
	}
	plain := strings.NewReplacer("_", "", "-", "", " ", "", ".", "")
	for i, key := range root.keys {
		switch strings.ToLower(plain.Replace(key)) {
		case "id", "uid", "gxpid", "rosieid", "artifactid", "docid", "documentid",
			"reqid", "requirementid", "usid", "storyid", "userstoryid", "specid", "specificationid":
			if root.items[i].scalar() && key != fieldID && key != camel(fieldID) {
				return fmt.Sprintf("; did you mean gxp_id by the key %q?", key), root.items[i].line
			}
		}
	}
	return misspelt(root, fieldID)
}

// stem is the file name without its extension.
func stem(file string) string {
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}

func (d *draft) readTitle(root value, text []byte) error {
	title := root.fieldText(cmp.Or(d.Kind.Info().TitleField, "title"))
	if title == "" {
		if err := d.parseBody(text); err != nil {
			return err
		}
		title = d.body.title()
	}
	d.Title = d.bounded("the title", title, maxTitle)
	return nil
}

// parseBody parses the text below the front matter, once.
func (d *draft) parseBody(text []byte) (err error) {
	if d.body == nil {
		d.body, err = parseBody(text)
	}
	return err
}

// readLinks declares what the edges of this kind name, in the order of the file.
func (d *draft) readLinks(root value) {
	for i, key := range root.keys {
		for _, e := range d.Kind.Info().Edges {
			if key == string(e.Edge) || key == camel(string(e.Edge)) {
				d.linkAll(e.Edge, root.items[i])
			}
		}
	}
}

// linkAll declares one link for a scalar, and one for each item of a list. What is neither gets a finding.
func (d *draft) linkAll(edge domain.Edge, v value) {
	switch v.form {
	case formList:
		for i, item := range v.items {
			if item.form == formMap && d.Evidence == nil {
				continue // checkListItems tells
			}
			d.linkOne(edge, item, fmt.Sprintf("item %d of %s", i+1, edge))
		}
	case formNull: // a field that is left open
	case formText, formNumber, formBool, formMap:
		d.linkOne(edge, v, string(edge))
	}
}

func (d *draft) linkOne(edge domain.Edge, v value, what string) {
	if v.scalar() && v.text != "" {
		d.link(edge, v.text)
		return
	}
	is := "empty"
	switch v.form {
	case formMap:
		is = "a map"
	case formList:
		is = "a list in a list"
	case formNull:
		is = "null"
	case formText, formNumber, formBool:
	}
	d.note(domain.FindingBadLink, v.line, "%s is %s: expected an id or a list of ids; no link is made of it", what, is)
}

// checkRequired notes the fields that the kind requires and the file does not have.
func (d *draft) checkRequired(root value) {
	for _, names := range d.Kind.Info().Required {
		if root.field(names...).form == formNull {
			near, line := misspelt(root, names...)
			d.note(domain.FindingMissingField, line, "the field %s is missing%s", strings.Join(names, " or "), near)
		}
	}
}

// misspelt ends the text of a missing field with the key that may have been meant for it, and returns its line; "" and 0
// when no key of the front matter is near one of names.
func misspelt(root value, names ...string) (text string, line int) {
	for _, name := range names {
		for i, key := range root.keys {
			for _, spelling := range []string{name, camel(name)} {
				if far := keystrokes(key, spelling); far > 0 && far <= 1+len(spelling)/5 {
					return fmt.Sprintf("; did you mean %s by the key %q?", spelling, key), root.items[i].line
				}
			}
		}
	}
	return "", 0
}

// checkKeys notes a front matter that mixes two spellings of keys.
func (d *draft) checkKeys(root value) {
	snake := slices.IndexFunc(root.keys, func(key string) bool { return strings.Contains(strings.Trim(key, "_"), "_") })
	hump := slices.IndexFunc(root.keys, func(key string) bool {
		return strings.IndexFunc(key, unicode.IsLower) == 0 && strings.IndexFunc(key, unicode.IsUpper) > 0
	})
	if snake >= 0 && hump >= 0 {
		d.note(domain.FindingMixedKeys, root.items[max(snake, hump)].line,
			"the front matter mixes snake_case (%s) and camelCase (%s): use one of them", root.keys[snake], root.keys[hump])
	}
}

// checkListItems notes list items that a stray ": " made into maps. They are kept as they are.
func (d *draft) checkListItems(root value) {
	for i, list := range root.items {
		if list.form != formList {
			continue
		}
		for j, item := range list.items {
			if item.form == formMap {
				d.note(domain.FindingListItem, item.line,
					"item %d of %s is a map: expected text, and a text with a colon in it needs quotes", j+1, root.keys[i])
			}
		}
	}
}

// parseDecision reads an ADR: its id is in the file name, its title and status are headings. A front matter is not
// expected, and read when there is one.
func parseDecision(src source, limits *Limits) (domain.Artifact, error) {
	if err := checkUTF8(src.data); err != nil {
		return domain.Artifact{}, err
	}
	page, err := splitPage(src.data, limits)
	if fault, ok := errors.AsType[*malformedError](err); ok && fault.line == 1 {
		page.body, err = src.data, nil // a ruler on the first line, not a front matter
	}
	if err != nil {
		return domain.Artifact{}, err
	}
	root, err := parseMatter(page.matter, limits)
	if err != nil {
		return domain.Artifact{}, err
	}
	d := newDraft(src, limits)
	if err := d.read(root, page.body); err != nil {
		return domain.Artifact{}, err
	}
	if d.Status == nil {
		if err := d.parseBody(page.body); err != nil {
			return domain.Artifact{}, err
		}
		d.Status = d.term("the status", value{form: formText, text: d.body.section("status")})
	}
	if d.Status == nil {
		d.note(domain.FindingMissingField, 0, "the heading \"## Status\" with a status below it is missing")
	}
	if d.Title == "" {
		d.note(domain.FindingMissingField, 0, "the heading \"# title\" is missing")
	}
	return d.finish(), nil
}

var decisionPattern = regexp.MustCompile(`^ADR-(?:[A-Z0-9]+-)*?[0-9]+`)

// decisionID is "ADR-001" of "ADR-001-some-title.md", or else the whole stem.
func decisionID(file string) string {
	name := stem(file)
	if id := decisionPattern.FindString(name); id != "" {
		return id
	}
	return name
}

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
	b.root = blocks.Parse(mdtext.NewReader(b.source), parser.WithContext(b.refs))
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
func (f fewDefinitions) Transform(node *ast.Paragraph, reader mdtext.Reader, pc parser.Context) {
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
	paragraph := b.inlines.Parse(mdtext.NewReader(source), parser.WithContext(b.refs))
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
