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

// configure makes the client's configuration of a connection string. Its errors have no credentials.
func configure(connection string) (*esdb.Configuration, error) {
	before, credentials, after := cutCredentials(connection)
	config, err := esdb.ParseConnectionString(before + after)
	if err == nil {
		err = checkPorts(after)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: connection string %q: %w", eventstore.ErrInvalid, before+after, err)
	}
	config.Logger = esdb.NoopLogging()
	if credentials != "" {
		if err := setCredentials(config, credentials); err != nil {
			return nil, fmt.Errorf("%w: connection string %q: %w", eventstore.ErrInvalid, before+after, err)
		}
	}
	if !strings.Contains(strings.ToLower(after), "maxdiscoverattempts=") {
		config.MaxDiscoverAttempts = math.MaxInt
	}
	return config, config.Validate()
}

// checkPorts refuses ports that cannot be: the client takes another one for them.
func checkPorts(hosts string) error {
	if end := strings.IndexAny(hosts, "/?"); end >= 0 {
		hosts = hosts[:end]
	}
	for host := range strings.SplitSeq(hosts, ",") {
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
