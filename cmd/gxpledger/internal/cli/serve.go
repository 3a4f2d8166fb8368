package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// serveDocument is the line that serve --json writes when it listens.
type serveDocument struct {
	Listening string   `json:"listening"` // host:port
	TLS       bool     `json:"tls"`
	Log       string   `json:"log"` // file or address, without passwords
	Writable  []string `json:"writable"`
}

type serveOptions struct {
	app               *app
	address           string
	writable          []string
	certFile, keyFile string
	usersFile         string
}

func newServe(a *app) *cobra.Command {
	o := &serveOptions{app: a}
	cmd := &cobra.Command{
		Use:   "serve --esdb ADDRESS",
		Short: "Serve the log to EventStoreDB clients",
		Long: "Serves the log over the EventStoreDB client protocol until it is stopped by SIGINT or SIGTERM, so that services in any\n" +
			"language read it and follow it with the official clients, while scans go on. Nobody can change what was recorded: the\n" +
			"streams of the engine are never open for writing, and deleting is refused.\n" +
			"Clear text is served on loopback addresses alone; everywhere else it takes --tls-cert and --tls-key.",
		Example: "  gxpledger serve --esdb 127.0.0.1:2113\n" +
			"  gxpledger serve --esdb 127.0.0.1:2113 --esdb-writable orders- --esdb-writable invoices-\n" +
			"  gxpledger serve --esdb 0.0.0.0:2113 --tls-cert server.pem --tls-key server.key --basic-auth-file users",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.address, "esdb", "", "`ADDRESS` to listen at, such as 127.0.0.1:2113; port 0 takes a free one")
	flags.StringArrayVar(&o.writable, "esdb-writable", nil, "let clients append to streams whose names begin with `PREFIX`; repeatable")
	flags.StringVar(&o.certFile, "tls-cert", "", "`FILE` with the server's certificate and its chain (PEM)")
	flags.StringVar(&o.keyFile, "tls-key", "", "`FILE` with the certificate's private key (PEM)")
	flags.StringVar(&o.usersFile, "basic-auth-file", "", "`FILE` of users, a line USER:HASH each with a bcrypt hash, as htpasswd -B writes it; needs TLS")
	return cmd
}

func (o *serveOptions) validate() error {
	if o.address == "" {
		return usage("the flag --esdb is required: give it the address to listen at, such as 127.0.0.1:2113")
	}
	if _, _, err := net.SplitHostPort(o.address); err != nil {
		return usage("--esdb cannot listen at %q: want HOST:PORT, such as 127.0.0.1:2113", o.address)
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return usage("--tls-cert and --tls-key belong together: give both, or neither")
	}
	if o.usersFile != "" && o.certFile == "" {
		return usage("--basic-auth-file needs --tls-cert and --tls-key: passwords are not taken in clear text")
	}
	for _, prefix := range o.writable {
		if closed := closedTo(prefix); closed != "" {
			return usage("--esdb-writable cannot open %q: the streams %s are the engine's alone", prefix, closed)
		}
	}
	return nil
}

// closedTo names the streams among those that begin with prefix which are never open, if all of them are.
func closedTo(prefix string) string {
	for _, closed := range []string{"$", eventstore.RepositoryPrefix, "content-"} {
		if strings.HasPrefix(prefix, closed) {
			return closed + "..."
		}
	}
	if prefix == string(eventstore.EngineStream) {
		return prefix
	}
	return ""
}

func (o *serveOptions) run(ctx context.Context) (err error) {
	options, err := o.server()
	if err != nil {
		return err
	}
	log, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	server, err := esdbserver.New(log, options)
	if err != nil {
		return err
	}
	listener, err := o.listen(ctx)
	if err != nil {
		return err
	}
	if err := o.announce(listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	return server.Serve(ctx, listener)
}

// open opens the log for what clients may do with it.
func (o *serveOptions) open(ctx context.Context) (eventstore.Log, error) {
	if len(o.writable) == 0 {
		return o.app.openLogToRead(ctx)
	}
	if err := o.app.settings.CreateHome(); err != nil {
		return nil, err
	}
	return o.app.openLog(ctx)
}

// server returns what the flags say of the server.
func (o *serveOptions) server() (esdbserver.Options, error) {
	logger := o.app.logger()
	options := esdbserver.Options{
		Now: o.app.system.Now, Writable: o.writable, Failed: func(err error) { logger.Error(err) },
	}
	if o.certFile != "" {
		certificate, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return options, failed(err, "the certificate %s with the key %s cannot be used (%v)", o.certFile, o.keyFile, err)
		}
		options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	if o.usersFile != "" {
		data, err := readSmall(o.usersFile)
		if err != nil {
			return options, failed(err, "the users in %s cannot be read (%v)", o.usersFile, err)
		}
		users, err := parseUsers(data)
		if err != nil {
			return options, failed(err, "the file %s of --basic-auth-file cannot be used: %v", o.usersFile, err)
		}
		options.Authenticate = users.authenticate
	}
	return options, nil
}

// listen refuses clear text where others could listen, before anybody is told the address.
func (o *serveOptions) listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.address)
	if err != nil {
		return nil, failed(err, "cannot listen at %s (%v): choose another address with --esdb", o.address, err)
	}
	tcp, ok := listener.Addr().(*net.TCPAddr)
	if o.certFile == "" && (!ok || !tcp.IP.IsLoopback()) {
		return nil, errors.Join(usage("%s can be reached from other machines: give --tls-cert and --tls-key, or listen at 127.0.0.1", o.address),
			listener.Close())
	}
	return listener, nil
}

// announce says where clients are served.
func (o *serveOptions) announce(address net.Addr) error {
	if o.app.json {
		writable := append([]string{}, o.writable...)
		return render.Line(o.app.system.Stdout, serveDocument{
			Listening: address.String(), TLS: o.certFile != "", Log: o.app.settings.LogName(), Writable: writable,
		})
	}
	security := "tls=false"
	if o.certFile != "" {
		security = "tls=true"
	}
	screen := o.app.screen()
	screen.Line("Serving %s at %s", o.app.settings.LogName(), fmt.Sprintf("esdb://%s?%s", address, security))
	return screen.Err()
}
