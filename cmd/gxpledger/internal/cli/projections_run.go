package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// runLine is a line that projections run --json writes: where metrics are served, and then the status of a projection
// whenever its state or its build changes.
type runLine struct {
	At      time.Time         `json:"at"`
	Metrics string            `json:"metrics,omitempty"` // host:port
	Status  *projectionStatus `json:"status,omitempty"`
}

type runOptions struct {
	app     *app
	metrics string
}

func newProjectionsRun(a *app) *cobra.Command {
	o := &runOptions{app: a}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep the tables at the head of the log until stopped",
		Long: "Follows the log with every projection until it is stopped by SIGINT or SIGTERM, so that the tables show a scan right after\n" +
			"it is recorded, whoever records it. A projection that stops at an event stops alone. Tables of an older version are made\n" +
			"anew beside the ones that readers see. Several processes may run at once: one writes, the others stand by.\n" +
			"A line is written whenever the state of a projection changes. With --metrics, /metrics is served for Prometheus, and\n" +
			"/livez, /readyz and /healthz/projections for who looks after processes.",
		Example: "  gxpledger projections run\n  gxpledger projections run --metrics 127.0.0.1:9464",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := net.SplitHostPort(o.metrics); o.metrics != "" && err != nil {
				return usage("--metrics cannot listen at %q: want HOST:PORT, such as 127.0.0.1:9464", o.metrics)
			}
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.metrics, "metrics", "", "`ADDRESS` of this machine to serve metrics at, such as 127.0.0.1:9464; port 0 takes a free one")
	return cmd
}

func (o *runOptions) run(ctx context.Context) error {
	return o.app.steer(ctx, func(s steering) error {
		info := buildInfo()
		metrics, err := server.NewMetrics(s.statuses, server.Build{Version: info.Version, Commit: info.Commit})
		if err != nil {
			return err
		}
		config := o.app.runnerConfig()
		config.Observe = metrics.Observe
		runner, err := run.NewRunner(s.log, s.tables, tables.All(), config)
		if err != nil {
			return err
		}
		return o.follow(ctx, s, runner, metrics)
	})
}

// follow runs the projections, the metrics and the watch over both, until the first two have ended.
func (o *runOptions) follow(ctx context.Context, s steering, runner *run.Runner, metrics *server.Metrics) error {
	listener, err := o.listen(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var served error
	var wait sync.WaitGroup
	if listener != nil {
		wait.Go(func() {
			defer cancel() // what cannot be watched is not left running unseen
			served = metrics.Serve(ctx, listener)
		})
	}
	wait.Go(func() { o.watch(ctx, s) })
	err = runner.Run(ctx)
	cancel()
	wait.Wait()
	if served != nil {
		served = fmt.Errorf("serve metrics: %w", served)
	}
	return errors.Join(err, served)
}

// listen returns a listener of this machine alone, since what is served has no password; nil without --metrics.
func (o *runOptions) listen(ctx context.Context) (net.Listener, error) {
	if o.metrics == "" {
		return nil, nil //nolint:nilnil // none, as documented
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.metrics)
	if err != nil {
		return nil, failed(err, "cannot listen at %s (%v): choose another address with --metrics", o.metrics, err)
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, errors.Join(usage("%s can be reached from other machines: listen at 127.0.0.1, and let a proxy that asks for a password pass on what may be seen",
			o.metrics), listener.Close())
	}
	if o.app.json {
		err = render.Line(o.app.system.Stdout, runLine{At: o.app.system.Now().UTC(), Metrics: listener.Addr().String()})
	} else {
		o.app.screen().Line("Metrics at http://%s/metrics", listener.Addr())
	}
	return listener, err
}

// How often run looks at the projections, and how often it records acts of processes that died.
const (
	lookEvery   = time.Second
	settleEvery = 10 // looks
)

// watch writes a line whenever a projection changes its state, and settles acts.
func (o *runOptions) watch(ctx context.Context, s steering) {
	shown := map[string]string{}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		all, err := s.statuses(ctx)
		if err != nil && ctx.Err() == nil {
			o.app.logger().Warn(err) // Run waits for what does not answer
		}
		for _, status := range all {
			if now := changing(status); shown[status.Name] != now {
				shown[status.Name] = now
				o.say(status)
			}
		}
		if n%settleEvery == 0 && ctx.Err() == nil {
			if err := settle(ctx, s.runner, s.tables, s.recorder); err != nil {
				o.app.logger().Warn(err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// changing is what of a status is worth a line when it changes.
func changing(s inspect.Status) string {
	build := 0
	if s.Active != nil {
		build = s.Active.Number
	}
	state := s.State
	if state == inspect.StateCatchingUp && s.Active != nil { // it comes and goes with every scan
		state = inspect.StateLive
	}
	return fmt.Sprintf("%s %d %v", state, build, s.Fault)
}

func (o *runOptions) say(s inspect.Status) {
	status := statusOf(s)
	now := o.app.system.Now().UTC()
	if o.app.json {
		_ = render.Line(o.app.system.Stdout, runLine{At: now, Status: &status}) // who does not read it misses nothing
		return
	}
	why := whyState(s)
	if why != "" {
		why = ": " + why
	}
	o.app.screen().Line("%s %s: build %d is %s at position %d of %d%s", now.Format(time.RFC3339), s.Name, status.Build, stateWord(s.State),
		status.Position, status.Head, why)
}
