package cli

import (
	"context"
	"errors"
	"net"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// listenForMetrics returns a loopback listener, since the metrics have no password; nil without --metrics.
func (a *app) listenForMetrics(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // none, as documented
	}
	listener, local, err := listen(ctx, "metrics", address)
	if err != nil {
		return nil, err
	}
	if !local {
		return nil, errors.Join(usage("%s can be reached from other machines: listen at 127.0.0.1, behind a proxy that asks for a password",
			address), listener.Close())
	}
	if a.json {
		err = render.Line(a.system.Stdout, runLine{At: a.system.Now().UTC(), Metrics: listener.Addr().String()})
	} else {
		a.screen().Line("Metrics at http://%s/metrics", listener.Addr())
	}
	return listener, err
}

// listen listens at the address that a flag names, and reports whether only this machine can reach it.
func listen(ctx context.Context, flag, address string) (_ net.Listener, local bool, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, false, failed(err, "cannot listen at %s (%v): choose another address with --%s", address, err, flag)
	}
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return listener, ok && tcp.IP.IsLoopback(), nil
}

// checkMetrics checks the address of --metrics.
func checkMetrics(address string) error {
	if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
		return usage("--metrics cannot listen at %q: want HOST:PORT, such as 127.0.0.1:9464", address)
	}
	return nil
}

// logScansUnread logs that the metrics of scans do not follow the log, which is tried again.
func (a *app) logScansUnread(err error) {
	a.warnings().WithError(err).Warn("cannot read the log for the metrics of scans")
}
