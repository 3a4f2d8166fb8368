//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as: nil for the one that runs the tests.
type account struct{ uid, gid int }

// serverAccount returns an unprivileged user when the tests run as root.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no other account is needed
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil {
			return &account{uid, gid}, nil
		}
	}
	return nil, fmt.Errorf("tests run as root, which PostgreSQL refuses, and there is neither a user postgres nor nobody")
}

// run makes cmd run as a.
func (a *account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that ^C at the tests does not end it before them
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
}

// tempDir makes a folder that a owns and can reach.
func (a *account) tempDir() (string, error) {
	parent := os.TempDir()
	if a != nil && !reachable(parent) {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "gxpledger-postgres-")
	if err != nil || a == nil {
		return dir, err
	}
	return dir, os.Chown(dir, a.uid, a.gid)
}

// reachable reports whether everybody may go through dir and all above it.
func reachable(dir string) bool {
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		var info os.FileInfo
		if info, err = os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
	return false
}

// ended reports whether cmd, which nobody has waited for, has ended.
func ended(cmd *exec.Cmd) bool {
	pid, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil)
	return err != nil || pid == cmd.Process.Pid
}
