package rosie

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// page is a markdown file taken apart.
type page struct {
	matter   []byte // between the two lines of three dashes
	body     []byte
	bodyLine int // where the body starts, from 1
	fronted  bool
}

// splitPage finds the front matter: between a first line of three dashes and the next such line. A byte order mark,
// CRLF and blanks after the dashes are accepted.
func splitPage(data []byte, limits *Limits) (page, error) {
	data = withoutBOM(data)
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	if !dashes(first) {
		return page{body: data, bodyLine: 1}, nil
	}
	line, offset := 2, 0
	for offset < len(rest) {
		end := bytes.IndexByte(rest[offset:], '\n')
		next := offset + end + 1
		if end < 0 {
			next = len(rest)
		}
		if dashes(bytes.TrimSuffix(rest[offset:next], []byte("\n"))) {
			if offset > limits.FrontMatter {
				return page{}, malformedAt(line, 1, "the front matter is %d bytes long, and at most %d are read: move text into the body, or raise the limit \"front-matter\"", offset, limits.FrontMatter)
			}
			return page{matter: rest[:offset], body: rest[next:], bodyLine: line + 1, fronted: true}, nil
		}
		offset, line = next, line+1
	}
	return page{}, malformedAt(1, 1, "the front matter is opened with --- and never closed: expected a second line of three dashes")
}

func dashes(line []byte) bool { return string(bytes.TrimRight(line, " \t\r")) == "---" }

// matterLine is the line of the file on which the front matter starts.
const matterLine = 2

// parseMatter parses a front matter to a map. It refuses whatever makes YAML mean something else than it shows: anchors,
// aliases, merge keys, tags, repeated keys, a second document.
func parseMatter(matter []byte, limits *Limits) (value, error) {
	if err := checkMatter(matter); err != nil {
		return value{}, err
	}
	loader, err := yaml.NewLoader(bytes.NewReader(matter), yaml.WithPlugin(depthGuard(limits.Depth)))
	if err != nil {
		return value{}, malformedAt(matterLine, 1, "the front matter cannot be read: %v", err)
	}
	document, err := nextDocument(loader)
	if err != nil || document == nil {
		return value{form: formMap, line: matterLine}, err // without an error: nothing but blanks and comments
	}
	top, err := (&yamlReader{limits: limits}).top(document)
	if err != nil {
		return value{}, err
	}
	second, err := nextDocument(loader)
	if err != nil {
		return value{}, err
	}
	if second != nil {
		return value{}, nodeFault(second, "a second YAML document starts here: expected one")
	}
	return top, nil
}

// checkMatter refuses characters that YAML takes for the end of a line and editors do not, and those that do not show:
// a front matter must mean what it shows, and its lines must be those of the file.
func checkMatter(matter []byte) error {
	text := string(matter)
	if i := misleadingAt(text); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		line, column := position(matter, i)
		return malformedAt(line+matterLine-1, column, "the character %U is not accepted in a front matter: use plain line ends and visible text", r)
	}
	return nil
}

// misleadingAt is the offset of the first character of text that is not accepted; -1 when there is none.
func misleadingAt(text string) int {
	for i, r := range text {
		if misleading(r) || r == '\r' && !strings.HasPrefix(text[i:], "\r\n") {
			return i
		}
	}
	return -1
}

func misleading(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	case '\u2028', '\u2029', '\ufeff':
		return true
	}
	return r < ' ' || 0x7f <= r && r < 0xa0
}

// nextDocument parses one document to nodes; nil at the end. The parser gives up with a panic on some inputs that it
// does not expect itself: they are malformed, no more.
func nextDocument(loader *yaml.Loader) (document *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			document, err = nil, malformedAt(matterLine, 1, "the front matter is not YAML that can be read")
		}
	}()
	var node yaml.Node
	err = loader.Load(&node)
	if errors.Is(err, io.EOF) {
		return nil, nil //nolint:nilnil // the end of the stream is no document and no fault
	}
	if err != nil {
		return nil, yamlFault(err)
	}
	return &node, nil
}

// depthGuard stops the parser itself at a depth, before anything is built.
type depthGuard int

// CheckDepth implements [yaml.LoaderLimitsPlugin].
func (g depthGuard) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > int(g) {
		return errTooDeep
	}
	return nil
}

// CheckAlias implements [yaml.LoaderLimitsPlugin]. Aliases are refused later, unexpanded.
func (g depthGuard) CheckAlias(int, int) error { return nil }

var errTooDeep = errors.New("lists and maps nest deeper than is accepted")

// yamlReader turns nodes into values.
type yamlReader struct {
	limits *Limits
	nodes  int
}

func (y *yamlReader) top(document *yaml.Node) (value, error) {
	node := document
	if node.Kind == yaml.DocumentNode && len(node.Content) == 1 {
		node = node.Content[0]
	}
	v, err := y.value(node, 0)
	if err != nil {
		return value{}, err
	}
	if v.form == formNull {
		return value{form: formMap, line: v.line}, nil
	}
	if v.form != formMap {
		return value{}, nodeFault(node, "the front matter is not a list of fields: expected lines such as \"title: ...\"")
	}
	return v, nil
}

func (y *yamlReader) value(node *yaml.Node, depth int) (value, error) {
	y.nodes++
	switch {
	case y.nodes > y.limits.Nodes:
		return value{}, nodeFault(node, "the front matter holds more than %d values: move data into the body, or raise the limit \"nodes\"", y.limits.Nodes)
	case depth > y.limits.Depth:
		return value{}, nodeFault(node, "lists and maps nest more than %d deep", y.limits.Depth)
	}
	if err := refuse(node); err != nil {
		return value{}, err
	}
	v := value{line: node.Line + matterLine - 1}
	switch node.Kind {
	case yaml.ScalarNode:
		v.form, v.text = formText, node.Value
		if node.ShortTag() == "!!null" {
			v.form, v.text = formNull, ""
		}
		return v, nil
	case yaml.SequenceNode:
		v.form = formList
		for _, item := range node.Content {
			child, err := y.value(item, depth+1)
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, child)
		}
		return v, nil
	case yaml.MappingNode:
		return y.mapping(v, node, depth)
	case yaml.DocumentNode, yaml.AliasNode, yaml.StreamNode:
	}
	return value{}, nodeFault(node, "this is not a text, list or map")
}

func (y *yamlReader) mapping(v value, node *yaml.Node, depth int) (value, error) {
	v.form = formMap
	first := make(map[string]int, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		y.nodes++
		if err := refuse(key); err != nil {
			return value{}, err
		}
		if key.Kind != yaml.ScalarNode {
			return value{}, nodeFault(key, "a key is a list or a map: expected text")
		}
		if key.Value == "<<" && key.Style == 0 {
			return value{}, nodeFault(key, "a merge key (<<) is not accepted: write the fields out")
		}
		if line, ok := first[key.Value]; ok {
			return value{}, nodeFault(key, "the key %q is already on line %d: expected each key once", key.Value, line)
		}
		first[key.Value] = key.Line + matterLine - 1
		item, err := y.value(node.Content[i+1], depth+1)
		if err != nil {
			return value{}, err
		}
		v.keys, v.items = append(v.keys, key.Value), append(v.items, item)
	}
	return v, nil
}

// refuse names what a node has that would make it more than it shows.
func refuse(node *yaml.Node) error {
	switch {
	case node.Anchor != "":
		return nodeFault(node, "an anchor (&%s) is not accepted: write the value out", node.Anchor)
	case node.Kind == yaml.AliasNode:
		return nodeFault(node, "an alias (*%s) is not accepted: write the value out", node.Value)
	case node.Style&yaml.TaggedStyle != 0, node.Tag != "" && !strings.HasPrefix(node.Tag, "!!"):
		return nodeFault(node, "a tag (%s) is not accepted: write plain text", node.Tag)
	}
	// What an escape gives is held to the same rule as what is written there.
	if i := misleadingAt(node.Value); i >= 0 && node.Kind == yaml.ScalarNode {
		r, _ := utf8.DecodeRuneInString(node.Value[i:])
		return nodeFault(node, "an escape gives the character %U, which is not accepted in a front matter: use visible text", r)
	}
	return nil
}

func nodeFault(node *yaml.Node, format string, args ...any) error {
	return malformedAt(node.Line+matterLine-1, node.Column, format, args...)
}

func yamlFault(err error) error {
	load, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return malformedAt(matterLine, 1, "the front matter is not YAML: %v", err)
	}
	mark := load.Mark
	if mark.Line == 0 {
		mark = load.ContextMark
	}
	if mark.Line == 0 {
		return malformedAt(matterLine, 1, "the front matter is not YAML: %s", load.Message)
	}
	text := load.Message
	if load.ContextMsg != "" {
		text = load.ContextMsg + ", " + text
	}
	return malformedAt(mark.Line+matterLine-1, mark.Column,
		"the front matter is not YAML: %s (a text with a colon, a # or a bracket in it needs quotes)", text)
}
