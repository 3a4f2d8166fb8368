package gitrepo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestOnlyAddressesOfTheInternetArePublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "140.82.121.4": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "2001:4860:4860::8888": true,
		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.254": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "224.0.0.1": false, "239.1.1.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "192.0.0.1": false, "192.0.2.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": false, "::ffff:0:8.8.8.8": false, "64:ff9b::a00:1": false,
		"64:ff9b::808:808": false, "64:ff9b:1::1": false, "fe80::1": false, "fe80::1%eth0": false, "2001:4860::1%eth0": false, "fec0::1": false, "fc00::1": false,
		"fd12:3456::1": false, "ff02::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "100::1": false, "5f00::1": false, "3fff::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v, want %v", text, got, want)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestAnyOtherHostThanTheOneTypedMustBePublic(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	get := func(g *guard, host string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, at.Port())+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := g.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	proxy := http.Transport{Proxy: http.ProxyURL(at)}
	for name, trip := range map[string]http.RoundTripper{"direct": nil, "through a proxy": &proxy} {
		g := newGuard("127.0.0.1", trip)
		t.Cleanup(g.CloseIdleConnections)
		g.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
			switch host {
			case "half.example":
				return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.1")}, nil
			case "inner.example":
				return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
			case "empty.example":
				return nil, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		before := asked
		for _, host := range []string{"localhost", "127.0.0.2", "::1", "::ffff:7f00:1", "0.0.0.0", "169.254.169.254", "half.example", "inner.example", "empty.example", "none.example", "127.1", "2130706433", "0x7f000001"} {
			if err := get(g, host); !errors.Is(err, errPrivate) {
				t.Errorf("%s, %s: %v, want that it is refused", name, host, err)
			}
		}
		if asked != before {
			t.Errorf("%s: %d requests arrived", name, asked-before)
		}
		if err := get(g, "127.0.0.1"); err != nil {
			t.Errorf("%s: the host that was typed: %v", name, err)
		}
	}
}

func TestTheAddressThatIsDialledIsChecked(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	address := s.Listener.Addr().String()
	g := &guard{typed: "typed.example"}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{address, "localhost:" + port, "[::ffff:127.0.0.1]:" + port} {
		if _, err := g.dial(nil)(t.Context(), "tcp", to); err == nil || !strings.Contains(err.Error(), "was not typed") {
			t.Errorf("dialling %s: %v, want that it is refused", to, err)
		}
	}
	for _, open := range []*guard{{typed: "127.0.0.1"}} {
		connection, err := open.dial(nil)(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = connection.Close()
	}
	connection, err := g.dial(map[string]bool{"127.0.0.1": true})(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the proxy of the operator: %v", err)
	}
	_ = connection.Close()
}

func TestARedirectStaysAtItsHost(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]bool{
		"https://h/new.git": true, "https://H/new.git": true, "https://h:8443/x": false, "http://h/x": false, "https://localhost/x": false,
		"https://127.0.0.1/x": false, "https://user:pw@h/x": false, "file:///etc/passwd": false, "https://other.example/x": false,
	} {
		at, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		first := &http.Request{URL: &url.URL{Scheme: "https", Host: "h", Path: "/old.git"}}
		if err := sameHost(&http.Request{URL: at}, []*http.Request{first}); (err == nil) != want {
			t.Errorf("a redirect to %s: %v, want %v", to, err, want)
		}
	}
}
