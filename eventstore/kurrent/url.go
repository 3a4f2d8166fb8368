package kurrent

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Redact returns a connection string without its credentials, for people and logs.
func Redact(connection string) string {
	before, _, after := cutCredentials(connection)
	return before + after
}

// cutCredentials splits a connection string at its credentials, which are "" where it has none. The client and net/url
// repeat what they cannot parse in their errors: they never get to see the credentials in a text.
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
	client *esdb.Configuration
	own    parameters
}

// parse reads a connection string. Its errors have no credentials.
func parse(connection string) (settings, error) {
	before, credentials, after := cutCredentials(connection)
	s, err := parseWithout(before, after)
	if err == nil && credentials != "" {
		err = setCredentials(s.client, credentials)
	}
	if err != nil {
		return settings{}, fmt.Errorf("%w: connection string %q: %w", eventstore.ErrInvalid, before+after, err)
	}
	return s, nil
}

// parseWithout reads a connection string that was cut at its credentials.
func parseWithout(before, after string) (settings, error) {
	hosts, query, _ := strings.Cut(after, "?")
	own, rest, err := parseParameters(query)
	if err != nil {
		return settings{}, err
	}
	if err := checkPorts(hosts); err != nil {
		return settings{}, err
	}
	if rest != "" {
		hosts += "?" + rest
	}
	config, err := esdb.ParseConnectionString(before + hosts)
	if err != nil {
		return settings{}, err
	}
	config.Logger = esdb.NoopLogging()
	if !own.attempts {
		config.MaxDiscoverAttempts = math.MaxInt
	}
	if config.DefaultDeadline != nil {
		own.timeout = *config.DefaultDeadline
	}
	return settings{client: config, own: own}, config.Validate()
}

// checkPorts refuses ports that cannot be: the client takes another one for them.
func checkPorts(hosts string) error {
	if end := strings.IndexByte(hosts, '/'); end >= 0 {
		hosts = hosts[:end]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if strings.HasPrefix(host, "[") {
			return fmt.Errorf("host %s: the client takes no IPv6 address, want a name or an IPv4 address", host)
		}
		if _, port, ok := strings.Cut(host, ":"); ok {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return fmt.Errorf("port %q: want a number from 1 to 65535", port)
			}
		}
	}
	return nil
}

var (
	errClearCredentials = errors.New("credentials would be sent in clear text: remove tls=false, or the credentials")
	errCredentials      = errors.New("credentials cannot be read: want user:password, percent-encoded")
)

func setCredentials(config *esdb.Configuration, credentials string) error {
	user, password, _ := strings.Cut(credentials, ":")
	var faults [2]error
	config.Username, faults[0] = url.PathUnescape(user)
	config.Password, faults[1] = url.PathUnescape(password)
	if faults[0] != nil || faults[1] != nil || config.Username == "" || strings.ContainsAny(credentials, "@/?#") {
		return errCredentials
	}
	if config.DisableTLS && !onlyLoopback(config) {
		return errClearCredentials
	}
	return nil
}

// onlyLoopback reports whether every server that config names is on this machine.
func onlyLoopback(config *esdb.Configuration) bool {
	var hosts []string
	for _, seed := range config.GossipSeeds {
		hosts = append(hosts, seed.Host)
	}
	if len(hosts) == 0 {
		host, _, err := net.SplitHostPort(config.Address)
		if err != nil {
			return false
		}
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
			return false
		}
	}
	return !config.DnsDiscover
}
