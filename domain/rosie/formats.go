package rosie

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// The look for other formats is short: it says what a repository may be, and reads nothing of it.
const (
	lookEntries = 5000     // names
	lookDepth   = 4        // directories below the root
	lookFiles   = 40       // files that are opened
	lookBytes   = 64 << 10 // of each
)

// otherFormat names the format of requirements that a repository without .gxp/ seems to use, and the path that tells; ""
// when none was recognised in a short look. What cannot be read tells nothing.
func otherFormat(ctx context.Context, fsys fs.FS) (format, where string) {
	l := &look{fsys: fsys}
	// By level, so that what is near the root is seen first.
	for level := []string{"."}; len(level) > 0 && l.depth <= lookDepth; l.depth++ {
		var next []string
		for _, dir := range level {
			if ctx.Err() != nil || l.entries >= lookEntries {
				return "", ""
			}
			if format, where = l.directory(dir, &next); format != "" {
				return format, where
			}
		}
		level = next
	}
	return "", ""
}

type look struct {
	fsys    fs.FS
	depth   int
	entries int
	opened  int
}

func (l *look) directory(dir string, next *[]string) (format, where string) {
	opened, err := l.fsys.Open(dir)
	if err != nil {
		return "", ""
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	reader, ok := opened.(fs.ReadDirFile)
	if !ok {
		return "", ""
	}
	for l.entries < lookEntries {
		some, err := reader.ReadDir(min(500, lookEntries-l.entries))
		l.entries += len(some)
		for _, d := range some {
			file := path.Join(dir, d.Name())
			switch {
			case !fs.ValidPath(file) || oddName(d.Name()) != "":
			case d.Type() == fs.ModeDir && d.Name() != ".git" && d.Name() != "node_modules" && d.Name() != "vendor":
				*next = append(*next, file)
			case d.Type().IsRegular():
				if format = l.file(file); format != "" {
					return format, file
				}
			}
		}
		if err != nil || len(some) == 0 {
			break
		}
	}
	return "", ""
}

var (
	sphinxNeeds = regexp.MustCompile(`['"]sphinx(?:contrib)?[._]needs['"]`)
	fastTrace   = regexp.MustCompile("(?m)^[ \t]*`?[a-z]+~[\\pL\\pN_.-]+~[0-9]+`?[ \t]*$|openfasttrace")
)

// file recognises a format by a name, or by what a small file of that name says.
func (l *look) file(file string) string {
	name := strings.ToLower(path.Base(file))
	switch path.Ext(name) {
	case ".sdoc":
		return "StrictDoc"
	case ".reqif", ".reqifz":
		return "ReqIF"
	}
	switch name {
	case ".doorstop.yml", ".doorstop.yaml":
		return "Doorstop"
	case "strictdoc.toml", "strictdoc_config.py":
		return "StrictDoc"
	case "ubproject.toml":
		return "Sphinx-Needs"
	case "conf.py":
		if l.says(file, sphinxNeeds) {
			return "Sphinx-Needs"
		}
	case "pom.xml", "build.gradle", "build.gradle.kts", ".oft.yml":
		if l.says(file, fastTrace) {
			return "OpenFastTrace"
		}
	default:
		if (path.Ext(name) == ".md" || path.Ext(name) == ".markdown" || path.Ext(name) == ".rst") && l.says(file, fastTrace) {
			return "OpenFastTrace"
		}
	}
	return ""
}

// says reports whether the start of a file matches, as long as files may be opened.
func (l *look) says(file string, pattern *regexp.Regexp) bool {
	if l.opened == lookFiles {
		return false
	}
	l.opened++
	opened, err := l.fsys.Open(file)
	if err != nil {
		return false
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	data, err := io.ReadAll(io.LimitReader(opened, lookBytes))
	return (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) && pattern.Match(data)
}

// formatHint ends the sentence of a missing .gxp/ with the format that the repository seems to use.
func formatHint(ctx context.Context, fsys fs.FS) string {
	format, where := otherFormat(ctx, fsys)
	if format == "" {
		return ""
	}
	return fmt.Sprintf("; %+q looks like %s, which is not read: docs/formats.md says what is", where, format)
}
