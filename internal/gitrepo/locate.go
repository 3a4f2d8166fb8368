package gitrepo

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Repository is a repository that was found: where it is and what it is called. No object of it was read yet.
type Repository struct {
	name    string
	url     string
	shown   string // what the operator named, for error texts
	gitDir  string // holds HEAD; "" when there is none
	common  string // holds objects, refs and config; gitDir but in a linked work tree
	work    string // the work tree; "" for a bare or remote repository
	away    string // another work tree that the configuration names and that is not read, or ""
	address *address
	options Options
}

// Name is the default name of the repository: the URL of its origin or, without one, its absolute path. It holds no
// credential.
func (r *Repository) Name() string { return r.name }

// URL says where the repository is read from: an address without credentials, or an absolute path.
func (r *Repository) URL() string { return r.url }

// WorkTree is the folder of the work tree, "" for a bare or remote repository.
func (r *Repository) WorkTree() string { return r.work }

// Remote reports whether opening the repository goes over the network.
func (r *Repository) Remote() bool { return r.address != nil }

// Locate finds the repository that location names: a directory in or below a repository, a bare repository, or a URL
// (https, ssh or the form host:path of ssh; file where the options allow it). Errors are of type *Error.
func Locate(location string, options Options) (*Repository, error) {
	if looksRemote(location) {
		return locateRemote(location, options)
	}
	return locateLocal(location, options)
}

func locateRemote(location string, options Options) (*Repository, error) {
	at, err := parseAddress(location, options.AllowFileURL)
	if err != nil {
		return nil, err
	}
	if at.scheme == "file" {
		repository, err := locateLocal(at.path, options)
		if err != nil {
			return nil, err
		}
		repository.url, repository.work = at.String(), ""
		return repository, nil
	}
	shown := at.String()
	return &Repository{name: at.name(), url: shown, shown: shown, address: at, options: options}, nil
}

func locateLocal(location string, options Options) (*Repository, error) {
	path, err := absolute(location)
	if err != nil {
		return nil, err
	}
	found := &Repository{url: path, shown: location, options: options}
	for dir := path; ; dir = filepath.Dir(dir) {
		ok, err := found.at(dir)
		if err != nil {
			return nil, err
		}
		if ok {
			return found, found.identify()
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if options.Worktree {
		found.work, found.name = path, path
		return found, nil
	}
	return nil, problem(ErrNotRepository, nil, "%s is not a git repository: neither it nor a folder above it has a .git, and it is not a bare repository; "+
		"give the path of a repository, or --worktree to scan plain files", location)
}

// absolute returns the real path of an existing directory.
func absolute(location string) (string, error) {
	path, err := filepath.Abs(location)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	switch {
	case err != nil && !isPlain(location):
		return "", problem(ErrNotRepository, nil, "the path given cannot be used: there is no folder of that name (which is not repeated, since it may "+
			"hold a password); give the path of a git repository, https://HOST/PATH, ssh://HOST/PATH or HOST:PATH")
	case errors.Is(err, fs.ErrNotExist):
		return "", problem(ErrNotRepository, err, "there is no folder %s: give the path of a git repository, or an https or ssh URL", location)
	case errors.Is(err, fs.ErrPermission):
		return "", unreadable(location, err)
	case err != nil:
		return "", problem(ErrNotRepository, err, "the path %q cannot be used (%v): give the path of a git repository, or an https or ssh URL", location, err)
	case !info.IsDir():
		return "", problem(ErrNotRepository, nil, "%s is a file, not a git repository: give the folder of a repository "+
			"(a bundle becomes one by git clone --bare %s FOLDER)", location, location)
	}
	return path, nil
}

// at looks for a repository at dir and fills r.
func (r *Repository) at(dir string) (bool, error) {
	dot := filepath.Join(dir, ".git")
	info, err := os.Stat(dot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.bare(dir), nil
	case err != nil:
		return false, unreadable(dir, err)
	case info.IsDir() && isGitDir(dot):
		r.work, r.gitDir, r.common = dir, dot, dot
		return true, nil
	case info.IsDir():
		return false, notGitDir(dot)
	}
	r.work = dir
	return true, r.linked(dot)
}

// bare recognises a bare repository, and the .git of another when that itself is named.
func (r *Repository) bare(dir string) bool {
	if !isGitDir(dir) {
		return false
	}
	r.gitDir, r.common = dir, dir
	if filepath.Base(dir) == ".git" {
		r.work = filepath.Dir(dir)
	}
	return true
}

// linked follows a .git that is a file: of a linked work tree, a submodule, or a repository kept elsewhere.
func (r *Repository) linked(dot string) error {
	line, err := firstLine(dot)
	if err != nil {
		return unreadable(r.shown, err)
	}
	target, ok := strings.CutPrefix(line, "gitdir: ")
	if !ok {
		return problem(ErrNotRepository, nil, "the file %s does not say where the repository is: want a line \"gitdir: PATH\", as git writes it", dot)
	}
	r.gitDir = against(filepath.Dir(dot), target)
	r.common = r.gitDir
	if line, err = firstLine(filepath.Join(r.gitDir, "commondir")); err == nil {
		r.common = against(r.gitDir, line)
	}
	if !isFile(filepath.Join(r.gitDir, "HEAD")) || !isDir(filepath.Join(r.common, "objects")) {
		return problem(ErrNotRepository, nil, "the file %s leads to %s, which is not a git repository: the work tree was moved or its repository "+
			"is gone; git worktree repair fixes the link", dot, r.gitDir)
	}
	return nil
}

func notGitDir(dot string) error {
	return problem(ErrNotRepository, nil, "%s is not a git repository: want HEAD, objects and refs in it; is the clone complete?", dot)
}

func isGitDir(dir string) bool {
	return isFile(filepath.Join(dir, "HEAD")) && isDir(filepath.Join(dir, "objects")) && isDir(filepath.Join(dir, "refs"))
}

func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && !info.IsDir()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func against(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// firstLine reads the first line of a small file.
func firstLine(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	file, err := os.Open(path) //nolint:gosec // the operator named the repository that this file belongs to
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	const longest = 1 << 16
	text, err := io.ReadAll(io.LimitReader(file, longest))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimRight(line, "\r"), err
}

// open opens the repository's directories.
func (r *Repository) open() (*gitDir, error) {
	own, err := seal(r.gitDir)
	if err != nil {
		return nil, unreadable(r.shown, err)
	}
	common, err := seal(r.common)
	if err != nil {
		return nil, errors.Join(unreadable(r.shown, err), own.Close())
	}
	return &gitDir{own: own, common: common, shown: r.shown}, nil
}

// gitDir is an opened repository. Its own directory holds HEAD and the index, the common one objects, refs and
// configuration. The two differ in a linked work tree alone.
type gitDir struct {
	own, common sealed
	shown       string
}

func (d *gitDir) close() error { return errors.Join(d.own.Close(), d.common.Close()) }

// identify names the repository and refuses what cannot be read.
func (r *Repository) identify() error {
	dir, err := r.open()
	if err != nil {
		return err
	}
	defer dir.close() //nolint:errcheck // nothing was written
	set, err := dir.config()
	if err != nil {
		return err
	}
	r.name = r.common
	if filepath.Base(r.common) == ".git" {
		r.name = filepath.Dir(r.common)
	}
	if origin := set.values["remote.origin.url"]; looksRemote(origin) {
		if at, err := parseAddress(origin, false); err == nil {
			r.name = at.name()
		}
	}
	r.configureWork(set)
	return supported(r.shown, set)
}

// configureWork takes from the configuration whether there is a work tree, and where. A linked work tree knows by itself.
func (r *Repository) configureWork(set *config) {
	if r.common != r.gitDir {
		return
	}
	if isTrue(set.values["core.bare"]) {
		r.work = ""
	}
	if worktree := set.values["core.worktree"]; worktree != "" && r.work != "" {
		worktree = against(r.gitDir, filepath.FromSlash(worktree))
		if resolved, err := filepath.EvalSymlinks(worktree); err != nil || resolved != r.work {
			r.work, r.away = "", worktree
		}
	}
}

// config reads the repository's own configuration, and that of its linked work tree where it has one of its own.
func (d *gitDir) config() (*config, error) {
	set := &config{}
	err := set.read(d.common, "config")
	if err == nil && isTrue(set.values["extensions.worktreeconfig"]) {
		err = set.read(d.own, "config.worktree")
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, unreadable(d.shown, err)
	}
	if err != nil {
		return nil, problem(ErrUnsupported, err, "the configuration of the repository %s cannot be read (%v): fix its config file", d.shown, err)
	}
	return set, nil
}

// supported refuses repositories in formats that this program does not know, instead of misreading them. It refuses what
// git refuses, and the two formats that git knows and this program does not.
func supported(shown string, set *config) error {
	version := int64(0)
	text, versioned := set.values["core.repositoryformatversion"]
	if versioned {
		var ok bool
		if version, ok = configInt(text); !ok || version > 1 {
			return problem(ErrUnsupported, nil, "the repository %s is of format version %s: want 0 or 1; scan a clone made with --no-local", shown, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set.values)) {
		key, ok := strings.CutPrefix(name, "extensions.")
		value := set.values[name]
		switch {
		case !ok, key == "noop":
		case key == "objectformat" && value == "sha256":
			return problem(ErrUnsupported, nil, "the repository %s has SHA-256 object ids, which cannot be read yet: "+
				"copy its files without .git and scan the copy with --worktree", shown)
		case key == "refstorage" && value != "files":
			return problem(ErrUnsupported, nil, "the repository %s keeps its refs as %s, which cannot be read yet: "+
				"git refs migrate --ref-format=files changes that", shown, value)
		case !knownExtension(key) && version == 1:
			return problem(ErrUnsupported, nil, "the repository %s uses the extension %q, which this program does not know: scan a fresh clone of it", shown, key)
		case key == "objectformat" && value != "sha1":
			return problem(ErrUnsupported, nil, "the repository %s has object ids of the kind %q, which is unknown: want sha1", shown, value)
		case onlyVersion1(key) && versioned && version == 0:
			return problem(ErrUnsupported, nil, "the repository %s is of format version 0 and uses the extension %q of version 1, which git refuses too: "+
				"git config core.repositoryformatversion 1 fixes that", shown, key)
		}
	}
	return nil
}

func knownExtension(key string) bool {
	switch key {
	case "partialclone", "preciousobjects", "worktreeconfig":
		return true
	}
	return onlyVersion1(key)
}

func onlyVersion1(key string) bool {
	switch key {
	case "noop-v1", "objectformat", "refstorage", "relativeworktrees":
		return true
	}
	return false
}
