package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/projections/query"
)

// newRepository is the command repository and those below it.
func newRepository(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repository",
		Short: "Register, configure, rename and retire repositories",
		Long: "What a repository is called, where it is read from and how it is scanned is recorded in the log, with actor and reason.\n" +
			"Every scan uses these settings; a flag of scan overrides one for that scan alone, and is recorded with it.",
		Example: "  gxpledger repository set product --links flag --reason \"links are repaired until May\"\n" +
			"  gxpledger repository list",
		Args: cobra.ArbitraryArgs,
		RunE: chooseCommand,
	}
	cmd.AddCommand(newRepositoryAdd(a), newRepositoryList(a), newRepositoryShow(a), newRepositorySet(a), newRepositoryRename(a), newRetire(a))
	return cmd
}

// settingsFlags are the settings of a repository as flags.
type settingsFlags struct {
	links, duplicates, unsigned *choice
	mainLine                    string
	add, remove                 []string
	limits                      limits
	resetLimits                 bool
}

// unset resets a setting to its default.
const unset = "default"

func (f *settingsFlags) register(cmd *cobra.Command) {
	f.links = optionally(string(domain.LinksStrict), string(domain.LinksFlag), unset)
	f.duplicates = optionally(string(domain.DuplicatesReject), string(domain.DuplicatesUpdate), unset)
	f.unsigned = optionally(string(domain.UnsignedUnverified), string(domain.UnsignedInvalid), unset)
	flags := cmd.Flags()
	flags.Var(f.links, "links", "policy for broken links: strict fails a scan, flag records them")
	flags.Var(f.duplicates, "duplicates", "policy for a gxp_id in two files: reject fails a scan, update keeps the last file")
	flags.Var(f.unsigned, "unsigned-packages", "policy for an evidence package without a signature: unverified or invalid")
	flags.StringVar(&f.mainLine, "main-line", "", "`BRANCH` whose history continues from scan to scan, or "+unset)
	flags.StringArrayVar(&f.add, "address", nil, "`ADDRESS` that the repository may be read from too; repeatable")
	flags.StringArrayVar(&f.remove, "remove-address", nil, "`ADDRESS` that it may no longer be read from; repeatable")
	flags.Var(&f.limits, "limit", "limit to raise or lower, such as files=500000; repeatable")
	flags.BoolVar(&f.resetLimits, "reset-limits", false, "remove the recorded limits first")
}

func (f *settingsFlags) check() error {
	if f.limits.fetch != 0 {
		return usage("the limit %s is one of a single scan: give it to gxpledger scan", limitFetch)
	}
	for _, address := range f.add {
		if !domain.IsAddress(address) {
			return usage("%q is not an address: give https://HOST/PATH, ssh://HOST/PATH, HOST:PATH or an absolute path", address)
		}
		if err := gitrepo.CheckAddress(address); err != nil {
			return usage("the address of --address cannot be used: %s", oneLine(err.Error()))
		}
	}
	return nil
}

// apply returns what the flags make of settings.
func (f *settingsFlags) apply(now domain.RepositorySettings) domain.RepositorySettings {
	if v := f.links.value; v != "" {
		now.Links = domain.LinkPolicy(orUnset(v))
	}
	if v := f.duplicates.value; v != "" {
		now.Duplicates = domain.DuplicatePolicy(orUnset(v))
	}
	if v := f.unsigned.value; v != "" {
		now.Unsigned = domain.UnsignedPolicy(orUnset(v))
	}
	if f.mainLine != "" {
		now.MainLine = orUnset(f.mainLine)
	}
	addresses := slices.Clone(now.Addresses)
	for _, address := range f.add {
		addresses = append(addresses, domain.CanonicalAddress(address))
	}
	now.Addresses = slices.DeleteFunc(addresses, func(address string) bool {
		return slices.ContainsFunc(f.remove, func(r string) bool { return r == address || domain.CanonicalAddress(r) == address })
	})
	set := map[string]int64{}
	if !f.resetLimits {
		maps.Copy(set, now.Limits)
	}
	maps.Copy(set, f.limits.set)
	now.Limits = set
	return now
}

func orUnset(value string) string {
	if value == unset {
		return ""
	}
	return value
}

// repositoryOptions are those of the commands that change a repository.
type repositoryOptions struct {
	app      *app
	who      whoFlags
	settings settingsFlags
}

// newRepositoryAdd and those after it are the commands below repository.
func newRepositoryAdd(a *app) *cobra.Command {
	o := &repositoryOptions{app: a}
	var name string
	cmd := &cobra.Command{
		Use:   "add NAME|ADDRESS --reason TEXT",
		Short: "Register a repository before its first scan",
		Long: "Register a repository, with its settings, before it is scanned. Without this, its first completed scan registers it. The name\n" +
			"of one that is given as an address is that address: host and path, without scheme, user and .git.",
		Example: "  gxpledger repository add git@example.org:team/product.git --links flag --reason \"change request 17\"\n" +
			"  gxpledger repository add https://example.org/team/product --name product --reason \"change request 17\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 1, "the name or address of a repository")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.change(cmd.Context(), args[0], name, o.app.ledger.Admin().AddRepository)
		},
	}
	o.who.add(cmd)
	o.settings.register(cmd)
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the repository (default: its address)")
	return cmd
}

func newRepositorySet(a *app) *cobra.Command {
	o := &repositoryOptions{app: a}
	cmd := &cobra.Command{
		Use:   "set NAME --reason TEXT",
		Short: "Change how a repository is scanned",
		Long: "Change the settings that scans of a repository use from now on. What is not given stays; \"default\" resets a setting. Earlier\n" +
			"scans keep the settings that they were judged by.",
		Example: "  gxpledger repository set product --links flag --reason \"links are repaired until May\"\n" +
			"  gxpledger repository set product --links default --reason \"links are repaired\"\n" +
			"  gxpledger repository set product --address git@mirror.example.org:team/product --reason \"a mirror\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 1, "the name, address or id of a repository")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.change(cmd.Context(), args[0], "", o.app.ledger.Admin().ChangeRepository)
		},
	}
	o.who.add(cmd)
	o.settings.register(cmd)
	return cmd
}

func newRepositoryRename(a *app) *cobra.Command {
	o := &repositoryOptions{app: a}
	o.settings.register(&cobra.Command{}) // none of them is given
	cmd := &cobra.Command{
		Use:   "rename NAME NEW --reason TEXT",
		Short: "Give a repository another name",
		Long: "Give a repository another name. Its id and its history stay, and it is still found by its former names. No other repository\n" +
			"can have one of them.",
		Example: "  gxpledger repository rename product pumps --reason \"change request 17\"",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 2, "its present and its new name")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.change(cmd.Context(), args[0], args[1], o.app.ledger.Admin().ChangeRepository)
		},
	}
	o.who.add(cmd)
	return cmd
}

// named checks the number of arguments.
func named(cmd *cobra.Command, args []string, n int, what string) error {
	if len(args) != n {
		return usage("%s needs %s, and has %s", cmd.CommandPath(), what, render.Count(len(args), "argument"))
	}
	return nil
}

func (o *repositoryOptions) change(ctx context.Context, repository, name string,
	record func(context.Context, gxpledger.RepositoryRequest) (gxpledger.RepositoryChange, error),
) error {
	if err := errors.Join(o.who.check(), o.settings.check()); err != nil {
		return err
	}
	done, err := record(ctx, gxpledger.RepositoryRequest{
		Repository: repository, Name: name, Settings: o.settings.apply, Actor: o.who.actor, Reason: o.who.reason,
	})
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return failed(err, "it is unknown whether the change was recorded, since the log did not answer (%s): see gxpledger repository show", oneLine(err.Error()))
	}
	if refused, ok := errors.AsType[*domain.NotChangedError](err); ok {
		return failed(err, "repository %q %s: nothing was recorded", refused.Repository, refused.Why)
	}
	if err != nil {
		return asked(err)
	}
	if err := o.app.ledger.CatchUp(ctx, done.Position, gxpledger.Artifacts); err != nil {
		o.app.notes().Line("the tables do not show it yet (%s): the next command catches them up", oneLine(err.Error()))
	}
	return o.app.answer(done, func(screen *render.Screen) {
		screen.Field("Repository", "%s", render.Strong.Of(done.Repository))
		screen.Field("Recorded", "by %s at %s, position %d; reason: %s", done.Actor, done.ChangedAt, uint64(done.Position), done.Reason)
		showSettings(screen, done.Settings)
	})
}

// showSettings shows all settings of a repository.
func showSettings(screen *render.Screen, s domain.RepositorySettings) {
	addresses := "anywhere"
	if len(s.Addresses) > 0 {
		addresses = strings.Join(s.Addresses, ", ")
	}
	screen.Field("Read from", "%s", addresses)
	p := s.Policy()
	screen.Field("Policy", "links %s, duplicates %s, unsigned packages %s", p.Links, p.Duplicates, p.Unsigned)
	if s.MainLine != "" {
		screen.Field("Main line", "%s", s.MainLine)
	}
	if len(s.Limits) > 0 {
		var set []string
		for _, name := range slices.Sorted(maps.Keys(s.Limits)) {
			set = append(set, name+"="+strconv.FormatInt(s.Limits[name], 10))
		}
		screen.Field("Limits", "%s", strings.Join(set, ", "))
	}
}

// repositoriesDocument is the output of repository list --json.
type repositoriesDocument struct {
	headDocument
	Repositories []query.Repository `json:"repositories"`
}

func newRepositoryList(a *app) *cobra.Command {
	o := &readOptions{app: a, every: true}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List repositories and their settings",
		Long:    "List every repository: those that an administrator registered, and those that a scan was recorded for.",
		Example: "  gxpledger repository list\n  gxpledger repository list --as-of 2026-03-01 --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.read(cmd.Context(), []string{gxpledger.Artifacts}, func(v *view) error {
				all, err := v.Repositories(cmd.Context())
				if err != nil {
					return err
				}
				all = slices.DeleteFunc(all, func(r query.Repository) bool { return v.repositoryID != "" && r.ID != v.repositoryID })
				return v.answer(repositoriesDocument{v.head(), all}, func(screen *render.Screen) {
					t := render.NewList("Repository", "Read from", "Links", "Duplicates", "Unsigned", "Main line", "Last scan>", "At", "State")
					for i := range all {
						r := &all[i]
						s := r.Settings()
						p := s.Policy()
						t.Add(r.Name, strings.Join(s.Addresses, ", "), p.Links, p.Duplicates, p.Unsigned, s.MainLine, scanNumber(r), r.LastScanAt, repositoryState(r))
					}
					screen.List(t)
				})
			})
		},
	}
	o.add(cmd)
	return cmd
}

func scanNumber(r *query.Repository) any {
	if r.LastScan == 0 {
		return "none"
	}
	return r.LastScan
}

func repositoryState(r *query.Repository) any {
	switch {
	case !r.RetiredAt.IsZero():
		return render.Notice.Of("retired")
	case r.RegisteredAt.IsZero():
		return render.Bad.Of("every scan failed")
	case r.LastScan == 0:
		return render.Notice.Of("never scanned")
	}
	return ""
}

// repositoryDocument is the output of repository show --json.
type repositoryDocument struct {
	headDocument
	query.Repository
	Changes []query.SettingsChange `json:"changes"`
}

func newRepositoryShow(a *app) *cobra.Command {
	o := &readOptions{app: a, every: true}
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show the settings of a repository, and who changed them",
		Long:    "Show the settings of a repository, its former names, and every change of its settings with actor and reason.",
		Example: "  gxpledger repository show product\n  gxpledger repository show product --as-of 2026-03-01",
		Args: func(cmd *cobra.Command, args []string) error {
			return named(cmd, args, 1, "the name, address or id of a repository")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.read(cmd.Context(), []string{gxpledger.Artifacts}, func(v *view) error {
				r, err := v.Find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				changes, err := v.SettingsChanges(cmd.Context(), r.ID)
				if err != nil {
					return err
				}
				return v.answer(repositoryDocument{v.head(), r, changes}, func(screen *render.Screen) { showRepository(screen, r, changes) })
			})
		},
	}
	o.add(cmd)
	return cmd
}

func showRepository(screen *render.Screen, r query.Repository, changes []query.SettingsChange) {
	screen.Field("Repository", "%s", render.Strong.Of(r.Name))
	screen.Field("Id", "%s", r.ID)
	if len(r.FormerNames) > 0 {
		screen.Field("Was called", "%s", strings.Join(r.FormerNames, ", "))
	}
	if !r.RetiredAt.IsZero() {
		screen.Field("Retired", "by %s at %s; reason: %s", r.RetiredBy, r.RetiredAt, r.RetiredReason)
	}
	showSettings(screen, r.Settings())
	if len(changes) == 0 {
		screen.Line("Nobody changed its settings.")
		return
	}
	screen.Blank()
	t := render.NewList("Changed", "By", "Reason", "Name", "Read from", "Links", "Duplicates", "Unsigned", "Main line", "Position>")
	for _, c := range changes {
		t.Add(c.RecordedAt, c.Actor, c.Reason, c.Repository, strings.Join(c.Settings.Addresses, ", "), string(c.Settings.Links), string(c.Settings.Duplicates),
			string(c.Settings.Unsigned), c.Settings.MainLine, c.Position)
	}
	screen.List(t)
}
