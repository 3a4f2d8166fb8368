package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// newRelay is the command relay and those below it.
func newRelay(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Send the events of the log to brokers and webhooks",
		Long: "A relay sends the events of the log, as CloudEvents, to a webhook, NATS JetStream, a Redis stream or a Kafka topic: each at least\n" +
			"once, those of a repository in order. An event that the target refuses is parked with those after it of the same repository,\n" +
			"until an administrator retries or skips it. Relays are recorded in the log, with actor and reason; secrets are not.",
		Example: "  gxpledger relay add lims --to https://lims.example.com/hooks/gxp --secret-file /etc/gxpledger/lims.secret --reason \"change request 18\"\n" +
			"  gxpledger relay run\n  gxpledger relay status",
		Args: cobra.ArbitraryArgs,
		RunE: chooseCommand,
	}
	cmd.AddCommand(newRelayAdd(a), newRelayRun(a), newRelayStatus(a), newRelayRetry(a), newRelaySkip(a), newRelayRedeliver(a), newRelayRemove(a))
	return cmd
}

// relayFlags are the flags that define a relay.
type relayFlags struct {
	to, from                          string
	secretFile, secretVariable        string
	types, repositories, kinds, risks []string
	allowPrivate                      bool
}

func (f *relayFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "`URL` of the target: https://HOST/PATH, nats://HOST/SUBJECT (tls:// over TLS), redis://HOST/STREAM (rediss://) or kafka://HOST:PORT/TOPIC (kafkas://), without password")
	flags.StringVar(&f.from, "from", "", "first event: a date, a timestamp, pos:N, beginning, or now")
	flags.StringVar(&f.secretFile, "secret-file", "", "`FILE` with the secrets of the target: whsec_... for a webhook, USER:PASSWORD for a broker")
	flags.StringVar(&f.secretVariable, "secret-env", "", "environment `VARIABLE` with the secrets of the target")
	flags.StringSliceVar(&f.types, "types", nil, "only events of these `TYPES`, such as scan.completed or artifact.parsed.v2")
	flags.StringSliceVar(&f.repositories, "repositories", nil, "only events of these repositories, by `NAME` or id")
	flags.StringSliceVar(&f.kinds, "kinds", nil, "of the events of artifacts, only those of these `KINDS`, such as requirement")
	flags.StringSliceVar(&f.risks, "risks", nil, "of the events that artifacts were parsed, only those of these `RISKS`, such as high")
	flags.BoolVar(&f.allowPrivate, "allow-private", false, "allow a webhook with a loopback, private or link-local address")
}

// definition returns the relay that the flags define.
func (f *relayFlags) definition(name string) (domain.RelayDefinition, error) {
	d := domain.RelayDefinition{
		Name: name, To: f.to, SecretFile: f.secretFile, SecretVariable: f.secretVariable, AllowPrivate: f.allowPrivate, Types: f.types,
	}
	for _, r := range f.repositories {
		d.Repositories = append(d.Repositories, domain.RepositoryID(r))
	}
	for _, k := range f.kinds {
		d.Kinds = append(d.Kinds, domain.Kind(k))
	}
	for _, r := range f.risks {
		d.Risks = append(d.Risks, strings.ToLower(r))
	}
	if f.to == "" {
		return d, usage("the flag --to is required: give the address of the target, such as https://lims.example.com/hooks/gxp")
	}
	if err := d.Check(); err != nil {
		return d, usage("the relay cannot be used: %s", oneLine(err.Error()))
	}
	return d, nil
}

func newRelayAdd(a *app) *cobra.Command {
	var who whoFlags
	var flags relayFlags
	cmd := &cobra.Command{
		Use:   "add NAME --to URL --reason TEXT",
		Short: "Add a relay: gxpledger relay run sends to its target from then on",
		Long: "Record a relay. It sends what is recorded from now on, or from --from on. The address holds no user and password: a webhook is\n" +
			"signed with the secrets in --secret-file or --secret-env, whsec_ and base64, one a line; a broker is given USER:PASSWORD.",
		Example: "  gxpledger relay add lims --to https://lims.example.com/hooks/gxp --secret-file /etc/gxpledger/lims.secret --types scan.completed --reason \"change request 18\"\n" +
			"  gxpledger relay add bus --to nats://nats.example.com:4222/gxp.events --from beginning --reason \"change request 19\"",
		Args: relayName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := who.check(); err != nil {
				return err
			}
			definition, err := flags.definition(args[0])
			if err != nil {
				return err
			}
			done, err := a.ledger.Admin().AddRelay(cmd.Context(), gxpledger.AddRelayRequest{Relay: definition, From: flags.from, Actor: who.actor, Reason: who.reason})
			if err != nil {
				return relayNotChanged(err)
			}
			return a.answerRelay(done, "gxpledger relay run "+done.Relay+" sends to it")
		},
	}
	who.add(cmd)
	flags.add(cmd)
	return cmd
}

func newRelayRemove(a *app) *cobra.Command {
	return newRelayAction(a, &cobra.Command{
		Use:   "remove NAME --reason TEXT",
		Short: "Remove a relay and its cursor: it sends nothing any more",
		Long: "Record that a relay sends nothing any more, and remove its cursor. A process that runs it ends it at once. What was sent is not\n" +
			"taken back. A relay of the same name that is added later has a new cursor.",
		Example: "  gxpledger relay remove lims --reason \"the system was replaced\"",
		Args:    relayName,
	}, "no process sends to it any more", nil, gxpledger.Admin.RemoveRelay)
}

func newRelayRetry(a *app) *cobra.Command {
	return newRelayAction(a, &cobra.Command{
		Use:   "retry NAME --reason TEXT",
		Short: "Send what a relay parked again",
		Long: "Record that a relay sends what it parked again, in order, before anything newer of the same repository. A relay whose target was\n" +
			"gone (HTTP 410) starts again. The relay does it as soon as it reads that, or when it is started.",
		Example: "  gxpledger relay retry lims --reason \"the LIMS accepts risks now\"",
		Args:    relayName,
	}, "gxpledger relay status shows what is still parked", func(cmd *cobra.Command, r *gxpledger.RelayRequest) {
		cmd.Flags().StringVar(&r.Repository, "repository", "", "only this repository, by `NAME` or id; engine for what administrators did")
		ownFlag(cmd, "repository")
	}, gxpledger.Admin.RetryRelay)
}

// newRelayAction is a command that records one action on a relay.
func newRelayAction(
	a *app, cmd *cobra.Command, next string, add func(*cobra.Command, *gxpledger.RelayRequest),
	act func(gxpledger.Admin, context.Context, gxpledger.RelayRequest) (gxpledger.RelayChange, error),
) *cobra.Command {
	var who whoFlags
	var request gxpledger.RelayRequest
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := who.check(); err != nil {
			return err
		}
		request.Relay, request.Actor, request.Reason = args[0], who.actor, who.reason
		done, err := act(a.ledger.Admin(), cmd.Context(), request)
		if err != nil {
			return relayNotChanged(err)
		}
		return a.answerRelay(done, next)
	}
	who.add(cmd)
	if add != nil {
		add(cmd, &request)
	}
	return cmd
}

func newRelaySkip(a *app) *cobra.Command {
	var who whoFlags
	cmd := &cobra.Command{
		Use:   "skip NAME POSITION --reason TEXT",
		Short: "Pass over the one event that a relay cannot send",
		Long: "Record that a relay passes over one event, which the target never receives: the first that is parked of a repository, whose others\n" +
			"are then sent, or the one that fails now. gxpledger relay status shows their positions.",
		Example: "  gxpledger relay skip lims 4711 --reason \"entered by hand, deviation 12\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 2, "a relay and the position of an event: gxpledger relay status shows them")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := who.check(); err != nil {
				return err
			}
			position, err := strconv.ParseUint(args[1], 10, 63)
			if err != nil || position == 0 {
				return usage("%.100q is not a position: gxpledger relay status shows those of events that wait", args[1])
			}
			done, err := a.ledger.Admin().SkipRelayed(cmd.Context(), gxpledger.RelayRequest{
				Relay: args[0], Position: eventstore.Position(position), Actor: who.actor, Reason: who.reason,
			})
			if err != nil {
				return relayNotChanged(err)
			}
			return a.answerRelay(done, "gxpledger relay status shows what is still parked")
		},
	}
	who.add(cmd)
	return cmd
}

func newRelayRedeliver(a *app) *cobra.Command {
	var who whoFlags
	var request gxpledger.RedeliverRequest
	cmd := &cobra.Command{
		Use:   "redeliver NAME --from TIME --reason TEXT",
		Short: "Send the events since a point in time again",
		Long: "Record that a relay sends its events again from a point in time on, with the same ids. --dry-run says first how many. A relay whose\n" +
			"cursor was lost gets a new one there. A target that recognises duplicates, such as NATS within its window, may drop them.",
		Example: "  gxpledger relay redeliver lims --from 2026-03-01 --dry-run\n" +
			"  gxpledger relay redeliver lims --from 2026-03-01T12:00:00Z --reason \"the LIMS was restored from a backup\"",
		Args: relayName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !request.DryRun || who.reason != "" {
				if err := who.check(); err != nil {
					return err
				}
			}
			if request.From == "" {
				return usage("the flag --from is required: give a date, a timestamp, pos:N or beginning")
			}
			request.Relay, request.Actor, request.Reason = args[0], who.actor, who.reason
			done, err := a.ledger.Admin().Redeliver(cmd.Context(), request)
			if err != nil {
				return relayNotChanged(err)
			}
			next := "the relay sends them as soon as it reads this, or when it is started"
			if request.DryRun {
				next = "nothing was recorded: run it without --dry-run, with --reason"
			}
			return a.answerRelay(done, next)
		},
	}
	who.add(cmd)
	cmd.Flags().StringVar(&request.From, "from", "", "first event: a date, a timestamp, pos:N, or beginning (required)")
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "only say how many events would be sent")
	return cmd
}

// relayName refuses arguments that are not one name.
func relayName(cmd *cobra.Command, args []string) error {
	return named(cmd, args, 1, "a relay: gxpledger relay status lists them")
}

// relayNotChanged turns the errors of changing a relay into sentences.
func relayNotChanged(err error) error {
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return failed(err, "it is unknown whether the action was recorded, since the log did not answer (%s): see gxpledger relay status", oneLine(err.Error()))
	}
	if refused, ok := errors.AsType[*domain.RelayNotChangedError](err); ok {
		return failed(err, "the relay %s %s: nothing was recorded", refused.Name, oneLine(refused.Why))
	}
	if errors.Is(err, feed.ErrCursorExists) {
		return failed(err, "there is a cursor of that name, of a relay that is not recorded or was removed: gxpledger relay remove removes it")
	}
	if held, ok := errors.AsType[*feed.LeaseHeldError](err); ok {
		return failed(err, "the relay is recorded as removed, and %s still holds its cursor: run gxpledger relay remove again once that has ended", held.Holder)
	}
	return err
}

// answerRelay shows what was recorded of a relay.
func (a *app) answerRelay(done gxpledger.RelayChange, next string) error {
	return a.answer(done, func(screen *render.Screen) {
		screen.Field("Relay", "%s, %s", render.Strong.Of(done.Relay), done.Action)
		if done.To != "" {
			screen.Field("Target", "%s", done.To)
		}
		if done.Events != nil {
			screen.Field("Events", "%s after position %d", render.Count(*done.Events, "event"), uint64(done.After))
		}
		if done.Position > 0 {
			screen.Field("Recorded", "by %s, position %d; reason: %s", done.Actor, uint64(done.Position), done.Reason)
		}
		screen.Field("Next", "%s", next)
	})
}

// relayTarget is where a relay sends, for people.
func relayTarget(s *gxpledger.RelayStatus) string {
	if s.Definition == nil {
		return "not recorded"
	}
	return s.Definition.To
}

func lagText(s *gxpledger.RelayStatus) string {
	if s.Lag == nil {
		return "unknown"
	}
	return fmt.Sprint(*s.Lag)
}
