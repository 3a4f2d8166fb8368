package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/internal/config"
)

// initOptions are the flags of init.
type initOptions struct {
	*scanOptions
	yes bool
}

// initDocument is the output of init --json.
type initDocument struct {
	gxpledger.CheckReport
	Proposed domain.RepositorySettings `json:"proposed"`
	Keys     []string                  `json:"keys,omitempty"` // fingerprints of those that are trusted then
	Recorded bool                      `json:"recorded"`
	File     string                    `json:"configuration_file,omitempty"` // that was written
}

func newInit(a *app) *cobra.Command {
	o := &initOptions{scanOptions: newScanOptions(a)}
	cmd := &cobra.Command{
		Use:   "init [REPOSITORY|URL]",
		Short: "Look at a repository, propose settings, and register it",
		Long: "Look at HEAD of a repository as gxpledger check does, say what is there, and propose the settings with which it can be\n" +
			"scanned: where links are broken, that they are recorded instead of failing scans. Once you agree, or with --yes, the\n" +
			"repository is registered with them, the keys of --evidence-key are trusted, and a configuration file is written into the\n" +
			"home, unless there is one. Flags go before what is proposed.",
		Example: "  gxpledger init\n" +
			"  gxpledger init ../product --links strict --evidence-key ci.pem --yes --reason \"change request 17\"",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "repository", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			return o.init(cmd.Context())
		},
	}
	flags := cmd.Flags()
	o.addReading(flags)
	flags.BoolVar(&o.yes, "yes", false, "record without asking; needs --reason")
	flags.StringVar(&o.actor, "actor", "", "`NAME` of the actor, recorded as a claim (default: the user of the operating system)")
	flags.StringVar(&o.reason, "reason", "", "`REASON` for the registration, recorded in the audit trail")
	return cmd
}

func (o *initOptions) init(ctx context.Context) error {
	if o.yes && o.reason == "" {
		return usage("--yes records settings: give the --reason for them")
	}
	request, err := o.request()
	if err != nil {
		return err
	}
	progress := o.app.progress()
	request.Progress = func(p gxpledger.ScanProgress) { progress.Say(scanProgress(p)) }
	report, err := o.app.ledger.Check(ctx, request)
	progress.Done()
	if err != nil {
		return err
	}
	if report.Known {
		return failed(nil, "the repository %q is known already: see gxpledger repository show %[1]q, and change its settings with gxpledger repository set", report.Repository.Name)
	}
	done := initDocument{CheckReport: report, Proposed: o.propose(report)}
	for _, key := range request.Keys {
		done.Keys = append(done.Keys, key.Fingerprint())
	}
	if !o.app.json {
		screen := o.app.screen()
		render.Check(screen, report, o.all)
		showProposal(screen, done)
		if err := screen.Err(); err != nil {
			return err
		}
	}
	if !o.yes && !o.agreed() {
		if o.app.json {
			return render.Document(o.app.system.Stdout, done)
		}
		screen := o.app.screen()
		screen.Line("Nothing was recorded. To record it: gxpledger init with --yes --reason TEXT")
		return screen.Err()
	}
	if err := o.register(ctx, request, &done); err != nil {
		return err
	}
	return o.app.answer(done, func(screen *render.Screen) {
		screen.Line("%s is registered.", report.Repository.Name)
		if done.File != "" {
			screen.Line("Settings of this machine are in %s.", done.File)
		}
		screen.Line("Next: gxpledger scan, or gxpledger scan --history for what was committed before")
	})
}

// propose returns settings with which the repository can be scanned as it is, or those of the flags.
func (o *initOptions) propose(report gxpledger.CheckReport) domain.RepositorySettings {
	proposed := domain.RepositorySettings{
		Links: domain.LinkPolicy(o.links.value), Duplicates: domain.DuplicatePolicy(o.duplicates.value), Unsigned: domain.UnsignedPolicy(o.unsigned.value),
		Addresses: report.Addresses, Limits: o.limits.set,
	}
	for _, p := range report.Problems {
		switch p.Code {
		case domain.ViolationMissingParent, domain.ViolationWrongKind:
			if proposed.Links == "" {
				proposed.Links = domain.LinksFlag
			}
		case domain.ViolationDuplicate:
			if proposed.Duplicates == "" {
				proposed.Duplicates = domain.DuplicatesUpdate
			}
		}
	}
	return proposed
}

func showProposal(screen *render.Screen, d initDocument) {
	policy := d.Proposed.Policy()
	screen.Blank()
	screen.Field("Proposed", "%s, read from %s", d.Repository.Name, strings.Join(d.Proposed.Addresses, ", "))
	screen.Field("Policy", "links %s, duplicates %s, unsigned packages %s", policy.Links, policy.Duplicates, policy.Unsigned)
	if policy.Links == domain.LinksFlag && d.Links != nil {
		screen.Line("  broken links are recorded; once they are repaired: gxpledger repository set NAME --links strict --reason TEXT")
	}
	if policy.Duplicates == domain.DuplicatesUpdate {
		screen.Line("  of two files with one id the last counts; once they are repaired: gxpledger repository set NAME --duplicates reject --reason TEXT")
	}
	switch {
	case len(d.Keys) > 0:
		screen.Field("Keys", "%s", strings.Join(d.Keys, ", "))
	case d.Evidence != nil && d.Evidence.Unverifiable > 0:
		screen.Field("Keys", "none: %d signatures stay unverifiable until a key is trusted, with --evidence-key FILE or gxpledger keys trust", d.Evidence.Unverifiable)
	}
	screen.Blank()
}

// agreed asks a person at a terminal.
func (o *initOptions) agreed() bool {
	if o.app.json || !o.app.terminal(o.app.system.Stdout).Live {
		return false
	}
	answers := bufio.NewReader(o.app.system.Stdin)
	ask := func(question string) string {
		_, _ = fmt.Fprint(o.app.system.Stdout, question) // where it cannot be asked, there is no answer
		answer, _ := answers.ReadString('\n')
		return strings.TrimSpace(answer)
	}
	if answer := strings.ToLower(ask("Record this? [y/N] ")); answer != "y" && answer != "yes" {
		return false
	}
	if o.reason == "" {
		o.reason = ask("Reason, for the audit trail: ")
	}
	return o.reason != ""
}

// register records what was proposed.
func (o *initOptions) register(ctx context.Context, request gxpledger.ScanRequest, done *initDocument) error {
	admin := o.app.ledger.Admin()
	_, err := admin.AddRepository(ctx, gxpledger.RepositoryRequest{
		Repository: done.Repository.Name, Actor: o.actor, Reason: o.reason,
		Settings: func(domain.RepositorySettings) domain.RepositorySettings { return done.Proposed },
	})
	if err != nil {
		return err
	}
	done.Recorded = true
	for i, key := range request.Keys {
		_, err := admin.TrustKey(ctx, gxpledger.TrustKeyRequest{Key: key, Name: filepath.Base(o.keyFiles[i]), Actor: o.actor, Reason: o.reason})
		if known, ok := errors.AsType[*domain.KeyNotChangedError](err); ok {
			o.app.notes().Line("%s", oneLine(known.Error()))
		} else if err != nil {
			return fmt.Errorf("the repository was registered: %w", err)
		}
	}
	done.File, err = writeConfig(o.app.settings.HomeFolder(), done.Repository.Name)
	return err
}

// writeConfig writes a configuration file into a home, unless there is one, and returns its path.
func writeConfig(home, repository string) (string, error) {
	path := filepath.Join(home, config.FileName)
	line, err := yaml.Marshal(map[string]string{"repository": repository})
	if err != nil {
		return "", err
	}
	const private = 0o600
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private) //nolint:gosec // in the home
	if errors.Is(err, fs.ErrExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot write %s: %w", path, err)
	}
	_, err = fmt.Fprintf(file, "# Settings of this machine: gxpledger config print --sources shows those in force, gxpledger config schema all that there are.\n%s", line)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("cannot write %s: %w", path, err)
	}
	return path, nil
}
