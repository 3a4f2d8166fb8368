package cli

import (
	"io"
	"net/url"
	"strings"
)

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
