package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/go-git/go-billy/v5"
)

const (
	maxConfig   = 8 << 20 // largest configuration file that is read
	utf8BOM     = "\xef\xbb\xbf"
	configSpace = " \t\r\n"
)

// config is what is needed of a git configuration: the last value of each setting, by its name as git config --get takes
// it. Names are kept apart from values that are absent: "[core] bare" without "=" is true.
type config struct {
	values   map[string]string
	promisor bool // some remote promises objects that are not here
	included bool // it names other files, which were not read: what they set is unknown
}

// read reads a configuration file as git does, and lets it override what is known. A file that is not there sets nothing.
func (c *config) read(dir billy.Filesystem, name string) error {
	file, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	return c.readFrom(file)
}

func (c *config) readFrom(file io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return err
	}
	if len(data) > maxConfig {
		return fmt.Errorf("more than %d bytes", maxConfig)
	}
	return parseConfig(data, func(name, value string, valued bool) {
		if !valued {
			value = "true" // all that is asked of such a setting is whether it holds
		}
		c.set(name, value)
	})
}

func (c *config) set(name, value string) {
	section, key := name, ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		section, key = name[:i], name[i+1:]
	}
	if c.values == nil {
		c.values = make(map[string]string)
	}
	switch {
	case section == "include", strings.HasPrefix(section, "includeif."):
		c.included = true
	case strings.HasPrefix(section, "remote.") && key == "promisor":
		c.promisor = c.promisor || isTrue(value)
	case section == "core", section == "extensions", name == "remote.origin.url":
		c.values[name] = value
	case strings.HasPrefix(section, "filter.") && (key == "clean" || key == "process") && value != "":
		c.values[section] = value
	}
}

// isTrue reports whether a value is true as git has it.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on":
		return true
	}
	n, ok := configInt(value)
	return ok && n != 0
}

// isFalse reports whether a value is false as git has it. What is neither true nor false is an error to git.
func isFalse(value string) bool {
	switch strings.ToLower(value) {
	case "false", "no", "off", "":
		return true
	}
	n, ok := configInt(value)
	return ok && n == 0
}

// configInt reads a number as git has it: in any base of C, with a unit.
func configInt(value string) (int64, bool) {
	value = strings.TrimPrefix(strings.TrimLeft(value, configSpace), "+")
	unit := int64(1)
	if n := len(value); n > 0 {
		switch value[n-1] {
		case 'k', 'K':
			unit, value = 1<<10, value[:n-1]
		case 'm', 'M':
			unit, value = 1<<20, value[:n-1]
		case 'g', 'G':
			unit, value = 1<<30, value[:n-1]
		}
	}
	if strings.ContainsAny(value, "_oObB") { // of Go, not of C
		return 0, false
	}
	n, err := strconv.ParseInt(value, 0, 64)
	return n * unit, err == nil
}

// parseConfig calls visit for each setting in turn. A name is section, "." and key in lower case, with the subsection
// between them as it is written: core.bare, remote.origin.url. valued is false for a key without "=". It follows git's
// config.c byte by byte, in linear time; bytes need not be UTF-8.
func parseConfig(data []byte, visit func(name, value string, valued bool)) error {
	p := &configParser{rest: bytes.TrimPrefix(data, []byte(utf8BOM)), line: 1}
	if err := p.file(visit); err != nil {
		return fmt.Errorf("bad config line %d: %w", p.at, err)
	}
	return nil
}

type configParser struct {
	rest    []byte
	line    int  // of what comes next
	at      int  // of what was read last
	ended   bool // what was read last is the newline that git adds to the end of a file
	section string
}

// next returns the next byte; a newline for CR LF and for the end.
func (p *configParser) next() byte {
	p.at = p.line
	if len(p.rest) == 0 {
		p.ended = true
		return '\n'
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	if b == '\r' && len(p.rest) > 0 && p.rest[0] == '\n' {
		b, p.rest = '\n', p.rest[1:]
	}
	if b == '\n' {
		p.line++
	}
	return b
}

func (p *configParser) file(visit func(name, value string, valued bool)) error {
	for {
		b := p.next()
		switch {
		case p.ended:
			return nil
		case isConfigSpace(b):
		case b == '#' || b == ';':
			for p.next() != '\n' {
				continue
			}
			if p.ended {
				return nil
			}
		case b == '[':
			if err := p.head(); err != nil {
				return err
			}
		case isConfigLetter(b):
			if err := p.setting(b, visit); err != nil {
				return err
			}
		default:
			return fmt.Errorf("want a section or a name, not %q", string(rune(b)))
		}
	}
}

func isConfigSpace(b byte) bool { return strings.IndexByte(configSpace, b) >= 0 }

func isConfigLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func isConfigKey(b byte) bool { return isConfigLetter(b) || b >= '0' && b <= '9' || b == '-' }

func lowerByte(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b | 0x20
	}
	return b
}

// head reads [section], [section.subsection] or [section "subsection"] behind its bracket.
func (p *configParser) head() error {
	var name []byte
	for {
		b := p.next()
		switch {
		case p.ended:
			return errors.New("want ] at the end of a section's name")
		case b == ']' && len(name) == 0:
			return errors.New("want the name of a section")
		case b == ']':
			p.section = string(name) + "."
			return nil
		case isConfigSpace(b):
			return p.subsection(string(name), b)
		case !isConfigKey(b) && b != '.':
			return fmt.Errorf("the name of a section may not hold %q", string(rune(b)))
		}
		name = append(name, lowerByte(b))
	}
}

func (p *configParser) subsection(section string, b byte) error {
	for isConfigSpace(b) {
		if b == '\n' {
			return errors.New("want ] at the end of a section's name")
		}
		b = p.next()
	}
	if b != '"' {
		return errors.New("want a subsection in quotes")
	}
	name := []byte(section + ".")
	for {
		b = p.next()
		if b == '"' {
			break
		}
		if b == '\\' {
			b = p.next()
		}
		if b == '\n' {
			return errors.New("the name of a subsection has no end")
		}
		name = append(name, b)
	}
	if p.next() != ']' {
		return errors.New("want ] after a subsection")
	}
	p.section = string(name) + "."
	return nil
}

// setting reads a key that begins with first, and its value.
func (p *configParser) setting(first byte, visit func(name, value string, valued bool)) error {
	key := []byte{lowerByte(first)}
	b := p.next()
	for ; isConfigKey(b); b = p.next() {
		key = append(key, lowerByte(b))
	}
	for b == ' ' || b == '\t' {
		b = p.next()
	}
	name := untilNUL(p.section + string(key))
	switch b {
	case '\n':
		visit(name, "", false)
		return nil
	case '=':
		value, err := p.value()
		if err == nil {
			visit(name, value, true)
		}
		return err
	}
	return fmt.Errorf("want = after the name %s", name)
}

// value reads what is behind "=": without a comment, without the space around it, joined where lines are continued.
func (p *configParser) value() (string, error) {
	var value []byte
	kept := 0 // how much of value stays when what follows is only space
	quoted := false
	for {
		b := p.next()
		switch {
		case b == '\n' && quoted:
			return "", errors.New("a quoted value has no end")
		case b == '\n':
			return untilNUL(string(value[:kept])), nil
		case isConfigSpace(b) && !quoted:
			if kept > 0 {
				value = append(value, b)
			}
			continue
		case (b == '#' || b == ';') && !quoted:
			for p.next() != '\n' {
				continue
			}
			return untilNUL(string(value[:kept])), nil
		case b == '"':
			quoted = !quoted
			kept = keepSpace(value, kept)
			continue
		case b == '\\':
			escaped, ok := p.escape()
			if !ok {
				return "", errors.New(`want \n, \t, \b, \\, \" or the end of a line after \`)
			}
			if escaped == 0 {
				kept = keepSpace(value, kept)
				continue
			}
			b = escaped
		}
		value = append(value, b)
		kept = len(value)
	}
}

// keepSpace returns how much of a value stays before a quote or a continued line: there git keeps the space, and drops it
// only where nothing but space came before.
func keepSpace(value []byte, kept int) int {
	if kept == 0 {
		return 0
	}
	return len(value)
}

// escape reads what is behind a backslash. Zero is a continued line.
func (p *configParser) escape() (b byte, ok bool) {
	switch b = p.next(); b {
	case '\n':
		return 0, true
	case 't':
		return '\t', true
	case 'b':
		return '\b', true
	case 'n':
		return '\n', true
	case '\\', '"':
		return b, true
	}
	return 0, false
}

// untilNUL cuts text where C would.
func untilNUL(s string) string {
	before, _, _ := strings.Cut(s, "\x00")
	return before
}

// settings are those of git that decide what it takes for a change of a work tree. Those of the system and the user are
// read where git reads them. What the repository names outside of itself is not read.
type settings struct {
	autocrlf   bool
	fileMode   bool
	symlinks   bool
	foldCase   bool
	filters    map[string]bool
	attributes [][]attributeRule // of the user and of the system
	unknown    bool              // some file that may set these was not read
}

const deepestInclude = 10

// settings reads them, the repository's own last.
func (r *Repository) settings(dir *gitDir) (*settings, error) {
	own, err := dir.config()
	if err != nil {
		return nil, err
	}
	user := userConfig{env: r.options.Env}
	if user.env == nil {
		user.env = os.Getenv
	}
	user.read()
	value := func(name string) (string, bool) {
		if v, ok := own.values[name]; ok {
			return v, true
		}
		v, ok := user.values[name]
		return v, ok
	}
	holds := func(name string, otherwise bool) bool {
		if v, ok := value(name); ok {
			return !isFalse(v)
		}
		return otherwise
	}
	set := &settings{
		fileMode: holds("core.filemode", true), symlinks: holds("core.symlinks", true), foldCase: holds("core.ignorecase", false),
		autocrlf: holds("core.autocrlf", false), filters: make(map[string]bool),
	}
	for _, values := range []map[string]string{own.values, user.values} {
		for name := range values {
			if filter, ok := strings.CutPrefix(name, "filter."); ok {
				set.filters[filter] = true
			}
		}
	}
	set.attributes = user.attributes(attributeFormat{macros: true, fold: set.foldCase})
	_, elsewhere := own.values["core.attributesfile"]
	set.unknown = own.included || user.included || elsewhere
	return set, nil
}

// userConfig is what the system and the user have configured.
type userConfig struct {
	config
	env func(string) string
}

func (c *userConfig) read() {
	if !isTrue(c.env("GIT_CONFIG_NOSYSTEM")) {
		system := c.env("GIT_CONFIG_SYSTEM")
		if system == "" {
			system = "/etc/gitconfig"
			c.included = c.included || runtime.GOOS != "linux" // elsewhere each build of git has its own place
		}
		c.file(system, 0)
	}
	if global := c.env("GIT_CONFIG_GLOBAL"); global != "" {
		c.file(global, 0)
	} else {
		c.file(c.xdg("config"), 0)
		c.file(c.home(".gitconfig"), 0)
	}
	if c.env("GIT_CONFIG_COUNT") != "" || c.env("GIT_CONFIG_PARAMETERS") != "" {
		c.included = true
	}
}

func (c *userConfig) home(name string) string {
	home := c.env("HOME")
	if home == "" {
		home, _ = os.UserHomeDir() // without one there are no files in it
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, name)
}

func (c *userConfig) xdg(name string) string {
	if base := c.env("XDG_CONFIG_HOME"); base != "" {
		return filepath.Join(base, "git", name)
	}
	return c.home(filepath.Join(".config", "git", name))
}

// file reads one file and what it includes without a condition. Whether a condition holds is not decided.
func (c *userConfig) file(name string, depth int) {
	text, err := readUserFile(name)
	if err != nil || depth > deepestInclude {
		c.included = true
		return
	}
	err = parseConfig([]byte(text), func(key, value string, valued bool) {
		switch {
		case key == "include.path" && valued:
			c.file(c.expand(filepath.Dir(name), value), depth+1)
		case !valued:
			c.set(key, "true")
		default:
			c.set(key, value)
		}
	})
	if err != nil {
		c.included = true
	}
}

func (c *userConfig) expand(base, name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return c.home(filepath.FromSlash(rest))
	}
	return against(base, filepath.FromSlash(name))
}

// readUserFile reads a file of the user. One that is not there is empty.
func readUserFile(name string) (string, error) {
	if name == "" || name == os.DevNull {
		return "", nil
	}
	info, err := os.Stat(name)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxConfig {
		return "", os.ErrInvalid
	}
	file, err := os.Open(name) //nolint:gosec // the user's own configuration, which git reads too
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(file, maxConfig))
	return string(text), err
}

// attributes returns the rules of the user, then those of the system.
func (c *userConfig) attributes(format attributeFormat) [][]attributeRule {
	name := c.xdg("attributes")
	if own, ok := c.values["core.attributesfile"]; ok {
		name = c.expand("", own)
	}
	names := []string{name}
	if !isTrue(c.env("GIT_ATTR_NOSYSTEM")) {
		names = append(names, "/etc/gitattributes")
	}
	var files [][]attributeRule
	for _, name := range names {
		text, err := readUserFile(name)
		if err != nil {
			c.included = true
		}
		files = append(files, format.parse(text, ""))
	}
	return files
}
