package targets

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrAddress says that a target has an address that is not allowed.
var ErrAddress = errors.New("address is not allowed")

// guard checks the address that is dialled, after names were resolved, so that no name can lead elsewhere between.
type guard struct {
	allowPrivate bool
	onlyLoopback bool // there is no TLS
}

// control is that of a net.Dialer.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s %s", ErrAddress, network, address)
	}
	return g.check(at.Addr().Unmap().WithZone(""))
}

func (g guard) check(ip netip.Addr) error {
	switch {
	case !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || inAny(ip, never()):
		return fmt.Errorf("%w: %s is not the address of a host", ErrAddress, ip)
	case g.onlyLoopback && !ip.IsLoopback():
		return fmt.Errorf("%w: http:// is for this machine alone, and %s is another: use https://", ErrAddress, ip)
	case !g.allowPrivate && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || inAny(ip, inner())):
		return fmt.Errorf("%w: %s is a loopback, private or link-local address; the relay must allow those", ErrAddress, ip)
	}
	return nil
}

// never are the networks that no host has an address of.
func never() []string { return []string{"0.0.0.0/8", "240.0.0.0/4", "2001:db8::/32"} }

// inner are the networks inside of others, beside those that netip knows: of carriers, of protocols, of measurements, and those that hold an
// address of IPv4, which may be any.
func inner() []string {
	return []string{"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10", "::/96"}
}

func inAny(ip netip.Addr, networks []string) bool {
	for _, network := range networks {
		if netip.MustParsePrefix(network).Contains(ip) {
			return true
		}
	}
	return false
}
