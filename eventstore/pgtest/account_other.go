//go:build !unix

package pgtest

import (
	"errors"
	"os/exec"
)

type account struct{}

func serverAccount() (*account, error) {
	return nil, errors.New("a throw-away PostgreSQL cluster needs a Unix system: set GXPLEDGER_TEST_POSTGRES_URL")
}

func (a *account) run(*exec.Cmd) {}

func (a *account) tempDir() (string, error) { return "", errors.ErrUnsupported }

func ended(*exec.Cmd) bool { return true }
