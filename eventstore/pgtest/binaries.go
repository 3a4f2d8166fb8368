package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// errNoServer is what a test fails with where no server is installed.
var errNoServer = errors.New("no PostgreSQL server binaries in /usr/lib/postgresql/*/bin or PATH: run `apt-get install -y postgresql`, " +
	"or set GXPLEDGER_TEST_POSTGRES_URL to a server where databases and roles may be created")

// EnvBin names the variable with the folder of the server's programs, where it is not the newest installed ones.
const EnvBin = "GXPLEDGER_TEST_POSTGRES_BIN"

// binaries returns the folder with the server's programs: the one in the environment, or that of the newest server that is installed.
func binaries() (string, error) {
	if bin := os.Getenv(EnvBin); bin != "" {
		return bin, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", fmt.Errorf("look for a PostgreSQL server: %w", err)
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
		return filepath.Dir(newest), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNoServer
	}
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		return "", fmt.Errorf("look for a PostgreSQL server: %w", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(initdb), "postgres")); err != nil {
		return "", errNoServer
	}
	return filepath.Dir(initdb), nil
}

// major returns the version in /usr/lib/postgresql/15/bin/initdb.
func major(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return -1
	}
	return n
}
