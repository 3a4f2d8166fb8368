package cli_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// Errors of drivers have lines that are indented: none of it is shown to a person.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"failed to connect to `user=a database=b`:\n\t127.0.0.1:1 (h): dial error: refused\n\t[::1]:1 (h): dial error: refused": "failed to connect to `user=a database=b`: " +
			"127.0.0.1:1 (h): dial error: refused; [::1]:1 (h): dial error: refused",
		"one\ntwo":                 "one; two",
		"\n\n one \r\n\t\n two\t3": "one; two 3",
		"":                         "",
	} {
		if got := cli.OneLine(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
