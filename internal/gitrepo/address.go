package gitrepo

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// addressForms is what to do about an address that is refused.
const addressForms = "give https://HOST/PATH or ssh://HOST/PATH"

// address is where a repository is fetched from. Its credentials are used to ask for it and go nowhere else.
type address struct {
	scheme string // https, ssh, file
	host   string // lower case, without brackets
	port   int    // 0: the usual one
	path   string // as the other side is asked for it; of ssh, relative to the home directory unless it begins with /
	user   *url.Userinfo
}

// String returns the address without its credentials, in a form that parses to the same.
func (a *address) String() string {
	if a.scheme != "ssh" || strings.HasPrefix(a.path, "/") || strings.HasPrefix(a.path, "~") {
		return a.asURL()
	}
	if a.port != 0 {
		return "[" + a.authority() + "]:" + a.path
	}
	return a.authority() + ":" + a.path
}

// name is the name of the repository in the log. It decides which history a scan continues, so its form never changes: a
// path that is relative to the home directory is named as one that is not, since hosting services take the two for one.
func (a *address) name() string { return a.asURL() }

func (a *address) asURL() string {
	shown := url.URL{Scheme: a.scheme, Host: a.authority(), Path: a.path}
	if a.path != "" && !strings.HasPrefix(a.path, "/") {
		shown.Path = "/" + a.path
	}
	return shown.String()
}

func (a *address) authority() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != 0 {
		host += ":" + strconv.Itoa(a.port)
	}
	return host
}

// endpoint is what go-git is asked for. The credentials travel beside it, so that no error text can repeat them.
func (a *address) endpoint() *transport.Endpoint {
	host := a.host
	if a.scheme == "https" && strings.Contains(host, ":") {
		host = "[" + host + "]" // go-git writes a URL with it
	}
	return &transport.Endpoint{Protocol: a.scheme, Host: host, Port: a.port, Path: a.path}
}

// secrets returns what must never be shown. The usual user of ssh is none.
func (a *address) secrets() []string {
	if a.user == nil {
		return nil
	}
	password, ok := a.user.Password()
	var out []string
	if ok {
		out = append(out, a.user.String(), password, url.QueryEscape(password), url.PathEscape(password))
	}
	if name := a.user.Username(); a.scheme != "ssh" || name != "git" {
		out = append(out, name, url.QueryEscape(name), url.PathEscape(name))
	}
	return out
}

// looksRemote reports whether location is an address rather than a path, as git decides it: SCHEME://, TRANSPORT:: or
// HOST:PATH. What is on disk does not matter, or a repository could answer in place of the host that was named.
func looksRemote(location string) bool {
	scheme, _, isURL := strings.Cut(location, "://")
	if isURL && !strings.ContainsAny(scheme, `/\.`) {
		return true
	}
	if filepath.VolumeName(location) != "" {
		return false
	}
	colon, slash := strings.IndexByte(location, ':'), strings.IndexAny(location, `/\`)
	return colon > 0 && (slash < 0 || colon < slash)
}

// HidesAddress reports whether text may be an address that holds credentials, so that it must not be repeated.
func HidesAddress(text string) bool {
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	if !strings.Contains(text, "://") {
		return strings.Contains(text, "@") && strings.ContainsAny(text, `:/\`)
	}
	if at, err := url.Parse(text); err == nil && at.Host != "" && !strings.ContainsAny(text, "@?#") {
		return false // of whatever kind: there is no place for credentials
	}
	at, err := parseAddress(text, true)
	return err != nil || at.user != nil || strings.ContainsAny(text, "?#")
}

// CheckAddress reports why location cannot be the address of a repository, whose canonical form may be stored then. A path can.
func CheckAddress(location string) error {
	if !looksRemote(location) {
		return nil
	}
	_, err := parseAddress(location, true)
	return err
}

// parseAddress accepts https://HOST/PATH and ssh://HOST/PATH, HOST:PATH of ssh, and file:///PATH when that is allowed. It
// drops query and fragment, and refuses what it does not understand: a part in the wrong place may be a password. Texts of
// its errors repeat nothing but host and path of an address that was understood.
func parseAddress(location string, allowFile bool) (*address, error) {
	if strings.HasPrefix(location, "-") || strings.ContainsFunc(location, unicode.IsControl) {
		return nil, problem(ErrURL, nil, "an address may not begin with a dash or hold control characters: %s", addressForms)
	}
	if name, _, ok := strings.Cut(location, "::"); ok && !strings.ContainsAny(name, `/\@[`) {
		return nil, problem(ErrURL, nil, "the transport %s runs a program and is not allowed: %s", shownTransport(name), addressForms)
	}
	at, err := parseForm(location)
	if err != nil {
		return nil, err
	}
	return at, at.check(allowFile)
}

// shownTransport is how a transport is named in an error: an unknown one may be a secret.
func shownTransport(name string) string {
	if slices.Contains([]string{"ext", "fd", "http", "https", "ftp", "codecommit", "hg"}, name) {
		return name + "::"
	}
	return "before ::"
}

func parseForm(location string) (*address, error) {
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok {
		return parseHostPath(location)
	}
	at := &address{scheme: strings.ToLower(scheme)}
	switch at.scheme {
	case "https", "ssh", "file", "http", "git":
	case "ftp", "ftps", "git+ssh", "ssh+git", "rsync", "svn", "svn+ssh":
		return nil, problem(ErrURL, nil, "the scheme %q is not allowed: use https or ssh", at.scheme)
	default:
		return nil, problem(ErrURL, nil, "the scheme of the address is not allowed: use https or ssh")
	}
	rest, query := cutAny(rest, "?#")
	if strings.Contains(query, "@") {
		return nil, misplaced() // the query may be the rest of a password
	}
	authority, path := rest, ""
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		authority, path = rest[:slash], rest[slash:]
	}
	var err error
	if at.path, err = url.PathUnescape(strings.TrimRight(path, "/")); err != nil {
		return nil, misplaced()
	}
	if strings.HasPrefix(at.path, "/~") && at.scheme == "ssh" {
		at.path = at.path[1:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if at.user, err = parseUser(authority[:i]); err != nil {
			return nil, err
		}
		authority = authority[i+1:]
	}
	if at.scheme == "file" && authority == "" {
		return at, nil
	}
	return at, at.setHost(authority)
}

// cutAny is strings.Cut at the first of chars.
func cutAny(text, chars string) (before, after string) {
	if i := strings.IndexAny(text, chars); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

func parseUser(text string) (*url.Userinfo, error) {
	name, password, hasPassword := strings.Cut(text, ":")
	name, err := url.PathUnescape(name)
	if err != nil {
		return nil, misplaced()
	}
	if password, err = url.PathUnescape(password); err != nil {
		return nil, misplaced()
	}
	if strings.ContainsFunc(name+password, unicode.IsControl) {
		return nil, misplaced()
	}
	if hasPassword {
		return url.UserPassword(name, password), nil
	}
	return url.User(name), nil
}

// parseHostPath reads [USER@]HOST:PATH, where HOST may be [HOST:PORT] or an IPv6 address in brackets, and [USER@HOST:PORT]:PATH.
func parseHostPath(location string) (*address, error) {
	at := &address{scheme: "ssh"}
	authority, path, _ := strings.Cut(location, ":")
	if open := strings.IndexByte(location, '['); open == 0 || open > 0 && location[open-1] == '@' && open < len(authority) {
		inside, after, ok := strings.Cut(location[open+1:], "]:")
		if !ok {
			return nil, misplaced()
		}
		authority, path = location[:open]+inside, after
		if _, err := netip.ParseAddr(inside); err == nil {
			authority = location[:open] + "[" + inside + "]"
		}
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		at.user, authority = url.User(authority[:i]), authority[i+1:]
	}
	at.path = strings.TrimRight(path, "/")
	if strings.HasPrefix(at.path, "/~") {
		at.path = at.path[1:]
	}
	switch strings.ToLower(authority) {
	case "https", "http", "ssh", "git", "file", "ftp":
		return nil, problem(ErrURL, nil, "the address names a scheme without two slashes: %s", addressForms)
	}
	if len(authority) == 1 && unicode.IsUpper(rune(authority[0])) && strings.HasPrefix(path, "/") && at.user == nil {
		return nil, problem(ErrURL, nil, "the address begins like a path of Windows, which this system does not have: give a path, https://HOST/PATH or ssh://HOST/PATH")
	}
	return at, at.setHost(authority)
}

// setHost reads HOST, HOST:PORT, [IPV6] or [IPV6]:PORT.
func (a *address) setHost(text string) error {
	if text == "" || text[0] == '-' || text[0] == ':' {
		return problem(ErrURL, nil, "the address names no host: %s", addressForms)
	}
	host, port, hasPort := strings.Cut(text, ":")
	ok := !strings.ContainsFunc(host, notInHost)
	if text[0] == '[' {
		var behind string
		host, behind, ok = strings.Cut(text[1:], "]")
		ip, err := netip.ParseAddr(host)
		port, hasPort = strings.CutPrefix(behind, ":")
		ok = ok && err == nil && ip.Is6() && ip.Zone() == "" && (hasPort || behind == "")
	}
	if !ok {
		return misplaced()
	}
	if hasPort {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return problem(ErrURL, nil, "the port of the address is not a number from 1 to 65535: give https://HOST:PORT/PATH or ssh://HOST:PORT/PATH, "+
				"with special characters of user and password escaped by %%")
		}
		a.port = int(number)
	}
	a.host = strings.ToLower(host)
	return nil
}

func notInHost(r rune) bool {
	return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("-._", r)
}

// misplaced says that an address cannot be taken apart, and repeats nothing of it.
func misplaced() error {
	return problem(ErrURL, nil, "the address is not valid: %s, with special characters of user and password escaped by %% "+
		"and none of @ : = ; after the host", addressForms)
}

func (a *address) check(allowFile bool) error {
	if !isPlain(a.path) || strings.Contains(a.path, `\`) || a.scheme != "file" && strings.Contains(a.path, ":") {
		return misplaced()
	}
	switch a.scheme {
	case "file":
		return a.checkFile(allowFile)
	case "http", "git":
		a.user = nil
		return problem(ErrURL, nil, "the address %s is not encrypted, so anybody on the way could change the records: use https or ssh", a.asURL())
	}
	if strings.HasPrefix(a.user.Username(), "-") {
		return misplaced()
	}
	if path := strings.TrimLeft(a.path, "/"); path == "" || strings.HasPrefix(path, "-") {
		return problem(ErrURL, nil, "the address names no repository: give %s://HOST/PATH", a.scheme)
	}
	return nil
}

func (a *address) checkFile(allowed bool) error {
	a.user = nil
	switch {
	case !allowed:
		return problem(ErrURL, nil, "the address %s is a file URL, which is not allowed unless --allow-file-url is given: "+
			"add that, or give the path %s", a, a.path)
	case a.host != "" && a.host != "localhost" || a.port != 0:
		return problem(ErrURL, nil, "the file URL %s names the host %s: write file:///PATH", a, a.host)
	case !filepath.IsAbs(filepath.FromSlash(a.path)) && runtime.GOOS != "windows":
		return problem(ErrURL, nil, "the file URL %s names no absolute path: write file:///PATH", a)
	}
	if runtime.GOOS == "windows" {
		a.path = strings.TrimPrefix(a.path, "/")
	}
	return nil
}

// isPlain reports whether a path holds nothing that separates a password from what is around it, so that it may be shown
// and stored: letters, digits and usual punctuation, also behind the drive of a Windows path.
func isPlain(path string) bool {
	if rest := strings.TrimPrefix(path, "/"); len(rest) > 2 && unicode.IsLetter(rune(rest[0])) && rest[1] == ':' && strings.ContainsRune(`/\`, rune(rest[2])) {
		path = rest[2:]
	}
	return !strings.ContainsFunc(path, func(r rune) bool {
		return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune(`-._~/\+,()!'$& `, r)
	})
}
