package cli

import (
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// logURL says where the log is: the flag --log. The zero value is the SQLite file of the home. Whatever shows it, shows
// it without its passwords.
type logURL struct{ text string }

var _ pflag.Value = (*logURL)(nil)

// Set takes any text, since pflag would show one that was refused, with its password: check says what is wrong with it.
func (l *logURL) Set(text string) error {
	l.text = text
	return nil
}

// Type names the value in the help.
func (*logURL) Type() string { return "URL" }

// hidden stands where a password was.
const hidden = "xxxxx"

// String returns the address without passwords.
func (l *logURL) String() string {
	if l.text == "" {
		return ""
	}
	u, err := l.parse()
	if err != nil {
		return hidden // whoever mistyped an address may have mistyped where its password ends
	}
	if _, set := u.User.Password(); set {
		u.User = url.UserPassword(u.User.Username(), hidden)
	}
	query := u.Query()
	for name := range query {
		if isSecret(name) {
			query.Set(name, hidden)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// isSecret reports whether a parameter of an address is one: password, sslpassword and what may come.
func isSecret(parameter string) bool { return strings.Contains(strings.ToLower(parameter), "password") }

// logKind says what keeps a log.
type logKind int

const (
	logNowhere  logKind = iota // the address is none
	logInHome                  // the SQLite file of the home
	logPostgres                // a database
	logKurrent                 // an EventStoreDB or KurrentDB
)

// kind says what keeps the log.
func (l *logURL) kind() logKind {
	if l.text == "" {
		return logInHome
	}
	scheme, _, _ := strings.Cut(l.text, "://")
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql":
		return logPostgres
	case "esdb", "esdb+discover":
		return logKurrent
	}
	return logNowhere
}

// local reports whether the log is the SQLite file of the home.
func (l *logURL) local() bool { return l.kind() == logInHome }

// addresses are what --log takes.
const addresses = "postgres://USER@HOST:PORT/DATABASE or esdb://USER:PASSWORD@HOST:PORT"

// parse refuses what is not an address, or may hold its password at a place that is shown. Its errors hold nothing of
// the text.
func (l *logURL) parse() (*url.URL, error) {
	u, err := url.Parse(l.text)
	if err != nil {
		return nil, usage("the address of --log cannot be read: want %s, with what is special in a name or password percent-encoded", addresses)
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil || u.Fragment != "" || strings.Contains(u.Path+u.RawQuery, "@") {
		return nil, usage("the address of --log is ambiguous: percent-encode @ as %%40, # as %%23, / as %%2F, ? as %%3F and %% as %%25 in its user and password")
	}
	return u, nil
}

// check refuses an address that no log can be opened at, before anything is done.
func (l *logURL) check() error {
	if l.local() {
		return nil
	}
	u, err := l.parse()
	if err != nil {
		return err
	}
	switch l.kind() {
	case logInHome, logPostgres:
		return nil
	case logKurrent:
		if err := kurrent.Check(l.text); err != nil {
			return usage("the address of --log cannot be used: %s", l.hide(oneLine(err.Error())))
		}
		return nil
	case logNowhere:
	}
	switch u.Scheme {
	case "":
		return usage("--log takes an address, not a path: want %s; the SQLite log is chosen with --home FOLDER", addresses)
	case "kurrentdb", "kurrentdb+discover", "kdb", "kdb+discover":
		discover := ""
		if strings.HasSuffix(u.Scheme, "+discover") {
			discover = "+discover"
		}
		return usage("--log cannot open %s addresses: write esdb%s:// for a KurrentDB too, with all else the same", u.Scheme, discover)
	}
	return usage("--log cannot open %s addresses: want %s, or leave it out for the SQLite log of --home", u.Scheme, addresses)
}
