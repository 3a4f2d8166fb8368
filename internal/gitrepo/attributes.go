package gitrepo

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxAttributeLine = 2048    // git leaves longer lines out
	maxAttributes    = 1 << 20 // bytes of all .gitattributes files that are read
)

// attributeRule is a line of a .gitattributes file. go-git has a matcher of its own, which differs from git in "**", in
// escapes and in classes.
type attributeRule struct {
	macro   string         // the name that it gives to its states, or ""
	pattern *regexp.Regexp // over the bytes of a path as if each were a letter; nil for a macro
	base    bool           // pattern is of the last element of the path
	fold    bool           // pattern is in lower case, and so has the path to be
	dir     string         // where the file is, "" at the top
	states  []attributeState
}

// attributeState gives an attribute a value: "true" and "false" are set and unset, as in text and -text.
type attributeState struct{ name, value string }

const (
	attributeSet         = "\x00set"
	attributeUnset       = "\x00unset"
	attributeUnspecified = "\x00unspecified"
)

// attributeFormat is how a file of attributes is read.
type attributeFormat struct {
	macros bool // it may hold macros
	fold   bool // core.ignoreCase
}

// parse reads the file of the directory dir. The rules come from the last line to the first, which is the order
// in which they count. Macros count in the files of the whole repository alone. Lines that git leaves out with a warning
// are left out.
func (f attributeFormat) parse(text, dir string) []attributeRule {
	var rules []attributeRule
	for line := range strings.SplitSeq(strings.TrimPrefix(text, utf8BOM), "\n") {
		line, _, _ = strings.Cut(line, "\x00")
		if rule, ok := f.line(line); ok {
			rule.dir = dir
			if f.fold {
				rule.dir = lowerASCII(dir)
			}
			rules = append(rules, rule)
		}
	}
	slices.Reverse(rules)
	return rules
}

func (f attributeFormat) line(line string) (rule attributeRule, ok bool) {
	const blank = " \t\r\n"
	full := line
	line = strings.TrimLeft(line, blank)
	if line == "" || line[0] == '#' || len(full) >= maxAttributeLine {
		return rule, false
	}
	pattern, rest, quoted := unquoteC(line)
	if !quoted {
		end := strings.IndexAny(line+" ", blank)
		pattern, rest = line[:end], line[end:]
	}
	if macro, is := strings.CutPrefix(pattern, "[attr]"); is && macro != "" {
		if !f.macros || !validAttribute(macro) {
			return rule, false
		}
		rule.macro = macro
	} else if rule.fold = f.fold; !rule.compile(pattern) {
		return rule, false
	}
	for _, word := range strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune(blank, r) }) {
		state := attributeState{value: attributeSet}
		switch name, value, valued := strings.Cut(word, "="); {
		case word[0] == '-':
			state = attributeState{name: strings.TrimPrefix(name, "-"), value: attributeUnset}
		case word[0] == '!':
			state = attributeState{name: strings.TrimPrefix(name, "!"), value: attributeUnspecified}
		case valued:
			state = attributeState{name: name, value: value}
		default:
			state.name = name
		}
		if !validAttribute(state.name) || strings.HasPrefix(state.name, "builtin_") {
			return rule, false
		}
		rule.states = append(rule.states, state)
	}
	return rule, true
}

func validAttribute(name string) bool {
	return name != "" && name[0] != '-' && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", r)
	})
}

// unquoteC reads a string in quotes, as C has them, from the front of line.
func unquoteC(line string) (text, rest string, ok bool) {
	if line[0] != '"' {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == '"':
			return b.String(), line[i+1:], true
		case line[i] != '\\':
			b.WriteByte(line[i])
			continue
		}
		i++
		if i == len(line) {
			break
		}
		if j := strings.IndexByte(`abfnrtv"\`, line[i]); j >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\"\\"[j])
			continue
		}
		if i+3 > len(line) {
			break
		}
		octal, err := strconv.ParseUint(line[i:i+3], 8, 8)
		if err != nil || line[i] > '3' {
			break
		}
		b.WriteByte(byte(octal))
		i += 2
	}
	return "", "", false
}

// compile turns a pattern into a regular expression, which matches in linear time. It reports false for one that never
// matches a file.
func (r *attributeRule) compile(pattern string) bool {
	if strings.HasPrefix(pattern, "!") || strings.HasSuffix(pattern, "/") {
		return false // git takes no exceptions here, and the second matches folders alone
	}
	r.base = !strings.Contains(pattern, "/")
	if r.fold {
		pattern = lowerASCII(pattern)
	}
	text, ok := wildcards(strings.TrimPrefix(pattern, "/"), r.base)
	if !ok {
		return false
	}
	var err error
	r.pattern, err = regexp.Compile(`\A(?s:` + text + `)\z`)
	return err == nil
}

// matches reports whether the rule is for a path.
func (r *attributeRule) matches(name string) bool {
	if r.pattern == nil {
		return false
	}
	if r.fold {
		name = lowerASCII(name)
	}
	if r.dir != "" {
		below, ok := strings.CutPrefix(name, r.dir+"/")
		if !ok {
			return false
		}
		name = below
	}
	if r.base {
		name = path.Base(name)
	}
	return r.pattern.MatchString(bytewise(name))
}

func lowerASCII(s string) string {
	out := []byte(s)
	for i, b := range out {
		out[i] = lowerByte(b)
	}
	return string(out)
}

// bytewise makes a letter of each byte: git's patterns are of bytes.
func bytewise(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = rune(s[i])
	}
	return string(out)
}

// wildcards turns a pattern of gitignore(5) into a regular expression over bytewise text.
func wildcards(pattern string, base bool) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			n := 1
			for i+n < len(pattern) && pattern[i+n] == '*' {
				n++
			}
			before, after := i == 0 || pattern[i-1] == '/', pattern[i+n:]
			i += n - 1
			switch {
			case base || n < 2 || !before || after != "" && after[0] != '/' && !strings.HasPrefix(after, `\/`):
				b.WriteString(`[^/]*`)
			case strings.HasPrefix(after, "/"):
				b.WriteString(`(?:.*/)?`)
				i++
			default:
				b.WriteString(`.*`)
			}
		case '?':
			b.WriteString(`[^/]`)
		case '[':
			n, class := bracket(pattern[i:])
			if n == 0 {
				return "", false
			}
			b.WriteString(class)
			i += n - 1
		case '\\':
			if i++; i == len(pattern) {
				return "", false
			}
			b.WriteString(oneByte(pattern[i]))
		default:
			b.WriteString(oneByte(c))
		}
	}
	return b.String(), true
}

func oneByte(b byte) string { return `\x` + hexByte(b) }

func hexByte(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

// bracket turns a class such as [a-z[:digit:]] into one of a regular expression, and says how long it is: 0 when it does
// not end. A class never matches a slash.
func bracket(pattern string) (n int, class string) {
	i := 1
	var set byteSet
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		set.negated = true
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, set.class()
		}
		used := set.add(pattern[i:])
		if used == 0 {
			return 0, ""
		}
		i += used
	}
	return 0, ""
}

// byteSet is what a class holds, or what it does not.
type byteSet struct {
	in      [256]bool
	negated bool
}

// add adds what is at the front of a pattern: a byte, a range or a named class. It returns how long that is, 0 when it is
// none.
func (s *byteSet) add(pattern string) int {
	if rest, ok := strings.CutPrefix(pattern, "[:"); ok {
		name, _, ok := strings.Cut(rest, ":]")
		if !ok || !addNamed(&s.in, name) {
			return 0
		}
		return len(name) + len("[::]")
	}
	low, i, ok := classByte(pattern, 0)
	if !ok {
		return 0
	}
	high := low
	if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
		if high, i, ok = classByte(pattern, i+1); !ok {
			return 0
		}
	}
	for b := int(low); b <= int(high); b++ {
		s.in[b] = true
	}
	return i
}

func classByte(pattern string, i int) (b byte, after int, ok bool) {
	if pattern[i] == '\\' {
		i++
	}
	if i >= len(pattern) {
		return 0, i, false
	}
	return pattern[i], i + 1, true
}

// class returns the set as a regular expression.
func (s *byteSet) class() string {
	var b strings.Builder
	for c := range s.in {
		if s.in[c] != s.negated && c != '/' && c != 0 {
			b.WriteString(oneByte(byte(c)))
		}
	}
	if b.Len() == 0 {
		return `[^\x{0}-\x{10ffff}]` // nothing
	}
	return "[" + b.String() + "]"
}

func addNamed(in *[256]bool, name string) bool {
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	set, ok := map[string]string{
		"alnum": lower + upper + digits, "alpha": lower + upper, "blank": " \t", "digit": digits, "graph": lower + upper + digits + punctuation,
		"lower": lower, "print": lower + upper + digits + punctuation + " ", "punct": punctuation, "space": " \t\n\r\v\f", "upper": upper,
		"xdigit": digits + "abcdefABCDEF",
	}[name]
	for i := range len(set) {
		in[set[i]] = true
	}
	if name == "cntrl" {
		for c := range ' ' {
			in[c] = true
		}
		in[0x7f], ok = true, true
	}
	return ok
}

// addMacros collects the macros of several files, the first of which counts most.
func addMacros(macros map[string][]attributeState, files [][]attributeRule) {
	for _, rules := range files {
		for _, rule := range rules {
			if _, ok := macros[rule.macro]; !ok && rule.macro != "" {
				macros[rule.macro] = rule.states
			}
		}
	}
}

// attributesOf returns what a path is given by the rules of several files, the first of which counts most. A macro that is
// set gives what it stands for to what is not given yet.
func attributesOf(name string, files [][]attributeRule, macros map[string][]attributeState) map[string]string {
	given := make(map[string]string)
	for _, rules := range files {
		for i := range rules {
			if rules[i].matches(name) {
				give(given, rules[i].states, macros)
			}
		}
	}
	return given
}

// give goes backwards: the last state of a line counts most.
func give(given map[string]string, states []attributeState, macros map[string][]attributeState) {
	for _, s := range slices.Backward(states) {
		if _, ok := given[s.name]; ok {
			continue
		}
		given[s.name] = s.value
		if s.value == attributeSet {
			give(given, macros[s.name], macros)
		}
	}
}
