package cli

import (
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/config"
)

// addSetting adds the flag of a setting, whose help is that of the table of settings, to the flags of a command.
func addSetting(flags *pflag.FlagSet, key string, target any) {
	d := config.Define(key)
	switch to := target.(type) {
	case *string:
		flags.StringVar(to, d.Flag, "", d.Usage())
	case *[]string:
		flags.StringArrayVar(to, d.Flag, nil, d.Usage())
	case *bool:
		flags.BoolVar(to, d.Flag, false, d.Usage())
	case *time.Duration:
		preset, _ := time.ParseDuration(d.Default) // none is 0
		flags.DurationVar(to, d.Flag, preset, d.Usage())
	case pflag.Value:
		flags.Var(to, d.Flag, d.Usage())
	}
}

// own marks a flag that has the name of a setting and is another thing.
const own = "own"

func ownFlag(cmd *cobra.Command, name string) {
	_ = cmd.Flags().SetAnnotation(name, own, []string{}) // the flag is there
}

// needsNoHome reports whether a command neither opens nor creates a home, as do the hidden ones by which a shell completes a line.
func needsNoHome(cmd *cobra.Command) bool {
	switch name := cmd.Name(); {
	case !cmd.HasParent(),
		slices.Contains([]string{"version", "help", "completion", "manual", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, name):
		return true
	default:
		parent := cmd.Parent().Name()
		return parent == "config" || parent == "contract" || parent == "backup" && name == "verify"
	}
}

// configure resolves the settings of a command from its flags, the environment and the configuration file, and sets them.
func (a *app) configure(cmd *cobra.Command) error {
	in := config.Inputs{Flag: givenFlag(cmd.Flags()), Variable: a.system.Env}
	values, wrong := config.Resolve(in)
	if settings, err := config.NewSettings(values); err == nil {
		a.settings = settings // or an error could show a password
	}
	if wrong == nil && (!needsNoHome(cmd) || cmd.Name() == "print") {
		if in.File, wrong = a.readConfig(cmd); wrong == nil {
			values, wrong = config.Resolve(in)
		}
	}
	settings, err := config.NewSettings(values)
	a.settings, a.values = settings, values
	if err := errors.Join(wrong, err); err != nil {
		return errors.Join(a.settings.Check(), err)
	}
	for _, v := range values {
		flag := cmd.Flags().Lookup(v.Flag)
		if flag != nil && flag.Annotations[own] != nil {
			continue
		}
		if v.Source.Origin != config.FromFile && v.Source.Origin != config.FromVariable || flag == nil || v.Flag == "home" || v.Form == config.URL {
			continue
		}
		for _, text := range v.Texts {
			if err := flag.Value.Set(text); err != nil {
				return usage("%s is %q: want %s", v.Source, text, expects(flag))
			}
		}
	}
	return nil
}

func givenFlag(flags *pflag.FlagSet) func(name string) ([]string, bool) {
	return func(name string) ([]string, bool) {
		flag := flags.Lookup(name)
		if flag == nil || !flag.Changed {
			return nil, false
		}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			return list.GetSlice(), true
		}
		if at, ok := addressOf(flag.Value); ok {
			return []string{string(at)}, true
		}
		return []string{flag.Value.String()}, true
	}
}

// addressOf returns the address that a flag was given, with its password.
func addressOf(value pflag.Value) (config.Address, bool) {
	if inner, ok := value.(filled); ok {
		value = inner.Value
	}
	if at, ok := value.(addressFlag); ok {
		return *at.Address, true
	}
	return "", false
}

// readConfig reads the configuration file that was named, or that of the home.
func (a *app) readConfig(cmd *cobra.Command) (config.FileValues, error) {
	path := a.configFile
	if named, _ := a.system.Env(config.FileVariable); path == "" && !isBlank(named) {
		path = named
	}
	if path != "" {
		return config.ReadFile(path)
	}
	return a.settings.FindFile(cmd.Context())
}

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the settings in force",
		Long: "Show the settings of this machine: flags go before variables of the environment, and those before gxpledger.yaml, the file\n" +
			"that --config names or that is in the home. Policies, keys and settings of repositories are recorded in the log.",
		Example: "  gxpledger config print --sources",
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newConfigPrint(a), newConfigSchema(a))
	return cmd
}

// settingDocument is one setting in config print --json.
type settingDocument struct {
	Key    string   `json:"key"`
	Values []string `json:"values"` // without passwords; none where nothing is set
	Source string   `json:"source"` // flag, variable, FILE:LINE, default, or not set
}

func newConfigPrint(a *app) *cobra.Command {
	sources := false
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print every setting, its value and where the value comes from",
		Long: "Print every setting with its value, and with --sources where the value comes from: a flag, a variable of the environment, a\n" +
			"line of a configuration file, or the default. Passwords are not shown. A file with a mistake is refused, with its line.",
		Example: "  gxpledger config print --sources\n  gxpledger config print --sources --config /etc/gxpledger.yaml",
		Args:    none,
		RunE:    func(*cobra.Command, []string) error { return a.printConfig(sources) },
	}
	cmd.Flags().BoolVar(&sources, "sources", false, "show where each value comes from")
	return cmd
}

func (a *app) printConfig(sources bool) error { //revive:disable-line:flag-parameter // a flag of the command
	documents := []settingDocument{}
	table := render.Table{Columns: []render.Column{{Title: "SETTING"}, {Title: "VALUE"}}}
	if sources {
		table.Columns = append(table.Columns, render.Column{Title: "SOURCE"})
	}
	for _, v := range a.values {
		d := settingDocument{Key: v.Key, Values: []string{}, Source: v.Source.String()}
		if shown := v.Shown(); shown != "" {
			d.Values = []string{shown}
			if v.Form == config.List {
				d.Values = v.Texts
			}
		} else {
			d.Source = "not set"
		}
		documents = append(documents, d)
		table.Add(v.Key, v.Shown(), d.Source)
	}
	return a.answer(documents, func(screen *render.Screen) { screen.Table(table) })
}

func newConfigSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the configuration file, for editors",
		Example: "  gxpledger config schema > gxpledger.schema.json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.JSONSchema()
			if err != nil {
				return err
			}
			_, err = a.system.Stdout.Write(append(schema, '\n'))
			return err
		},
	}
}
