package gitrepo

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

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
