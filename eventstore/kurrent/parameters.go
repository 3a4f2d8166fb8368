package kurrent

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
