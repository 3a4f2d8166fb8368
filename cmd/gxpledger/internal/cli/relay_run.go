package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// relayLine is a line that relay run --json writes.
type relayLine struct {
	At       time.Time `json:"at"`
	Relay    string    `json:"relay"`
	Step     string    `json:"step"` // started, stands by, failed, parked, skipped, resumed, ended
	Position uint64    `json:"position"`
	EventID  string    `json:"event_id,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// relayRun is the command relay run.
type relayRun struct {
	app     *app
	flags   relayFlags
	name    string
	metrics string
	timeout time.Duration

	mu      sync.Mutex
	failing map[string]bool // relays whose last attempt failed
}

func newRelayRun(a *app) *cobra.Command {
	o := &relayRun{app: a, failing: map[string]bool{}}
	cmd := &cobra.Command{
		Use:   "run [NAME...]",
		Short: "Send the events of the log to the targets until stopped",
		Long: "Run the relays that are recorded, or those that are named, until SIGINT or SIGTERM, or until each has ended. One that another\n" +
			"process runs stands by. With --to and --name it runs a relay that is not recorded, which begins at --from the first time and\n" +
			"where it was after that. A line is written when a relay starts, fails, parks an event or ends. --metrics serves /metrics for Prometheus.",
		Example: "  gxpledger relay run\n  gxpledger relay run lims --metrics 127.0.0.1:9465\n" +
			"  gxpledger relay run --to nats://127.0.0.1:4222/gxp.events --name bus --from beginning",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkMetrics(o.metrics); err != nil {
				return err
			}
			request, err := o.request(args)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), request)
		},
	}
	o.flags.add(cmd)
	cmd.Flags().StringVar(&o.name, "name", "", "`NAME` of a relay that is not recorded, with --to")
	cmd.Flags().StringVar(&o.metrics, "metrics", "", "serve metrics at `HOST:PORT` of this machine")
	cmd.Flags().DurationVar(&o.timeout, "send-timeout", 30*time.Second, "how long one attempt to send may take")
	return cmd
}

func (o *relayRun) request(args []string) (gxpledger.RunRelaysRequest, error) {
	request := gxpledger.RunRelaysRequest{Names: args, SendTimeout: o.timeout, From: o.flags.from, Ended: o.ended, Env: o.app.system.Env}
	if o.timeout <= 0 {
		return request, usage("--send-timeout is %s: want more than 0, such as 30s", o.timeout)
	}
	if o.flags.to == "" {
		if o.name != "" || o.flags.from != "" {
			return request, usage("the flags --name and --from are for a relay that is not recorded: give --to too")
		}
		return request, nil
	}
	switch {
	case len(args) > 0:
		return request, usage("--to excludes the names of recorded relays: give one or the other")
	case o.name == "":
		return request, usage("the flag --name is required with --to: the relay continues under it where it was")
	}
	definition, err := o.flags.definition(o.name)
	request.Unrecorded = &definition
	return request, err
}

func (o *relayRun) run(ctx context.Context, request gxpledger.RunRelaysRequest) error {
	listener, err := o.app.listenForMetrics(ctx, o.metrics)
	if err != nil {
		return err
	}
	metrics, err := server.NewRelays(o.app.ledger.Admin().Relays)
	if err != nil {
		return err
	}
	request.Observe = func(p relay.Progress) {
		metrics.Observe(p)
		o.observe(p)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var served error
	var wait sync.WaitGroup
	if listener != nil {
		wait.Go(func() {
			defer cancel() // a process that cannot be monitored must not keep running
			if err := metrics.Serve(ctx, listener); err != nil {
				served = fmt.Errorf("serve metrics: %w", err)
			}
		})
	}
	err = o.app.ledger.Admin().RunRelays(ctx, request)
	cancel()
	wait.Wait()
	if errors.Is(err, context.Canceled) && served == nil {
		return nil // stopped: what was sent is saved
	}
	if refused, ok := errors.AsType[*domain.RelayNotChangedError](err); ok {
		return failed(err, "the relay %s %s: gxpledger relay status lists them", refused.Name, refused.Why)
	}
	return errors.Join(err, served)
}

// observe writes a line when something changes that a person should know.
func (o *relayRun) observe(p relay.Progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.failing[p.Relay]
	o.failing[p.Relay] = p.Step == relay.StepFailed || before && (p.Step == relay.StepSaved || p.Step == relay.StepHeld || p.Step == relay.StepPassed)
	switch p.Step {
	case relay.StepFailed:
		if before {
			return
		}
	case relay.StepStandsBy, relay.StepStarted, relay.StepParked, relay.StepSkipped, relay.StepResumed, relay.StepReading:
	case relay.StepSent, relay.StepPassed, relay.StepHeld, relay.StepSaved:
		return
	}
	line := relayLine{Relay: p.Relay, Step: string(p.Step), Position: uint64(p.Position)}
	if p.Event.Position > 0 {
		line.Position, line.EventID = uint64(p.Event.Position), p.Event.ID.String()
	}
	if p.Err != nil {
		line.Error = relay.Neutral(p.Err.Error())
	}
	o.show(line)
}

func (o *relayRun) ended(name string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.show(relayLine{Relay: name, Step: "ended", Error: relay.Neutral(err.Error())})
}

func (o *relayRun) show(line relayLine) {
	line.At = o.app.system.Now().UTC()
	if o.app.json {
		_ = render.Line(o.app.system.Stdout, line) // a closed pipe is no failure
		return
	}
	text := ""
	if line.Error != "" {
		text = ": " + line.Error
	}
	o.app.screen().Line("%s %s: %s at position %d%s", line.At, line.Relay, line.Step, line.Position, text)
}
