package kurrent

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// parameters are what a connection string says to the log, and not to the client.
type parameters struct {
	prefix    string        // Options.Prefix
	maxAppend int64         // Options.MaxAppendBytes
	timeout   time.Duration // Options.Timeout
	attempts  bool          // the client is told how often to look for a server
}

// The log's own parameters. They are part of addresses that people keep: they must not be renamed.
const (
	prefixParameter    = "streamPrefix"
	maxAppendParameter = "maxAppendSize"
)

// clientParameters are those that the client knows. It passes over others without a word, and a misspelt tlsVerifyCert
// is not to be passed over.
func clientParameters() []string {
	return []string{
		"tls", "tlsVerifyCert", "tlsCaFile", "userCertFile", "userKeyFile", "nodePreference", "maxDiscoverAttempts",
		"discoveryInterval", "gossipTimeout", "keepAliveInterval", "keepAliveTimeout", "defaultDeadline",
	}
}

// parseParameters takes the log's own parameters out of a query, and returns what is left of it for the client. Names are
// read without regard to case, as the client does.
func parseParameters(query string) (own parameters, rest string, err error) {
	all, err := url.ParseQuery(query)
	if err != nil {
		return own, "", errors.New("the parameters behind ? cannot be read: percent-encode what is special in them")
	}
	seen, others := map[string]bool{}, url.Values{}
	for given, values := range all {
		name, ok := knownParameter(given)
		switch {
		case !ok:
			return own, "", fmt.Errorf("there is no parameter %q: want %s", given, strings.Join(knownParameters(), ", "))
		case len(values) > 1, seen[name]:
			return own, "", fmt.Errorf("parameter %s is given twice", name)
		}
		seen[name] = true
		if err := own.take(name, values[0]); err != nil {
			return own, "", fmt.Errorf("parameter %s is %w", name, err)
		}
		if name != prefixParameter && name != maxAppendParameter {
			others.Set(name, values[0])
		}
	}
	return own, others.Encode(), nil
}

// take keeps the value of a parameter, if it is one that matters to the log. Its errors begin with the value.
func (p *parameters) take(name, value string) (err error) {
	switch name {
	case prefixParameter:
		p.prefix = value
		return checkPrefix(value)
	case maxAppendParameter:
		if p.maxAppend, err = strconv.ParseInt(value, 10, 64); err != nil || p.maxAppend < 1 {
			return fmt.Errorf("%q: want a number of bytes, such as 16777216", value)
		}
	case "defaultDeadline":
		if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 1 { // the client would pass over it
			return fmt.Errorf("%q: want milliseconds, such as 30000", value)
		}
	case "maxDiscoverAttempts":
		p.attempts = true
	}
	return nil
}

func knownParameters() []string {
	return append(clientParameters(), prefixParameter, maxAppendParameter)
}

func knownParameter(name string) (string, bool) {
	for _, known := range knownParameters() {
		if strings.EqualFold(name, known) {
			return known, true
		}
	}
	return "", false
}

// with returns o with what a connection string says where o says nothing.
func (o Options) with(p parameters) Options {
	o.Prefix = cmp.Or(o.Prefix, p.prefix)
	o.MaxAppendBytes = cmp.Or(o.MaxAppendBytes, p.maxAppend)
	o.Timeout = cmp.Or(o.Timeout, p.timeout)
	return o
}
