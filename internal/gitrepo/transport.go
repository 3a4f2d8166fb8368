package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

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
	guard := newGuard(at.host, f.repository.options.HTTP)
	f.free = guard.CloseIdleConnections
	client := githttp.NewClientWithOptions(&http.Client{Transport: guard, CheckRedirect: sameHost}, &githttp.ClientOptions{
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

// sameHost lets a repository be renamed, and nothing more: another host would be sent the credentials, and could be one
// that only this machine can reach.
func sameHost(next *http.Request, via []*http.Request) error {
	const most = 10
	switch first := via[0].URL; {
	case len(via) >= most:
		return errors.New("it redirects too often")
	case next.URL.Scheme != first.Scheme || !strings.EqualFold(next.URL.Host, first.Host):
		return errors.New("it redirects to another host")
	case next.URL.User != nil:
		return errors.New("it redirects to an address with a user")
	}
	return nil
}

// guard keeps requests from reaching hosts that only this machine or its network can reach (I13). The host that the
// operator typed may be one of them. Any other host is looked up and checked before it is asked, so that a proxy cannot
// be used to reach it either, and the address that is dialled in the end is checked again, since names change.
type guard struct {
	typed  string // the host that the operator named
	trip   http.RoundTripper
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// newGuard guards trip or, without one, a copy of [http.DefaultTransport].
func newGuard(typed string, trip http.RoundTripper) *guard {
	g := &guard{typed: typed, trip: trip, lookup: net.DefaultResolver.LookupNetIP}
	if trip != nil {
		return g
	}
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		g.trip = http.DefaultTransport
		return g
	}
	own := standard.Clone()
	own.DialContext = g.dial(proxyHosts(own, typed))
	g.trip = own
	return g
}

// proxyHosts returns the proxy that requests to host go through, if any: the operator named it in the environment.
func proxyHosts(trip *http.Transport, host string) map[string]bool {
	hosts := make(map[string]bool)
	request, err := http.NewRequest(http.MethodGet, "https://"+net.JoinHostPort(host, "443"), http.NoBody) //nolint:noctx // it is never sent
	if err != nil || trip.Proxy == nil {
		return hosts
	}
	if proxy, err := trip.Proxy(request); err == nil && proxy != nil {
		hosts[strings.ToLower(proxy.Hostname())] = true
	}
	return hosts
}

// dial connects to the host that was typed and to the proxies wherever they are, and to any other at a public address.
func (g *guard) dial(proxies map[string]bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	const patience = 30 * time.Second
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := &net.Dialer{Timeout: patience, KeepAlive: patience}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if host = strings.ToLower(host); host != g.typed && !proxies[host] {
			dialer.Control = onlyPublic
		}
		return dialer.DialContext(ctx, network, address)
	}
}

// onlyPublic refuses to connect to an address that is not public. It sees the address that is dialled.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("cannot tell where %s leads: %w", address, err)
	}
	return refusePrivate(at.Addr())
}

// RoundTrip sends a request to the host that was typed, or to one whose addresses are all public.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if host := strings.ToLower(request.URL.Hostname()); host != g.typed {
		if err := g.check(request.Context(), host); err != nil {
			return nil, err
		}
	}
	return g.trip.RoundTrip(request)
}

// CloseIdleConnections frees what the transport of g holds.
func (g *guard) CloseIdleConnections() {
	if closer, ok := g.trip.(interface{ CloseIdleConnections() }); ok && g.trip != http.DefaultTransport {
		closer.CloseIdleConnections()
	}
}

func (g *guard) check(ctx context.Context, host string) error {
	if at, err := netip.ParseAddr(host); err == nil {
		return refusePrivate(at)
	}
	addresses, err := g.lookup(ctx, "ip", host)
	if err != nil || len(addresses) == 0 {
		return fmt.Errorf("the host %s cannot be looked up, so it is not asked: %w", host, errors.Join(errPrivate, err))
	}
	for _, at := range addresses {
		if err := refusePrivate(at); err != nil {
			return err
		}
	}
	return nil
}

var errPrivate = errors.New("not a public address")

func refusePrivate(at netip.Addr) error {
	if !isPublic(at) {
		return fmt.Errorf("the address %s belongs to this machine or a private network and was not typed: %w", at, errPrivate)
	}
	return nil
}

// isPublic reports whether an address is one of the public internet, by the registries of IANA. An IPv6 address that
// stands for an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) is not, whatever it stands for.
func isPublic(at netip.Addr) bool {
	if !at.IsValid() || at.Zone() != "" {
		return false
	}
	if at.Is6() {
		return within(at, "2000::/3") && !within(at, "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
	}
	return !within(at, "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")
}

func within(at netip.Addr, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if netip.MustParsePrefix(prefix).Contains(at) {
			return true
		}
	}
	return false
}
