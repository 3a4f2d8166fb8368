package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
)

// newKeys is the command keys and those below it.
func newKeys(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Trust, list and revoke the public keys that verify evidence",
		Long: "The public keys that verify evidence are recorded in the log, with actor and reason. Every scan verifies with the keys in\n" +
			"force; --evidence-key of scan adds one for that scan alone, and is recorded with it.",
		Example: "  gxpledger keys trust ci.pem --name \"CI 2026\" --reason \"change request 17\"\n" +
			"  gxpledger keys list",
		Args: cobra.ArbitraryArgs,
		RunE: chooseCommand,
	}
	cmd.AddCommand(newKeysTrust(a), newKeysList(a), newKeysRevoke(a))
	return cmd
}

func newKeysTrust(a *app) *cobra.Command {
	var who whoFlags
	var name string
	cmd := &cobra.Command{
		Use:   "trust FILE --name NAME --reason TEXT",
		Short: "Trust a public key: scans verify evidence with it from now on",
		Long: "Record a public key (PEM, P-256). Scans verify evidence with it from now on; evidence that was recorded before is verified by\n" +
			"the next scan. A key that was revoked can be trusted again.",
		Example: "  gxpledger keys trust ci.pem --name \"CI 2026\" --reason \"change request 17\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 1, "a file with a public key")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := who.check(); err != nil {
				return err
			}
			switch {
			case name == "":
				return usage("the flag --name is required: give the key a name that people know it by, such as \"CI 2026\"")
			case len(name) > longestFlag:
				return usage("the flag --name has %d bytes: want at most %d", len(name), longestFlag)
			case !domain.IsPlain(name), len(rosie.FindSecrets([]byte(name), 1)) > 0:
				return usage("the name of --name has control characters, blanks around it or what looks like a password: give another one")
			}
			key, err := readKey(args[0], "keys trust")
			if err != nil {
				return err
			}
			done, err := a.ledger.Admin().TrustKey(cmd.Context(), gxpledger.TrustKeyRequest{Key: key, Name: name, Actor: who.actor, Reason: who.reason})
			if err != nil {
				return keyNotChanged(err)
			}
			return a.answer(done, func(screen *render.Screen) {
				showKeyChange(screen, done)
				screen.Field("Next", "gxpledger scan verifies evidence with it")
			})
		},
	}
	who.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the key, such as \"CI 2026\" (required)")
	return cmd
}

func newKeysRevoke(a *app) *cobra.Command {
	var who whoFlags
	cmd := &cobra.Command{
		Use:   "revoke FINGERPRINT --reason TEXT",
		Short: "Revoke a key: what only it verifies is unverified from the next scan on",
		Long: "Revoke a key, by its fingerprint or the first eight digits of it or more. Evidence that no other key verifies is unverified from the\n" +
			"next scan of its repository on. What earlier scans saw stays, and --as-of shows it.",
		Example: "  gxpledger keys revoke 9f86d081 --reason \"the build server was replaced\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 1, "the fingerprint of a key: gxpledger keys list shows it")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := who.check(); err != nil {
				return err
			}
			if len(args[0]) > longestFlag {
				return usage("the fingerprint has %d bytes: want 64 digits at most", len(args[0]))
			}
			done, err := a.ledger.Admin().RevokeKey(cmd.Context(), gxpledger.RevokeKeyRequest{Fingerprint: args[0], Actor: who.actor, Reason: who.reason})
			if err != nil {
				return keyNotChanged(err)
			}
			return a.answer(done, func(screen *render.Screen) {
				showKeyChange(screen, done)
				screen.Field("Next", "gxpledger scan shows what it verified as unverified")
			})
		},
	}
	who.add(cmd)
	return cmd
}

// keyNotChanged turns the errors of changing a key into sentences.
func keyNotChanged(err error) error {
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return failed(err, "it is unknown whether the change was recorded, since the log did not answer (%s): see gxpledger keys list", oneLine(err.Error()))
	}
	if refused, ok := errors.AsType[*domain.KeyNotChangedError](err); ok {
		return failed(err, "the key %s %s: nothing was recorded", refused.Fingerprint, refused.Why)
	}
	return err
}

func showKeyChange(screen *render.Screen, done gxpledger.KeyChange) {
	actor, at, reason := done.TrustedBy, done.TrustedAt, done.TrustedReason
	state := "trusted"
	if !done.InForce() {
		state, actor, at, reason = "revoked", done.RevokedBy, done.RevokedAt, done.RevokedReason
	}
	screen.Field("Key", "%s, %s", render.Strong.Of(done.Name), state)
	screen.Field("Fingerprint", "%s", done.Fingerprint)
	screen.Field("Recorded", "by %s at %s, position %d; reason: %s", actor, at, uint64(done.Position), reason)
}

// keysDocument is the output of keys list --json.
type keysDocument struct {
	headDocument
	Keys []gxpledger.EvidenceKey `json:"keys"`
}

func newKeysList(a *app) *cobra.Command {
	o := &readOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys that verify evidence, and those that were revoked",
		Long:    "List every key that was ever trusted, with who trusted and revoked it, when and why.",
		Example: "  gxpledger keys list\n  gxpledger keys list --as-of 2026-03-01 --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.read(cmd.Context(), []string{gxpledger.Artifacts}, func(v *view) error {
				keys, err := v.Keys(cmd.Context())
				if err != nil {
					return err
				}
				return v.answer(keysDocument{v.head(), keys}, func(screen *render.Screen) { showKeys(screen, keys) })
			})
		},
	}
	cmd.Flags().Var(&o.asOf, "as-of", "show the state as of `TIME`: a date, timestamp, pos:N, scan:N or commit:SHA (default: now)")
	return cmd
}

func showKeys(screen *render.Screen, keys []gxpledger.EvidenceKey) {
	if len(keys) == 0 {
		screen.Line("No key is trusted: gxpledger keys trust FILE records one.")
		return
	}
	t := render.NewList("Name", "Fingerprint", "State", "Trusted", "By", "Reason", "Revoked", "By", "Reason")
	for i := range keys {
		k := &keys[i]
		state := render.Good.Of("in force")
		if !k.InForce() {
			state = render.Bad.Of("revoked")
		}
		t.Add(k.Name, k.Fingerprint, state, k.TrustedAt, k.TrustedBy, k.TrustedReason, k.RevokedAt, k.RevokedBy, k.RevokedReason)
	}
	screen.List(t)
}
