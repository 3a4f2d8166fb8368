package gitrepo_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// sshServer serves git-upload-pack of whatever path is asked for, as of a user with that home, to the holder of the key. It
// returns its address.
func sshServer(t *testing.T, host ssh.Signer, client ssh.PublicKey, home string) string {
	t.Helper()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("who is this")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(host)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSSH(t, connection, config, home)
		}
	}()
	return listener.Addr().String()
}

func serveSSH(t *testing.T, connection net.Conn, config *ssh.ServerConfig, home string) {
	t.Helper()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			path, ok := strings.CutPrefix(string(request.Payload[4:]), "git-upload-pack ")
			_ = request.Reply(request.Type == "exec" && ok, nil)
			if request.Type != "exec" || !ok {
				continue
			}
			cmd := exec.CommandContext(t.Context(), "git-upload-pack", strings.Trim(path, "'"))
			cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home)
			cmd.Stdout = channel
			input, err := cmd.StdinPipe() // closed when git ends, even if the client says no more
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(input, channel) }()
			status := make([]byte, 4)
			if err := cmd.Run(); err != nil {
				binary.BigEndian.PutUint32(status, 1)
			}
			_, _ = channel.SendRequest("exit-status", false, status)
			_ = channel.Close()
		}
	}
}

func TestARevisionIsFetchedOverSSH(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	host, client := newSigner(t), newSigner(t)
	address := sshServer(t, host, client.PublicKey(), t.TempDir())
	as := func(signer, expect ssh.Signer) gitrepo.Options {
		return gitrepo.Options{TempDir: t.TempDir(), SSH: &gitssh.PublicKeys{User: "git", Signer: signer, HostKeyCallbackHelper: gitssh.HostKeyCallbackHelper{
			HostKeyCallback: ssh.FixedHostKey(expect.PublicKey()),
		}}}
	}
	revision := mustOpen(t, "ssh://git@"+address+dir, as(client, host))
	if revision.Source().Commit != id {
		t.Errorf("commit %s, want %s", revision.Source().Commit, id)
	}
	assertTree(t, revision.Files(), dir, id)

	_, err := open(t, "ssh://git@"+address+dir, as(newSigner(t), host))
	assertProblem(t, err, gitrepo.ErrRemote, "check the address")
	_, err = open(t, "ssh://git@"+address+dir, as(client, newSigner(t)))
	assertProblem(t, err, gitrepo.ErrRemote, "host key mismatch")
	_, err = open(t, "ssh://git@"+address+"/no/such/repository", as(client, host))
	assertProblem(t, err, gitrepo.ErrRemote)
}

func TestAPathOfSSHIsRelativeToTheHomeUnlessItIsAbsolute(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	home := t.TempDir()
	bare := filepath.Join(home, "team", "proj.git")
	git(t, dir, "clone", "-q", "--bare", dir, bare)
	host, client := newSigner(t), newSigner(t)
	address := sshServer(t, host, client.PublicKey(), home)
	options := gitrepo.Options{TempDir: t.TempDir(), SSH: &gitssh.PublicKeys{User: "git", Signer: client, HostKeyCallbackHelper: gitssh.HostKeyCallbackHelper{
		HostKeyCallback: ssh.FixedHostKey(host.PublicKey()),
	}}}
	for location, url := range map[string]string{
		"git@[" + address + "]:team/proj.git":       "[" + address + "]:team/proj.git",
		"[git@" + address + "]:team/proj.git/":      "[" + address + "]:team/proj.git",
		"[" + address + "]:~/team/proj.git":         "ssh://" + address + "/~/team/proj.git",
		"ssh://git@" + address + "/~/team/proj.git": "ssh://" + address + "/~/team/proj.git",
		"[" + address + "]:" + bare:                 "ssh://" + address + bare,
		"ssh://" + address + bare:                   "ssh://" + address + bare,
	} {
		found, err := gitrepo.Locate(location, options)
		if err != nil {
			t.Errorf("%s: %v", location, err)
			continue
		}
		if found.URL() != url {
			t.Errorf("%s is stored as %s, want %s", location, found.URL(), url)
		}
		if revision := mustOpen(t, location, options); revision.Source().Commit != id {
			t.Errorf("%s: commit %s, want %s", location, revision.Source().Commit, id)
		}
	}
	for _, location := range []string{"ssh://" + address + "/team/proj.git", "[" + address + "]:/team/proj.git"} {
		_, err := open(t, location, options)
		assertProblem(t, err, gitrepo.ErrRemote)
	}
}

// A server that lets tips be asked for by id does not let any commit be: over a connection that keeps its state, it refuses
// one in the middle, which is found in all that it has.
func TestACommitInTheMiddleIsFoundOnAServerThatAllowsTipsAlone(t *testing.T) {
	t.Parallel()
	dir, first := sample(t)
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "later")
	host, client := newSigner(t), newSigner(t)
	address := sshServer(t, host, client.PublicKey(), t.TempDir())
	for _, setting := range []string{"uploadpack.allowTipSHA1InWant", "uploadpack.allowReachableSHA1InWant", "uploadpack.allowAnySHA1InWant"} {
		git(t, dir, "config", setting, "true")
		revision := mustOpen(t, "ssh://git@"+address+dir, gitrepo.Options{Ref: first, TempDir: t.TempDir(), SSH: &gitssh.PublicKeys{
			User: "git", Signer: client, HostKeyCallbackHelper: gitssh.HostKeyCallbackHelper{HostKeyCallback: ssh.FixedHostKey(host.PublicKey())},
		}})
		if revision.Source().Commit != first {
			t.Errorf("%s: commit %s, want %s", setting, revision.Source().Commit, first)
		}
		git(t, dir, "config", "--unset", setting)
	}
}
