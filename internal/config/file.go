package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"github.com/gxpledger/gxpledger/internal/spelling"
)

// FileValues are what a configuration file sets.
type FileValues struct {
	Path   string // "" for no file
	values map[string]Value
}

// mostFile bounds a configuration file, in bytes, and mostDepth what is nested in it.
const (
	mostFile  = 64 << 10
	mostDepth = 8
)

// FindFile reads the configuration file of the home, where there is one. A home that may be part of a repository is refused first: see
// [Settings.CheckHome]. In a home that nobody named, the file must not name servers, since a repository could carry it.
//
// Errors: an [*Error], which wraps [ErrInvalid] where the file must be changed.
func (s Settings) FindFile(ctx context.Context) (FileValues, error) {
	path := filepath.Join(s.HomeFolder(), FileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return FileValues{}, nil // whoever needs the home says what is wrong with it
	}
	if err := s.CheckHome(ctx); err != nil {
		return FileValues{}, err
	}
	refused := func(d Definition) string {
		switch {
		case d.Named:
			return "cannot be set by the file in the home: leave it out, or name the file with --config"
		case d.Server && s.Home == "":
			return "cannot be set by a file in a home that nobody named, since a repository could carry it: name the home with --home or GXPLEDGER_HOME, or the file with --config"
		}
		return ""
	}
	return readFile(path, refused)
}

// ReadFile reads the configuration file that somebody named. Errors: those of [Settings.FindFile].
func ReadFile(path string) (FileValues, error) {
	return readFile(path, func(Definition) string { return "" })
}

func readFile(path string, refused func(Definition) string) (FileValues, error) {
	data, err := readBounded(path)
	if err != nil {
		return FileValues{}, &Error{Setting: Configured, Problem: fmt.Sprintf("cannot read the configuration %s (%v)", path, err), Remedy: "check the file", Err: err}
	}
	r := fileReader{path: path, refused: refused, out: map[string]Value{}}
	if err := r.read(data); err != nil {
		return FileValues{}, err
	}
	return FileValues{Path: path, values: r.out}, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator named it, or the home that it is in
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is not a plain file"), err)
	}
	data, err := io.ReadAll(io.LimitReader(file, mostFile+1))
	if err == nil && len(data) > mostFile {
		err = fmt.Errorf("it is larger than %d bytes", mostFile)
	}
	return data, err
}

// fileReader reads the settings of one file.
type fileReader struct {
	path    string
	refused func(Definition) string // why a setting must not be in this file; "" where it may
	out     map[string]Value
}

func (r *fileReader) fault(line int, problem, remedy string) error {
	return &Error{Setting: Configured, Problem: fmt.Sprintf("%s:%d: %s", r.path, max(line, 1), problem), Remedy: remedy, Err: ErrInvalid}
}

func (r *fileReader) read(data []byte) error {
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(depthLimit(mostDepth)))
	if err != nil {
		return r.fault(1, "cannot be read: "+err.Error(), "")
	}
	document, err := r.next(loader)
	if err != nil || document == nil {
		return err
	}
	top := document
	if top.Kind == yaml.DocumentNode && len(top.Content) == 1 {
		top = top.Content[0]
	}
	if isNull(top) { // nothing but comments
		return nil
	}
	second, err := r.next(loader)
	if err != nil {
		return err
	}
	if second != nil {
		return r.fault(second.Line, "a second YAML document begins here", "leave one")
	}
	return r.section("", top)
}

// next returns the next document, nil at the end. The parser panics on some inputs that it does not expect itself.
func (r *fileReader) next(loader *yaml.Loader) (document *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			document, err = nil, r.fault(1, "this is not YAML that can be read", "check the file")
		}
	}()
	var node yaml.Node
	err = loader.Load(&node)
	if errors.Is(err, io.EOF) {
		return nil, nil //nolint:nilnil // the end of the stream is no document and no fault
	}
	if err != nil {
		line := 1
		if where, ok := errors.AsType[*yaml.LoadError](err); ok {
			line = where.Mark.Line
		}
		return nil, r.fault(line, "this is not YAML that can be read", "check the indentation and the quotes")
	}
	return &node, nil
}

// section reads the keys below a prefix, which ends in a dot or is empty.
func (r *fileReader) section(prefix string, node *yaml.Node) error {
	if err := r.plain(node); err != nil {
		return err
	}
	if node.Kind != yaml.MappingNode {
		return r.fault(node.Line, orDefault(strings.TrimSuffix(prefix, "."), "the file")+" holds no settings", "write KEY: VALUE")
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		if err := r.plain(name); err != nil {
			return err
		}
		if name.Kind != yaml.ScalarNode {
			return r.fault(name.Line, "this key is not a text", "write KEY: VALUE")
		}
		if line, twice := seen[name.Value]; twice {
			return r.fault(name.Line, fmt.Sprintf("%s%s is in line %d already", prefix, name.Value, line), "leave one")
		}
		seen[name.Value] = name.Line
		if err := r.entry(prefix+name.Value, name.Line, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *fileReader) entry(key string, line int, node *yaml.Node) error {
	for _, d := range Definitions() {
		switch {
		case d.Secret && d.Key == key:
			return r.fault(line, key+" is never read from a file", "set "+d.Variable+", or name a file of its own with "+key+"-file")
		case d.Secret:
		case d.Key == key:
			if why := r.refused(d); why != "" {
				problem, remedy, _ := strings.Cut(why, ": ")
				return r.fault(line, key+" "+problem, remedy)
			}
			return r.setting(d, line, node)
		case strings.HasPrefix(d.Key, key+"."):
			if isNull(node) {
				return nil
			}
			return r.section(key+".", node)
		}
	}
	if home := livesElsewhere(key); home != "" {
		return r.fault(line, key+" is never read from a file", home)
	}
	return r.fault(line, fmt.Sprintf("there is no setting %q", key), meant(key))
}

// livesElsewhere says where settings are that are facts of the log, and not of a machine; "" for others.
func livesElsewhere(key string) string {
	const (
		policy = "policies and settings of repositories are recorded in the log: set them with gxpledger repository set"
		keys   = "keys that verify evidence are recorded in the log: trust them with gxpledger keys trust"
	)
	facts := map[string]string{
		"policy": policy, "policies": policy, "links": policy, "duplicates": policy, "unsigned-packages": policy, "main-line": policy, "limit": policy,
		"limits": policy, "repository": policy, "repositories": policy, "addresses": policy, "key": keys, "keys": keys, "evidence-key": keys, "evidence-keys": keys,
		"trusted-keys": keys,
	}
	for name := range strings.SplitSeq(key, ".") {
		if home := facts[strings.ReplaceAll(strings.ToLower(name), "_", "-")]; home != "" {
			return home
		}
	}
	return ""
}

// meant names the settings that are nearest to a key that does not exist.
func meant(key string) string {
	var keys []string
	last := key[strings.LastIndex(key, ".")+1:]
	for _, d := range Definitions() {
		if d.Secret {
			continue
		}
		if d.Flag == key || d.Variable == key {
			return "did you mean " + d.Key + "?"
		}
		keys = append(keys, d.Key)
		if section, _, ok := strings.Cut(d.Key, "."); ok && !slices.Contains(keys, section) {
			keys = append(keys, section)
		}
	}
	near := spelling.Nearest(key, keys, 1)
	for _, k := range keys {
		if _, name, _ := strings.Cut(k, "."); len(near) == 0 && len(spelling.Nearest(last, []string{name}, 1)) > 0 {
			near = []string{k}
		}
	}
	if len(near) > 0 {
		return "did you mean " + near[0] + "?"
	}
	return "gxpledger config print lists all"
}

// setting reads the value of one setting.
func (r *fileReader) setting(d Definition, line int, node *yaml.Node) error {
	v := Value{Definition: d, Source: Source{Origin: FromFile, Name: r.path, Line: line}}
	nodes := []*yaml.Node{node}
	if err := r.plain(node); err != nil {
		return err
	}
	if d.Form == List && node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	for _, n := range nodes {
		if err := r.plain(n); err != nil {
			return err
		}
		if n.Kind != yaml.ScalarNode {
			return v.invalid("is not a "+d.word(), "write "+d.Key+": "+d.example())
		}
		if isEmpty(d, n) {
			return v.invalid("is empty", "give a value, or leave it out")
		}
		text := n.Value
		if want := d.want(text); want != "" {
			return v.invalid(fmt.Sprintf("is %q", text), want)
		}
		if d.Form == File && !filepath.IsAbs(text) {
			text = filepath.Join(filepath.Dir(r.path), text)
		}
		v.Texts = append(v.Texts, text)
	}
	if d.Form == URL {
		if err := v.checkFileAddress(); err != nil {
			return err
		}
	}
	r.out[d.Key] = v
	return nil
}

// isEmpty reports whether a value is none. An empty item of a list, which may open everything, is meant where it is "" in quotes.
func isEmpty(d Definition, n *yaml.Node) bool {
	quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
	return isNull(n) || isBlank(n.Value) && (d.Form != List || !quoted)
}

// checkFileAddress refuses an address with a password in it: the file may be read by others than its owner, and is copied.
func (v Value) checkFileAddress() error {
	at := Address(v.text())
	u, wrong := at.parse()
	if wrong != nil {
		return v.invalid("is not an address that can be used", wrong.Problem+"; "+wrong.Remedy)
	}
	_, secret := u.User.Password()
	for name := range u.Query() {
		secret = secret || isSecret(name)
	}
	if secret {
		return v.invalid("holds a password", "leave it out, and name a file that holds it with "+strings.TrimSuffix(v.Key, "url")+"password-file, or set "+v.Variable+"_PASSWORD")
	}
	checked := Settings{Log: at}
	if v.Key == keyTables {
		checked = Settings{Tables: at}
	}
	if wrong, ok := errors.AsType[*Error](checked.Check()); ok {
		return v.invalid("is not an address that can be used", wrong.Problem+"; "+wrong.Remedy)
	}
	return nil
}

// plain refuses what makes YAML mean something else than it shows.
func (r *fileReader) plain(node *yaml.Node) error {
	switch {
	case node.Kind == yaml.AliasNode, node.Anchor != "":
		return r.fault(node.Line, "anchors and aliases are not accepted", "write the value out")
	case node.Style&yaml.TaggedStyle != 0, node.Tag != "" && !strings.HasPrefix(node.Tag, "!!"), node.Tag == "!!merge":
		return r.fault(node.Line, "tags and merge keys are not accepted", "write the value out")
	}
	return nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// depthLimit stops the parser itself at a depth.
type depthLimit int

// CheckDepth implements [yaml.LoaderLimitsPlugin].
func (d depthLimit) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > int(d) {
		return errors.New("nested too deeply")
	}
	return nil
}

// CheckAlias implements [yaml.LoaderLimitsPlugin]. Aliases are refused later, unexpanded.
func (depthLimit) CheckAlias(int, int) error { return nil }
