package kurrent

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Redact returns a connection string without its credentials, for people and logs.
func Redact(connection string) string {
	before, _, after := cutCredentials(connection)
	return before + after
}

// cutCredentials splits a connection string at its credentials, which are "" where it has none. Errors repeat what they
// cannot parse: what parses the rest never gets to see the credentials.
func cutCredentials(connection string) (before, credentials, after string) {
	scheme, rest, ok := strings.Cut(connection, "://")
	if !ok {
		scheme, rest = "", connection // not a connection string, and yet it may have a password
	} else {
		scheme += "://"
	}
	// A password that was not percent-encoded may hold anything: all before the last @ is taken for credentials.
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return scheme, "", rest
	}
	return scheme, rest[:at], rest[at+1:]
}

// Check reports what is wrong with a connection string, without connecting: the error that [Open] would return for it. It
// wraps ErrInvalid and has no credentials.
func Check(connection string) error {
	_, err := parse(connection)
	return err
}

// settings are what a connection string says.
type settings struct {
	hosts    []string // host:port, at least one
	discover bool     // hosts are names that a name server resolves to all nodes
	own      parameters

	tls            *tls.Config // nil for clear text
	user, password string      // "" for none

	keepAliveInterval time.Duration // less than 0 for none
	keepAliveTimeout  time.Duration
	gossipTimeout     time.Duration
}

// clustered reports whether the nodes are asked which of them leads.
func (s *settings) clustered() bool { return s.discover || len(s.hosts) > 1 }

const (
	scheme         = "esdb://"
	schemeDiscover = "esdb+discover://"
	defaultPort    = "2113"
)

// parse reads a connection string. Its errors have no credentials.
func parse(connection string) (settings, error) {
	before, credentials, after := cutCredentials(connection)
	s, err := parseWithout(before, after)
	if err == nil && credentials != "" {
		err = s.setCredentials(credentials)
	}
	if err != nil {
		return settings{}, fmt.Errorf("%w: connection string %q: %w", eventstore.ErrInvalid, before+after, err)
	}
	return s, nil
}

// parseWithout reads a connection string that was cut at its credentials.
func parseWithout(before, after string) (settings, error) {
	s := settings{
		keepAliveInterval: defaultKeepAlive, keepAliveTimeout: defaultKeepAlive, gossipTimeout: defaultGossipTimeout,
		discover: before == schemeDiscover,
	}
	if before != scheme && before != schemeDiscover {
		return s, fmt.Errorf("want %s or %s at its beginning", scheme, schemeDiscover)
	}
	hosts, query, _ := strings.Cut(after, "?")
	hosts, path, _ := strings.Cut(hosts, "/")
	if path != "" {
		return s, fmt.Errorf("path %q: want none", "/"+path)
	}
	for text := range strings.SplitSeq(hosts, ",") {
		address, err := parseHost(text)
		if err != nil {
			return s, err
		}
		s.hosts = append(s.hosts, address)
	}
	return s, s.parseParameters(query)
}

// The values of parameters that a connection string leaves out.
const (
	defaultKeepAlive     = 10 * time.Second
	defaultGossipTimeout = 5 * time.Second
)

// parseHost returns host and port of a name, an IPv4 address or an IPv6 address in brackets.
func parseHost(text string) (string, error) {
	host, port := text, defaultPort
	switch {
	case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
		host = text[1 : len(text)-1]
	case strings.Contains(text, ":"):
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("host %q: want a name, an IPv4 address or an IPv6 address in brackets, and a port after a colon", text)
		}
	}
	if strings.HasPrefix(text, "[") && net.ParseIP(host) == nil || host == "" || strings.ContainsFunc(host, notOfHosts) {
		return "", fmt.Errorf("host %q: want a name, an IPv4 address or an IPv6 address in brackets", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q: want a number from 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

func notOfHosts(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`/\?#@[]%"'<>^{}|`+"`", r)
}

var (
	errClearCredentials = errors.New("credentials would be sent in clear text: remove tls=false, or the credentials")
	errCredentials      = errors.New("credentials cannot be read: want user:password, percent-encoded")
)

func (s *settings) setCredentials(credentials string) error {
	user, password, _ := strings.Cut(credentials, ":")
	var faults [2]error
	s.user, faults[0] = url.PathUnescape(user)
	s.password, faults[1] = url.PathUnescape(password)
	if faults[0] != nil || faults[1] != nil || s.user == "" || strings.Contains(s.user, ":") || strings.ContainsAny(credentials, "@/?#") {
		return errCredentials
	}
	for _, host := range s.hosts {
		if s.tls == nil && (s.discover || !loopback(host)) {
			return errClearCredentials
		}
	}
	return nil
}

// loopback reports whether host:port is on this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// tlsSettings are the parameters that make a [tls.Config].
type tlsSettings struct {
	off, unverified   bool
	roots             *x509.CertPool
	certFile, keyFile string
}

func (t tlsSettings) config() (*tls.Config, error) {
	config := &tls.Config{RootCAs: t.roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.unverified} //nolint:gosec // tlsVerifyCert=false asks for it
	if (t.certFile == "") != (t.keyFile == "") {
		return nil, errors.New("want both userCertFile and userKeyFile, or neither")
	}
	if t.off {
		return nil, nil //nolint:nilnil // clear text has no settings
	}
	if t.certFile != "" {
		certificate, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
		if err != nil {
			return nil, fmt.Errorf("userCertFile and userKeyFile cannot be read: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names it
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", file)
	}
	return roots, nil
}

// with returns o with what a connection string says where o says nothing.
func (o Options) with(p parameters) Options {
	if o.defaulted() {
		o.Prefix, o.NoPrefix = p.prefix, p.noPrefix
	}
	o.MaxAppendBytes = cmp.Or(o.MaxAppendBytes, p.maxAppend)
	o.Timeout = cmp.Or(o.Timeout, p.timeout)
	return o
}

// parameters are what a connection string says to the log, and not to its connections.
type parameters struct {
	prefix    string        // Options.Prefix
	noPrefix  bool          // Options.NoPrefix
	maxAppend int64         // Options.MaxAppendBytes
	timeout   time.Duration // Options.Timeout
}

// knownParameters are the names of all parameters: those of the server's own clients, and the log's two. They are part of
// addresses that people keep: they must not be renamed.
func knownParameters() []string {
	return []string{
		"tls", "tlsVerifyCert", "tlsCaFile", "userCertFile", "userKeyFile", "nodePreference", "maxDiscoverAttempts",
		"discoveryInterval", "gossipTimeout", "keepAliveInterval", "keepAliveTimeout", "defaultDeadline",
		"streamPrefix", "maxAppendSize",
	}
}

// parseParameters reads what is behind the ? of a connection string. Names are read without regard to case. One that is
// not known is refused: a misspelt tlsVerifyCert is not to be passed over.
func (s *settings) parseParameters(query string) error {
	all, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the parameters after ? cannot be read: percent-encode what is special in them")
	}
	var secure tlsSettings
	seen := map[string]bool{}
	for given, values := range all {
		known := knownParameters()
		i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, given) })
		switch {
		case i < 0:
			return fmt.Errorf("there is no parameter %q: want %s", given, strings.Join(known, ", "))
		case len(values) > 1, seen[known[i]]:
			return fmt.Errorf("parameter %s is given twice", known[i])
		}
		seen[known[i]] = true
		if err := s.take(known[i], values[0], &secure); err != nil {
			return fmt.Errorf("parameter %s is %q: %w", known[i], values[0], err)
		}
	}
	s.tls, err = secure.config()
	return err
}

// take keeps the value of a parameter.
func (s *settings) take(name, value string, secure *tlsSettings) (err error) { //nolint:cyclop // one case for each
	switch name {
	case "tls":
		secure.off, err = parseNot(value)
	case "tlsVerifyCert":
		secure.unverified, err = parseNot(value)
	case "tlsCaFile":
		secure.roots, err = readRoots(value)
	case "userCertFile":
		secure.certFile = value
	case "userKeyFile":
		secure.keyFile = value
	case "nodePreference":
		err = checkPreference(value)
	case "gossipTimeout":
		s.gossipTimeout, err = parseTime(value, time.Second, 1)
	case "keepAliveInterval":
		s.keepAliveInterval, err = parseTime(value, time.Millisecond, -1)
	case "keepAliveTimeout":
		s.keepAliveTimeout, err = parseTime(value, time.Millisecond, -1)
	case "defaultDeadline":
		s.own.timeout, err = parseTime(value, time.Millisecond, 1)
	case "maxDiscoverAttempts", "discoveryInterval": // of the server's own clients; here Options.Wait says how long to look
		_, err = parseTime(value, time.Millisecond, 0)
	case "streamPrefix":
		s.own.prefix, s.own.noPrefix, err = value, value == "", checkPrefix(value)
	case "maxAppendSize":
		if s.own.maxAppend, err = strconv.ParseInt(value, 10, 64); err != nil || s.own.maxAppend < 1 {
			err = errors.New("want a number of bytes, such as 16777216")
		}
	}
	return err
}

// parseNot returns the opposite of a truth.
func parseNot(value string) (bool, error) {
	truth, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil {
		return false, errors.New("want true or false")
	}
	return !truth, nil
}

func parseTime(value string, unit time.Duration, least int64) (time.Duration, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < least {
		name := "seconds"
		if unit == time.Millisecond {
			name = "milliseconds"
		}
		return 0, fmt.Errorf("want %s, a whole number of at least %d", name, least)
	}
	return time.Duration(n) * unit, nil
}

// checkPreference refuses to read from others than the leader: what a command has just recorded need not be there yet, so
// that a scan's own tables would be taken for those of another log.
func checkPreference(value string) error {
	switch strings.ToLower(value) {
	case "leader":
		return nil
	case "follower", "random", "readonlyreplica":
		return errors.New("other nodes than the leader may lack what was just recorded: leave it out, or say leader")
	}
	return errors.New("want leader")
}
