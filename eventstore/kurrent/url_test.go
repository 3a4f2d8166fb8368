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

func TestInvalidOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]kurrent.Options{
		"no clock":            {},
		"a negative size":     {Now: time.Now, MaxAppendBytes: -1},
		"a negative time":     {Now: time.Now, Timeout: -1},
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
