package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// serveDocument is the line that serve --json writes once it listens.
type serveDocument struct {
	Listening string   `json:"listening,omitempty"` // host:port of the EventStoreDB protocol
	HTTP      string   `json:"http,omitempty"`      // host:port
	Advertise string   `json:"advertise,omitempty"`
	TLS       bool     `json:"tls"`
	Log       string   `json:"log"` // file or address, without passwords
	Writable  []string `json:"writable"`
}

type serveOptions struct {
	app               *app
	warn              func(text string, fields map[string]any)
	address           string // of the EventStoreDB protocol; "" for none
	http              string // "" for none
	scanEvery         time.Duration
	pushSecretFile    string
	advertise         string
	writable          []string
	certFile, keyFile string
	usersFile         string
	metrics           string
}

func newServe(a *app) *cobra.Command {
	o := &serveOptions{app: a}
	logger := sync.OnceValue(a.warnings)
	o.warn = func(text string, fields map[string]any) { logger().WithFields(fields).Warn(text) }
	cmd := &cobra.Command{
		Use:   "serve [--http ADDRESS] [--esdb ADDRESS]",
		Short: "Serve the log and the tables over HTTP, and the log to EventStoreDB clients",
		Long: "Serve until SIGINT or SIGTERM, while scans continue. --http answers programs of any language under /v1: what the commands\n" +
			"answer with --json, the events as they are recorded (server-sent events), and scans that they start. /v1/openapi.json\n" +
			"describes it. --esdb serves the log over the EventStoreDB client protocol, so that services read and follow it with the\n" +
			"official clients. Recorded events cannot be changed: clients cannot write to the streams of gxpledger, and deleting is\n" +
			"refused. HTTP is served on loopback addresses alone, and so is clear text to EventStoreDB clients; every other address\n" +
			"needs --tls-cert and --tls-key.\n\n" +
			"Clients that discover servers (esdb+discover://) connect to the address that the server tells them: by default the one\n" +
			"where they reached it. Give --advertise where that is not the address for them, or not a name in the certificate.",
		Example: "  gxpledger serve --http 127.0.0.1:8080\n" +
			"  gxpledger serve --http 127.0.0.1:8080 --esdb 127.0.0.1:2113\n" +
			"  gxpledger serve --esdb 127.0.0.1:2113 --metrics 127.0.0.1:9465\n" +
			"  gxpledger serve --esdb 127.0.0.1:2113 --esdb-writable orders- --esdb-writable invoices-\n" +
			"  gxpledger serve --esdb 0.0.0.0:2113 --tls-cert server.pem --tls-key server.key --basic-auth-file users\n" +
			"  gxpledger serve --esdb 0.0.0.0:2113 --advertise ledger.example.com:2113 --tls-cert server.pem --tls-key server.key",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	addSetting(flags, "serve.http", &o.http)
	addSetting(flags, "serve.scan-every", &o.scanEvery)
	addSetting(flags, "serve.push-secret-file", &o.pushSecretFile)
	addSetting(flags, "serve.esdb", &o.address)
	addSetting(flags, "serve.advertise", &o.advertise)
	addSetting(flags, "serve.writable", &o.writable)
	addSetting(flags, "serve.tls-cert", &o.certFile)
	addSetting(flags, "serve.tls-key", &o.keyFile)
	addSetting(flags, "serve.metrics", &o.metrics)
	addSetting(flags, "serve.basic-auth-file", &o.usersFile)
	return cmd
}

func (o *serveOptions) validate() error {
	if o.address == "" && o.http == "" {
		return usage("the flag --http or --esdb is required: give it the address to listen at, such as --http 127.0.0.1:8080")
	}
	for flag, given := range map[string]bool{"scan-every": o.scanEvery != 0, "push-secret-file": o.pushSecretFile != ""} {
		if given && o.http == "" {
			return usage("--%s needs --http", flag)
		}
	}
	for flag, address := range map[string]string{"http": o.http, "esdb": o.address} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			return usage("--%s cannot listen at %q: want HOST:PORT, such as 127.0.0.1:2113", flag, address)
		}
	}
	if err := checkMetrics(o.metrics); err != nil {
		return err
	}
	if o.advertise != "" {
		if err := esdbserver.CheckAddress(o.advertise); err != nil {
			return usage("--advertise cannot name %q: want HOST:PORT, such as ledger.example.com:2113", o.advertise)
		}
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return usage("--tls-cert and --tls-key belong together: give both, or neither")
	}
	if o.usersFile != "" && o.certFile == "" {
		return usage("--basic-auth-file needs --tls-cert and --tls-key: passwords are not accepted in clear text")
	}
	for _, prefix := range o.writable {
		if closed := esdbserver.ClosedTo(prefix); closed != "" {
			return usage("--esdb-writable cannot open %q: clients cannot write to the streams %s of gxpledger", prefix, closed)
		}
	}
	return nil
}

func (o *serveOptions) run(ctx context.Context) (err error) {
	refusals := server.NewRefusals(o.app.system.Now, o.warn)
	defer refusals.Flush()
	options, err := o.server(refusals)
	if err != nil {
		return err
	}
	open := o.app.ledger.Log
	if len(o.writable) > 0 || o.http != "" {
		open = o.app.ledger.Admin().Log
	}
	log, err := open(ctx)
	if err != nil {
		return err
	}
	clients := o.observe(&options)
	services, err := o.listenAll(ctx, log, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, services.close()) }()
	if err := o.announce(services); err != nil {
		return err
	}
	metrics, err := o.app.listenForMetrics(ctx, o.metrics)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching, stop := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { o.watch(watching, refusals, options.TLS) })
	defer func() {
		stop()
		watched.Wait()
	}()
	var unserved error
	if metrics != nil {
		watched.Go(func() {
			defer cancel() // a process that cannot be monitored must not keep running
			unserved = o.serveMetrics(watching, metrics, log, clients)
		})
	}
	err = o.app.ledger.WhileHome(ctx, services.serve)
	stop()
	watched.Wait()
	return errors.Join(err, unserved)
}

// services are what a server listens for.
type services []service

type service struct {
	flag     string // by which it is asked for
	listener net.Listener
	serve    func(context.Context, net.Listener) error // closes the listener
}

// listenAll listens at all addresses, before anything is served.
func (o *serveOptions) listenAll(ctx context.Context, log eventstore.Log, options esdbserver.Options) (all services, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, all.close())
		}
	}()
	if o.address != "" {
		serving, err := esdbserver.New(log, options)
		if err != nil {
			return all, err
		}
		listener, err := o.listen(ctx, "esdb", o.address)
		if err != nil {
			return all, err
		}
		all = append(all, service{"esdb", listener, serving.Serve})
	}
	if o.http != "" {
		listener, err := o.listen(ctx, "http", o.http)
		if err != nil {
			return all, err
		}
		all = append(all, service{"http", listener, o.newHTTPService(log, options.TLS).serve})
	}
	return all, nil
}

// serve serves all until ctx ends, or one of them fails, which ends the others.
func (s services) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faults := make([]error, len(s))
	var running sync.WaitGroup
	for i, one := range s {
		running.Go(func() {
			defer cancel()
			faults[i] = one.serve(ctx, one.listener)
		})
	}
	running.Wait()
	return errors.Join(faults...)
}

// close closes the listeners that were not served.
func (s services) close() error {
	var faults []error
	for _, one := range s {
		if err := one.listener.Close(); !errors.Is(err, net.ErrClosed) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// at is the address of a service; "" where it is not served.
func (s services) at(flag string) string {
	for _, one := range s {
		if one.flag == flag {
			return one.listener.Addr().String()
		}
	}
	return ""
}

// observe has the server tell metrics and the log of its clients.
func (o *serveOptions) observe(options *esdbserver.Options) *server.Clients {
	var expires time.Time
	if options.TLS != nil && options.TLS.Certificates[0].Leaf != nil {
		expires = options.TLS.Certificates[0].Leaf.NotAfter
	}
	clients := server.NewClients(expires)
	refused, failed, logger := options.Refused, options.Failed, o.app.logger()
	options.Connected = clients.Connected
	options.Refused = func(r esdbserver.Refusal) { clients.Refused(r); refused(r) }
	options.Failed = func(err error) { clients.Failed(); failed(err) }
	options.Called = func(call esdbserver.Call) {
		clients.Called(call)
		if logger.Logger.IsLevelEnabled(logrus.DebugLevel) {
			logger.WithFields(logrus.Fields{"method": call.Method, "outcome": call.Code, "duration_ms": call.Duration.Milliseconds()}).Debug("call ended")
		}
	}
	return clients
}

// serveMetrics serves metrics until ctx ends. The server is ready while its log answers.
func (o *serveOptions) serveMetrics(ctx context.Context, listener net.Listener, log eventstore.Log, clients *server.Clients) error {
	info, scans := buildInfo(), server.NewScans()
	metrics, err := server.NewMetrics(func(ctx context.Context) ([]gxpledger.ProjectionStatus, error) {
		_, err := log.Head(ctx)
		return nil, err
	}, server.Build{Version: info.Version, Commit: info.Commit}, scans, clients, server.NewSpool(o.app.settings.SpoolFolder()))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	var following sync.WaitGroup
	defer following.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	following.Go(func() { scans.Follow(ctx, log, o.app.logScansUnread) })
	if err := metrics.Serve(ctx, listener); err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// watch writes what was counted each minute, and warns each day of a certificate that expires.
func (o *serveOptions) watch(ctx context.Context, refusals *server.Refusals, config *tls.Config) {
	const day = 24 * time.Hour
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for checked := o.app.system.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-minute.C:
		}
		refusals.Flush()
		if now := o.app.system.Now(); now.Sub(checked) >= day {
			checked = now
			o.warnOfCertificate(config)
		}
	}
}

func (o *serveOptions) warnOfCertificate(config *tls.Config) {
	if config == nil {
		return
	}
	certificate := config.Certificates[0]
	if text := server.CertificateWarning(certificate, o.app.system.Now()); text != "" {
		o.warn(text, map[string]any{"file": o.certFile})
	}
	if host, _, err := net.SplitHostPort(o.advertise); err == nil && certificate.Leaf != nil {
		if err := certificate.Leaf.VerifyHostname(host); err != nil {
			o.warn("the certificate is not for the address of --advertise, and clients refuse it: "+err.Error(), map[string]any{"file": o.certFile})
		}
	}
}

// server returns the options of the server.
func (o *serveOptions) server(refusals *server.Refusals) (esdbserver.Options, error) {
	options := esdbserver.Options{
		Now: o.app.system.Now, Writable: o.writable, Advertise: o.advertise, Failed: refusals.Failed, Refused: refusals.Tell,
	}
	if o.certFile != "" {
		certificate, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return options, failed(err, "cannot use the certificate %s with the key %s: %v", o.certFile, o.keyFile, err)
		}
		options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		o.warnOfCertificate(options.TLS)
	}
	if o.usersFile != "" {
		data, err := readSmall(o.usersFile)
		if err != nil {
			return options, failed(err, "cannot read the users in %s: %v", o.usersFile, err)
		}
		users, err := server.ParseUsers(data)
		if err != nil {
			return options, failed(err, "cannot use the file %s of --basic-auth-file: %v", o.usersFile, err)
		}
		options.Authenticate = users.Authenticate
	}
	return options, nil
}

// listen refuses clear text on addresses that other machines can reach, before anybody is told the address.
func (o *serveOptions) listen(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, local, err := listen(ctx, flag, address)
	if err != nil {
		return nil, err
	}
	if !local && flag == "http" {
		return nil, errors.Join(usage("%s can be reached from other machines: HTTP is served on this machine alone, so listen at 127.0.0.1", address), listener.Close())
	}
	if o.certFile == "" && !local {
		return nil, errors.Join(usage("%s can be reached from other machines: give --tls-cert and --tls-key, or listen at 127.0.0.1", address),
			listener.Close())
	}
	return listener, nil
}

// announce writes the addresses for clients.
func (o *serveOptions) announce(all services) error {
	if o.app.json {
		writable := append([]string{}, o.writable...)
		return render.Line(o.app.system.Stdout, serveDocument{
			Listening: all.at("esdb"), HTTP: all.at("http"), Advertise: o.advertise, TLS: o.certFile != "", Log: o.app.settings.LogName(), Writable: writable,
		})
	}
	security, scheme := "tls=false", "http"
	if o.certFile != "" {
		security, scheme = "tls=true", "https"
	}
	screen := o.app.screen()
	if at := all.at("esdb"); at != "" {
		screen.Line("Serving %s at %s", o.app.settings.LogName(), fmt.Sprintf("esdb://%s?%s", cmp.Or(o.advertise, at), security))
	}
	if at := all.at("http"); at != "" {
		screen.Line("Serving %s at %s", o.app.settings.LogName(), scheme+"://"+at+"/v1/")
	}
	return screen.Err()
}
