package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/server"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

// runLine is a line that projections run --json writes: the address of the metrics, and then the status of a projection
// whenever its state or its build changes, and the outcome of each verification.
type runLine struct {
	At      time.Time                   `json:"at"`
	Metrics string                      `json:"metrics,omitempty"` // host:port
	Status  *gxpledger.ProjectionStatus `json:"status,omitempty"`
	// Verification is the outcome of a verification in the background, and Faults what it found.
	Verification *gxpledger.LastVerification `json:"verification,omitempty"`
	Faults       []eventstore.Fault          `json:"faults,omitempty"`
}

type runOptions struct {
	app         *app
	metrics     string
	verifyEvery time.Duration
}

// verifyRate is how many events and contents a verification in the background reads in a second: a fraction of what a disk gives.
const verifyRate = 5000

func newProjectionsRun(a *app) *cobra.Command {
	o := &runOptions{app: a}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep the tables at the head of the log until stopped",
		Long: "Follow the log with every projection until SIGINT or SIGTERM, so that the tables show a scan as soon as it is recorded,\n" +
			"whichever process records it. A projection that stops at an event stops alone. Tables of an older version are rebuilt\n" +
			"beside the active ones. Several processes may run at once: one writes, the others stand by. A line is written whenever\n" +
			"the state of a projection changes. --metrics serves /metrics for Prometheus, and /livez, /readyz and\n" +
			"/healthz/projections for supervisors. --verify-every verifies log, contents and tables in the background, slowly, as\n" +
			"gxpledger verify does: readers trust the tables between two verifications. The outcome is written as a line, and each fault\n" +
			"on standard error; it is served as metrics, and shown by projections status; a verification that was interrupted\n" +
			"continues with the part that it was in.",
		Example: "  gxpledger projections run\n  gxpledger projections run --metrics 127.0.0.1:9464 --verify-every 24h",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkMetrics(o.metrics); err != nil {
				return err
			}
			if cmd.Flags().Changed("verify-every") && o.verifyEvery < time.Minute {
				return usage("--verify-every is %s: want a minute or more, such as 24h", o.verifyEvery)
			}
			return o.run(cmd.Context())
		},
	}
	addSetting(cmd.Flags(), "projections.verify-every", &o.verifyEvery)
	addSetting(cmd.Flags(), "projections.metrics", &o.metrics)
	return cmd
}

func (o *runOptions) run(ctx context.Context) (err error) {
	var metrics *server.Metrics
	runner, err := o.app.ledger.Admin().Runner(ctx, func(p run.Progress) { metrics.Observe(p) })
	if err != nil {
		return err
	}
	defer func() {
		if closed := runner.Close(ctx); err == nil { // else the same failure again, told as that of an action
			err = closed
		}
	}()
	info := buildInfo()
	scans := server.NewScans()
	metrics, err = server.NewMetrics(runner.Status, server.Build{Version: info.Version, Commit: info.Commit}, scans, server.NewSpool(o.app.settings.SpoolFolder()))
	if err != nil {
		return err
	}
	log, err := o.app.ledger.Log(ctx)
	if err != nil {
		return err
	}
	listener, err := o.app.listenForMetrics(ctx, o.metrics)
	if err != nil {
		return err
	}
	o.app.retrying = func(projection string, err error) {
		metrics.Retried(projection, reasonOf(err))
		o.app.noteRetry(projection, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var served error
	var wait sync.WaitGroup
	if listener != nil {
		wait.Go(func() { scans.Follow(ctx, log, o.app.logScansUnread) })
		wait.Go(func() {
			defer cancel() // a process that cannot be monitored must not keep running
			if err := metrics.Serve(ctx, listener); err != nil {
				served = fmt.Errorf("serve metrics: %w", err)
			}
		})
	}
	wait.Go(func() { o.watch(ctx, runner) })
	var verified error
	wait.Go(func() { verified = o.verify(ctx, metrics) })
	err = runner.Run(ctx)
	cancel()
	wait.Wait()
	return errors.Join(err, served, verified)
}

// verify tells the metrics of the last verification, and verifies in the background until ctx ends where that is asked for.
func (o *runOptions) verify(ctx context.Context, metrics *server.Metrics) error {
	if last, err := o.app.ledger.Admin().LastVerification(ctx); err == nil && last != nil {
		metrics.Verified(*last)
	}
	if o.verifyEvery == 0 {
		return nil
	}
	return o.app.ledger.VerifyEvery(ctx, gxpledger.VerifyEveryOptions{
		Every: o.verifyEvery, Rate: verifyRate,
		Finished: func(v gxpledger.Verification, last gxpledger.LastVerification) {
			metrics.VerificationEnded(last)
			o.logVerification(last)
			o.showVerification(v, last)
		},
		Failed: func(err error) {
			metrics.VerificationFailed()
			o.app.notes().Line("warning: cannot verify in the background: %s", err.Error())
		},
	})
}

func (o *runOptions) logVerification(last gxpledger.LastVerification) {
	fields := logrus.Fields{
		"step": "verification", "outcome": "intact", "position": last.Position, "faults": last.Faults, "unknown": last.Unknown, "warnings": last.Warnings,
	}
	if !last.Intact {
		fields["outcome"] = "not intact"
	}
	if !last.StartedAt.IsZero() {
		fields["duration_ms"] = last.FinishedAt.Sub(last.StartedAt).Milliseconds()
	}
	o.app.logger().WithFields(fields).Info("verification ended")
}

func (o *runOptions) showVerification(v gxpledger.Verification, last gxpledger.LastVerification) {
	for _, f := range slices.Concat(v.Faults, v.Unknown) {
		o.app.notes().Line("warning: %s verification: %s %s: %s", last.FinishedAt, f.Code, f.Where, f.Text)
	}
	if o.app.json {
		line := runLine{At: last.FinishedAt, Verification: &last, Faults: v.Faults}
		_ = render.Line(o.app.system.Stdout, line) // a closed pipe is no failure
		return
	}
	o.app.screen().Line("%s %s", last.FinishedAt, lastVerification(last))
}

// lastVerification says what a verification found.
func lastVerification(v gxpledger.LastVerification) string {
	text := fmt.Sprintf("verified up to position %d: ", v.Position)
	switch {
	case v.Intact:
		return text + "no faults found"
	case v.Unknown > 0:
		text += render.Count(v.Unknown, "check") + " could not be made, "
	}
	return text + render.Count(v.Faults, "fault") + " found: run gxpledger verify"
}

// watch writes a line whenever a projection changes its state.
func (o *runOptions) watch(ctx context.Context, runner *gxpledger.ProjectionRunner) {
	shown := map[string]string{}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		all, err := runner.Status(ctx)
		if err != nil && ctx.Err() == nil {
			o.app.logger().Warn(err) // Run waits until the database answers
		}
		for _, status := range all {
			if now := changing(status); shown[status.Name] != now {
				shown[status.Name] = now
				o.show(status)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// changing is the part of a status that is worth a line when it changes.
func changing(s gxpledger.ProjectionStatus) string {
	state := s.State
	if state == inspect.StateCatchingUp && s.Build > 0 { // it comes and goes with every scan
		state = inspect.StateLive
	}
	fault := gxpledger.ProjectionFault{}
	if s.Fault != nil {
		fault = *s.Fault
	}
	return fmt.Sprint(state, s.Build, fault)
}

func (o *runOptions) show(s gxpledger.ProjectionStatus) {
	o.app.logger().WithFields(logrus.Fields{
		"projection": s.Name, "state": s.State, "build": s.Build, "position": s.Position, "head": s.Head,
	}).Info("projection changed its state")
	now := o.app.system.Now().UTC()
	if o.app.json {
		_ = render.Line(o.app.system.Stdout, runLine{At: now, Status: &s}) // a closed pipe is no failure
		return
	}
	s.Holder = "" // it is this process, or one that it stands by for, and changes nothing
	details := stateDetails(s)
	if details != "" {
		details = ": " + details
	}
	o.app.screen().Line("%s %s: build %d is %s at position %d of %d%s", now, s.Name, s.Build, stateWord(s.State), s.Position, s.Head, details)
}
