package esdbserver

import (
	"regexp"
	"strings"
)

// pattern is a regular expression as clients write it: one of RE2, with which clients of the protocol exclude what begins with
// something, "^(?!\\$|content-)". RE2 has no lookahead; at the start of the text it is a second expression that must not match.
type pattern struct {
	expression *regexp.Regexp
	excluded   []*regexp.Regexp
}

func parsePattern(text string) (*pattern, error) {
	p := &pattern{}
	rest, anchored := strings.CutPrefix(text, "^")
	for anchored && strings.HasPrefix(rest, "(?!") {
		end := groupEnd(rest)
		if end < 0 {
			break // the parenthesis has no end: what follows says so
		}
		excluded, err := regexp.Compile("^(?:" + rest[len("(?!"):end] + ")")
		if err != nil {
			return nil, err
		}
		p.excluded, rest = append(p.excluded, excluded), rest[end+1:]
	}
	if len(p.excluded) > 0 && !hasAlternatives(rest) {
		text = "^(?:" + rest + ")"
	}
	var err error
	p.expression, err = regexp.Compile(text)
	return p, err
}

func (p *pattern) match(name string) bool {
	for _, e := range p.excluded {
		if e.MatchString(name) {
			return false
		}
	}
	return p.expression.MatchString(name)
}

// groupEnd returns the index of the parenthesis that ends the group at the start of text, -1 if there is none.
func groupEnd(text string) int {
	end := -1
	walkPattern(text, func(i, depth int) bool {
		if depth == 0 && text[i] == ')' {
			end = i
		}
		return end < 0
	})
	return end
}

// hasAlternatives reports whether text has a | outside of every group: then a lookahead before it belongs to the first one alone.
func hasAlternatives(text string) bool {
	found := false
	walkPattern(text, func(i, depth int) bool {
		found = found || depth == 0 && text[i] == '|'
		return !found
	})
	return found
}

// walkPattern calls visit for each byte of text that is neither escaped nor in brackets, with the number of groups that are open
// behind it, until visit returns false.
func walkPattern(text string, visit func(i, depth int) bool) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			continue
		case '[':
			if i = bracketEnd(text, i); i < 0 {
				return
			}
			continue
		case '(':
			depth++
		case ')':
			depth--
		}
		if !visit(i, depth) {
			return
		}
	}
}

// bracketEnd returns the index of the bracket that ends the class which begins at i, -1 if there is none.
func bracketEnd(text string, i int) int {
	i++
	if i < len(text) && text[i] == '^' {
		i++
	}
	for first := true; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == ']' && !first:
			return i
		}
		first = false
	}
	return -1
}
