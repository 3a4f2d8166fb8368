package gitrepo

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
)

// address is where a repository is fetched from. Its credentials are used to ask for it and go nowhere else: String
// leaves them out.
type address struct {
	scheme string // https, ssh, file
	host   string // with the port, if any
	path   string
	user   *url.Userinfo
}

// String returns the address without user, password, query or fragment, which all may hold secrets.
func (a *address) String() string {
	shown := url.URL{Scheme: a.scheme, Host: a.host, Path: a.path}
	return shown.String()
}

// secrets returns what must never be shown.
func (a *address) secrets() []string {
	if a.user == nil || a.scheme == "ssh" {
		return nil
	}
	out := []string{a.user.String(), a.user.Username()}
	if password, ok := a.user.Password(); ok {
		out = append(out, password, url.QueryEscape(password), url.PathEscape(password))
	}
	return out
}

// looksRemote reports whether location is an address rather than a path: scheme://, transport::address, or host:path
// where no file has that name.
func looksRemote(location string) bool {
	if strings.Contains(location, "://") {
		return true
	}
	host, _, ok := strings.Cut(location, ":")
	if !ok || host == "" || strings.ContainsAny(host, `/\`) {
		return false
	}
	if runtime.GOOS == "windows" && len(host) == 1 {
		return false
	}
	_, err := os.Lstat(location)
	return err != nil
}

// parseAddress accepts https and ssh, ssh also as user@host:path, and file when that is allowed. Texts of its errors
// never hold credentials.
func parseAddress(location string, allowFile bool) (*address, error) {
	if strings.HasPrefix(location, "-") || strings.ContainsFunc(location, unicode.IsControl) {
		return nil, problem(ErrURL, nil, "an address may not begin with a dash or hold control characters: give https://HOST/PATH or ssh://HOST/PATH")
	}
	if name, _, ok := strings.Cut(location, "::"); ok && !strings.ContainsAny(name, `/\@[`) {
		return nil, problem(ErrURL, nil, "the transport %s:: runs a program and is not allowed: give https://HOST/PATH or ssh://HOST/PATH", name)
	}
	if !strings.Contains(location, "://") {
		return parseHostPath(location)
	}
	parsed, err := url.Parse(location)
	if err != nil {
		// The error repeats the address, with its credentials.
		return nil, problem(ErrURL, nil, "the address is not a valid URL: give https://HOST/PATH or ssh://HOST/PATH, with special characters escaped by %%")
	}
	at := &address{scheme: strings.ToLower(parsed.Scheme), host: strings.ToLower(parsed.Host), path: strings.TrimRight(parsed.Path, "/"), user: parsed.User}
	return at, at.check(allowFile)
}

// parseHostPath reads the form [user@]host:path.
func parseHostPath(location string) (*address, error) {
	authority, path, _ := strings.Cut(location, ":")
	user, host, ok := strings.Cut(authority, "@")
	at := &address{scheme: "ssh", path: "/" + strings.Trim(path, "/")}
	if ok {
		at.user, at.host = url.User(user), strings.ToLower(host)
	} else {
		at.host = strings.ToLower(authority)
	}
	return at, at.check(false)
}

func (a *address) check(allowFile bool) error {
	switch a.scheme {
	case "https", "ssh":
	case "file":
		return a.checkFile(allowFile)
	case "http", "git":
		return problem(ErrURL, nil, "the address %s is not encrypted, so anybody on the way could change the records: use https or ssh", a)
	default:
		return problem(ErrURL, nil, "the scheme %q is not allowed: use https or ssh", a.scheme)
	}
	name := a.user.Username()
	if a.host == "" || strings.HasPrefix(a.host, "-") || strings.HasPrefix(name, "-") || strings.HasPrefix(a.host, ":") {
		return problem(ErrURL, nil, "the address %s names no host: give %s://HOST/PATH", a, a.scheme)
	}
	if a.path == "" || a.path == "/" || strings.HasPrefix(a.path, "/-") {
		return problem(ErrURL, nil, "the address %s names no repository: give %s://%s/PATH", a, a.scheme, a.host)
	}
	return nil
}

func (a *address) checkFile(allowed bool) error {
	a.user = nil
	switch {
	case !allowed:
		return problem(ErrURL, nil, "the address %s is a file URL, which is not allowed unless --allow-file-url is given: "+
			"add that, or give the path %s", a, a.path)
	case a.host != "" && a.host != "localhost":
		return problem(ErrURL, nil, "the file URL %s names the host %s: write file:///PATH", a, a.host)
	case !filepath.IsAbs(filepath.FromSlash(a.path)) && runtime.GOOS != "windows":
		return problem(ErrURL, nil, "the file URL %s names no absolute path: write file:///PATH", a)
	}
	if runtime.GOOS == "windows" {
		a.path = strings.TrimPrefix(a.path, "/")
	}
	return nil
}
