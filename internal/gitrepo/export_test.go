package gitrepo

import (
	"context"
	"errors"
)

// Changed returns which of the files that a commit and its work tree both hold differ, below .gxp. An empty text is no
// doubt.
func Changed(ctx context.Context, dir string, env func(string) string) (changed map[string]bool, doubt string, err error) {
	found, err := Locate(dir, Options{Worktree: true, Env: env})
	if err != nil {
		return nil, "", err
	}
	head := &Revision{}
	if err := found.openLocal(ctx, head, "HEAD"); err != nil {
		return nil, "", err
	}
	disk, err := snapshot(ctx, found.work)
	if err != nil {
		return nil, "", err
	}
	opened, err := found.open()
	if err != nil {
		return nil, "", err
	}
	c := &comparison{disk: disk, store: newObjects(opened), rules: make(map[string][]attributeRule)}
	if c.set, err = found.settings(opened); err != nil {
		return nil, "", err
	}
	if err := c.prepare(ctx, head.files); err != nil {
		return nil, "", err
	}
	changed = make(map[string]bool)
	for name, want := range c.want {
		have, ok := c.have[name]
		if !ok {
			changed[name] = true
			continue
		}
		same, err := c.same(name, have, want)
		if err != nil {
			return nil, "", err
		}
		changed[name] = !same
	}
	return changed, c.doubt, errors.Join(head.Close(), disk.close(), c.store.close())
}

// ParseConfig returns the last value of each setting, as git config --get has it. Those without a value have none.
func ParseConfig(data []byte) (values map[string]*string, err error) {
	values = make(map[string]*string)
	err = parseConfig(data, func(name, value string, valued bool) {
		values[name] = nil
		if valued {
			values[name] = &value
		}
	})
	return values, err
}

// Decode returns the message of a commit whose encoding has that name, with the note before it.
func Decode(text, encoding string) string {
	in := textEncoding(encoding)
	return in.warning([]string{text}) + in.decode(text)
}

// TextAttribute returns the attribute text of a path as git check-attr shows it.
func TextAttribute(name string, files map[string]string, foldCase bool) string {
	macros := map[string][]attributeState{}
	top, nested := attributeFormat{macros: true, fold: foldCase}, attributeFormat{fold: foldCase}
	parsed := [][]attributeRule{
		top.parse(files[".git/info/attributes"], ""), nested.parse(files[".gxp/b/.gitattributes"], ".gxp/b"),
		nested.parse(files[".gxp/.gitattributes"], ".gxp"), top.parse(files[".gitattributes"], ""), top.parse("[attr]binary -diff -merge -text", ""),
	}
	addMacros(macros, parsed)
	switch value, ok := attributesOf(name, parsed, macros)["text"]; {
	case !ok || value == attributeUnspecified:
		return "unspecified"
	case value == attributeSet:
		return "set"
	case value == attributeUnset:
		return "unset"
	default:
		return value
	}
}
