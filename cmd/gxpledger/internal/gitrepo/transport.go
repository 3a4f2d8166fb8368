package gitrepo

import (
	"errors"
	"net/http"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// transport returns the client for an address and the proof of who we are. go-git's table of protocols, which may be
// changed at run time and knows file and git, is not asked.
func (f *fetch) transport(at *address) (transport.Transport, transport.AuthMethod) {
	if at.scheme == "ssh" {
		return f.ssh(at)
	}
	trip := f.repository.options.HTTP
	if trip == nil {
		trip = http.DefaultTransport
	}
	client := githttp.NewClientWithOptions(&http.Client{Transport: trip, CheckRedirect: sameHost}, &githttp.ClientOptions{
		RedirectPolicy: githttp.FollowInitialRedirects,
	})
	if at.user == nil {
		return client, nil
	}
	password, _ := at.user.Password()
	return client, &githttp.BasicAuth{Username: at.user.Username(), Password: password}
}

func (f *fetch) ssh(at *address) (transport.Transport, transport.AuthMethod) {
	client := gitssh.NewClient(nil)
	if f.repository.options.SSH != nil {
		return client, f.repository.options.SSH
	}
	password, ok := at.user.Password()
	if ok {
		return client, &gitssh.Password{User: at.user.Username(), Password: password}
	}
	agent, err := gitssh.NewSSHAgentAuth(at.user.Username())
	if err != nil {
		return client, nil // go-git tries the same again and says why not
	}
	return client, agent
}

// sameHost lets a repository be renamed, and nothing more: another host could be one that only this machine can reach.
func sameHost(next *http.Request, via []*http.Request) error {
	if next.URL.Host != via[0].URL.Host {
		return errors.New("it redirects to another host")
	}
	return nil
}
