package kurrent_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// No text that comes of a connection string has its password, however broken the string is.
func TestCredentialsAreNeverTold(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, url := range []string{
		"esdb://admin:hunter2@example.test:2113?tls=false",
		"esdb://admin:hunter2@127.0.0.1:port",
		"esdb://admin:hunter2@127.0.0.1:99999999",
		"esdb://admin:hunter2%zz@127.0.0.1:2113",
		"esdb://admin:hunter2/@127.0.0.1:2113",
		"esdb://admin:hunter2@@127.0.0.1:2113?tls=maybe",
		"esdb://admin:hunter2?@127.0.0.1:2113",
		"esdb://:hunter2@127.0.0.1:2113",
		"esdb://admin:hunter2@a:1,b:x",
		"esdb://admin:hunter2@127.0.0.1:2113/path",
		"http://admin:hunter2@127.0.0.1:2113",
		"admin:hunter2@127.0.0.1:2113",
		"esdb://admin:hunter2@",
		"esdb://admin:hunter2@127.0.0.1:2113?tlsCaFile=/missing",
		"esdb://admin:hunter2@127.0.0.1:2113?tls=false&nodepreference=any",
	} {
		_, err := kurrent.Open(within(t), url, options())
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", url, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error has the password: %v", url, err)
		}
		if redacted := kurrent.Redact(url); strings.Contains(redacted, secret) {
			t.Errorf("%s is redacted as %s", url, redacted)
		}
	}
}

// Clear text and credentials go together only where nobody can listen.
func TestCredentialsInClearTextAreRefused(t *testing.T) {
	t.Parallel()
	for _, hosts := range []string{"example.test", "127.0.0.1:1,example.test:2", "10.0.0.1", "example.test,localhost"} {
		_, err := kurrent.Open(within(t), "esdb://admin:changeit@"+hosts+"?tls=false", options())
		if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "clear text") {
			t.Errorf("%s: error is %v, want one about clear text", hosts, err)
		}
	}
	if _, err := kurrent.Open(within(t), "esdb+discover://admin:changeit@localhost?tls=false", options()); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("names that a name server gives: error is %v, want ErrInvalid", err)
	}
	s := newMemory(t)
	open(t, strings.Replace(s.URL(), "esdb://", "esdb://admin:changeit@", 1), options())
}

// What the official clients take is taken, and what they pass over in silence is not.
func TestConnectionStrings(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"esdb://host", "esdb://host:2113/", "esdb+discover://cluster.example.test", "esdb://a,b:2,c.example.test:3?tls=false",
		"esdb://[::1]", "esdb://[2001:db8::1]:2113,10.0.0.1", "esdb://user:p%40ss@host?tlsVerifyCert=False",
		"esdb://host?nodePreference=Leader&maxDiscoverAttempts=10&discoveryInterval=100&gossipTimeout=3&keepAliveInterval=-1" +
			"&keepAliveTimeout=10000&defaultDeadline=1000&streamPrefix=a-&maxAppendSize=5",
	} {
		if err := kurrent.Check(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"":                                    "esdb://",
		"kurrentdb://host":                    "esdb://",
		"esdb://":                             "host",
		"esdb://a,,b":                         "host",
		"esdb://::1":                          "brackets",
		"esdb://[example]":                    "IPv6",
		"esdb://host:0":                       "1 to 65535",
		"esdb://host:65536":                   "1 to 65535",
		"esdb://a:1:2":                        "brackets",
		"esdb://host/path":                    "path",
		"esdb://host?nodePreference=follower": "may lack what was just recorded",
		"esdb://host?nodePreference=random":   "may lack what was just recorded",
		"esdb://host?nodePreference=readOnlyReplica": "may lack what was just recorded",
		"esdb://host?nodePreference=any":             "want leader",
		"esdb://host?tlsverifycerts=false":           "no parameter",
		"esdb://host?tls=true&TLS=false":             "twice",
		"esdb://host?tls=no":                         "true or false",
		"esdb://host?keepAliveInterval=-2":           "at least -1",
		"esdb://host?gossipTimeout=0":                "at least 1",
		"esdb://host?userCertFile=/x":                "userKeyFile",
		"esdb://host?tlsCaFile=/missing":             "/missing",
	} {
		if err := kurrent.Check(url); !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", url, err, want)
		}
	}
}

func TestInvalidOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]kurrent.Options{
		"no clock":            {},
		"a negative size":     {Now: time.Now, MaxAppendBytes: -1},
		"a negative time":     {Now: time.Now, Timeout: -1},
		"a negative wait":     {Now: time.Now, Wait: -1},
		"a negative number":   {Now: time.Now, MaxCalls: -1},
		"a system's prefix":   {Now: time.Now, Prefix: "$x"},
		"a prefix with blank": {Now: time.Now, Prefix: "a b"},
		"a long prefix":       {Now: time.Now, Prefix: strings.Repeat("a", 101)},
	} {
		if _, err := kurrent.Open(within(t), "esdb://127.0.0.1:1?tls=false", o); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", name, err)
		}
	}
}
