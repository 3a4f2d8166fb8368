package cli

import (
	"io"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
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

// isSecret reports whether a parameter of a PostgreSQL address is one: password, sslpassword and what may come.
func isSecret(parameter string) bool { return strings.Contains(strings.ToLower(parameter), "password") }

// local reports whether the log is the SQLite file of the home.
func (l *logURL) local() bool { return l.text == "" }

// parse refuses what is not an address, or may hold its password at a place that is shown. Its errors hold nothing of
// the text.
func (l *logURL) parse() (*url.URL, error) {
	u, err := url.Parse(l.text)
	if err != nil {
		return nil, usage("the address of --log cannot be read: want postgres://USER@HOST:PORT/DATABASE, with what is special in a name or password percent-encoded")
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
	switch u.Scheme {
	case "postgres", "postgresql":
		return nil
	case "":
		return usage("--log takes an address, not a path: want postgres://USER@HOST:PORT/DATABASE; the SQLite log is chosen with --home FOLDER")
	}
	return usage("--log cannot open %s addresses: want postgres://USER@HOST:PORT/DATABASE, or leave it out for the SQLite log of --home", u.Scheme)
}

// hide takes the passwords of the address out of a text, whoever put them there.
func (l *logURL) hide(text string) string {
	if l.local() {
		return text
	}
	text = strings.ReplaceAll(text, l.text, l.String())
	for _, secret := range l.secrets() {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

// secrets returns the passwords as they are and as they are written in the address, longest first. One of less than four
// characters is left out: it would be found in ordinary words, and is none.
func (l *logURL) secrets() []string {
	u, err := l.parse()
	if err != nil {
		return nil
	}
	var out []string
	add := func(secret string) {
		const shortest = 4
		if len(secret) >= shortest {
			out = append(out, url.QueryEscape(secret), url.PathEscape(secret), secret)
		}
	}
	if password, set := u.User.Password(); set {
		add(password)
		if _, written, ok := strings.Cut(u.User.String(), ":"); ok {
			add(written)
		}
	}
	for name, values := range u.Query() {
		for _, value := range values {
			if isSecret(name) {
				add(value)
			}
		}
	}
	return out
}

// hiddenError is an error whose text holds no password, also where it is stored.
type hiddenError struct {
	text string
	err  error
}

// Error returns the text without passwords.
func (e *hiddenError) Error() string { return e.text }

// Unwrap returns the cause, to be matched and not to be shown.
func (e *hiddenError) Unwrap() error { return e.err }

// hideIn returns err with a text that holds no password.
func (l *logURL) hideIn(err error) error {
	if err == nil || l.local() {
		return err
	}
	return &hiddenError{text: l.hide(err.Error()), err: err}
}

// hidingWriter takes the passwords out of what is written to it, whole lines at a time.
type hidingWriter struct {
	to  io.Writer
	log *logURL
}

// Write writes p without passwords.
func (w hidingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, w.log.hide(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
