package domain

import (
	"net/url"
	"strings"
)

// CanonicalAddress returns the one spelling of the address of a repository: its host in lower case and its path, without
// scheme, user, the usual port of the scheme and ".git". HOST:PATH of ssh is ssh://HOST/PATH. A path of this machine, and
// what is no address, is returned as it is: an absolute path begins with / or a drive, and a host does not.
//
// Two addresses with one canonical form are one repository, since hosting services take them for one.
func CanonicalAddress(address string) string {
	scheme, rest, isURL := strings.Cut(address, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case isURL && scheme == "file":
		return strings.TrimPrefix(rest, "localhost")
	case !isURL:
		host, path, ok := cutHost(address)
		if !ok {
			return address
		}
		scheme, rest = "ssh", host+"/"+path
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	authority = strings.ToLower(authority[strings.LastIndexByte(authority, '@')+1:])
	authority = strings.TrimSuffix(authority, usualPort(scheme))
	if plain, err := url.PathUnescape(path); err == nil {
		path = (&url.URL{Path: plain}).EscapedPath()
	}
	path = strings.Trim(path, "/")
	path = strings.TrimRight(strings.TrimSuffix(path, ".git"), "/")
	if path == "" {
		return authority
	}
	return authority + "/" + path
}

// IsAddress reports whether text is an absolute path, a URL or HOST:PATH, and not just a name.
func IsAddress(text string) bool {
	_, _, remote := cutHost(text)
	return remote || strings.HasPrefix(text, "/") || strings.Contains(text, "://") || len(text) > 2 && text[1] == ':' && (text[2] == '\\' || text[2] == '/')
}

// usualPort is how the port ends the authority of an address that every client of a scheme asks anyway.
func usualPort(scheme string) string {
	return map[string]string{"https": ":443", "http": ":80", "ssh": ":22", "git": ":9418"}[scheme]
}

// cutHost takes [USER@]HOST:PATH apart, where HOST may be [HOST:PORT] or an IPv6 address in brackets. It reports false for a
// path, which may begin with a drive.
func cutHost(address string) (host, path string, ok bool) {
	colon, slash := strings.IndexByte(address, ':'), strings.IndexAny(address, `/\`)
	if colon < 0 || slash >= 0 && slash < colon || colon == 1 && slash == 2 {
		return "", "", false
	}
	if open := strings.IndexByte(address, '['); open >= 0 && open < colon {
		inside, path, ok := strings.Cut(address[open+1:], "]:")
		if strings.Count(inside, ":") > 1 {
			inside = "[" + inside + "]"
		}
		return inside, path, ok
	}
	return address[:colon], address[colon+1:], true
}
