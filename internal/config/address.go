package config

import (
	"net/url"
	"slices"
	"strings"
)

// Address says where a log or tables are: a URL, or "" for the SQLite file in the home. It is shown without its
// passwords, whatever formats it. It may be any text: see [Settings.Check].
type Address string

// hidden replaces a password.
const hidden = "xxxxx"

// String returns the address without passwords.
func (a Address) String() string {
	if a == "" {
		return ""
	}
	u, err := a.parse()
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

// GoString returns what String does, for the verb %#v.
func (a Address) GoString() string { return a.String() }

// MarshalText returns what String does.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// isSecret reports whether a parameter of an address is a secret: password, sslpassword and what may come.
func isSecret(parameter string) bool {
	name := strings.ToLower(parameter)
	return slices.ContainsFunc([]string{"password", "secret", "token"}, func(word string) bool { return strings.Contains(name, word) })
}

// Local reports whether the address is that of the SQLite file in the home.
func (a Address) Local() bool { return a == "" }

// parse refuses what is not a URL, or may hold its password at a place that is shown. Its errors hold nothing of the
// address.
func (a Address) parse() (*url.URL, *Error) {
	u, err := url.Parse(string(a))
	if err != nil {
		return nil, &Error{Problem: "cannot read the address", Remedy: "check its port, and percent-encode special characters in its user name and password", Err: ErrInvalid}
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil || u.Fragment != "" || strings.Contains(u.Path+u.RawQuery, "@") {
		return nil, &Error{
			Problem: "the address is ambiguous", Err: ErrInvalid,
			Remedy: "percent-encode @ as %40, # as %23, / as %2F, ? as %3F and % as %25 in its user name and password",
		}
	}
	return u, nil
}

// Redact returns a text without the passwords of the address, whoever put them there.
func (a Address) Redact(text string) string {
	if a.Local() {
		return text
	}
	text = strings.ReplaceAll(text, string(a), a.String())
	for _, secret := range a.secrets() {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

// secrets returns the passwords as they are and as they are written in the address. One of less than four characters is
// left out: it would be found in ordinary words, and is none.
func (a Address) secrets() []string {
	u, err := a.parse()
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

// redactedError is an error whose text holds no password, also where it is stored.
type redactedError struct {
	text string
	err  error
}

// Error returns the text without passwords.
func (e *redactedError) Error() string { return e.text }

// Unwrap returns the cause, to be matched and not to be shown.
func (e *redactedError) Unwrap() error { return e.err }

// RedactError returns err with a text that holds no password of the address.
func (a Address) RedactError(err error) error {
	if err == nil || a.Local() {
		return err
	}
	return &redactedError{text: a.Redact(err.Error()), err: err}
}
