package cli

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// The exit codes. They are documented and stable.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitFindings = 3
)

// System is what the command line needs of the world.
type System struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Env looks up an environment variable.
	Env func(name string) (string, bool)
	// Now is the engine's clock.
	Now func() time.Time
}

// Run runs one command in this process's environment and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	system := System{Stdin: stdin, Stdout: stdout, Stderr: stderr, Env: os.LookupEnv, Now: time.Now} //nolint:forbidigo // the one place where the wall clock enters
	return system.Run(ctx, args)
}

// Run runs one command and returns its exit code.
func (s System) Run(ctx context.Context, args []string) int {
	a := newApp(s)
	root := newRoot(a) //nolint:contextcheck // cobra hands ctx to each command
	root.SetArgs(args)
	root.SetIn(s.Stdin)
	root.SetOut(s.Stdout)
	root.SetErr(s.Stderr)
	return a.report(ctx, root.ExecuteContext(ctx))
}

// newRoot builds the tree of commands. A new command is one line here.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "gxpledger",
		Short: "Records and replays the compliance artifacts of git repositories",
		Long: "gxpledger reads the .gxp directory of a git revision and appends what it finds to a log that nothing is ever\n" +
			"removed from. Tables that are derived from the log show the present and every earlier state.",
		Example: "  gxpledger scan                      record HEAD of the repository in this folder\n" +
			"  gxpledger scan --help               all about scans",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          chooseCommand,
		// The only one: a command with one of its own would go without this.
		PersistentPreRunE: a.checkLog,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(wrongFlag)
	root.SetHelpCommand(helpCommand(root))
	flags := root.PersistentFlags()
	flags.StringVar(&a.home, "home", a.home, "`FOLDER` of the log and the tables (environment: GXPLEDGER_HOME)")
	flags.Var(&a.log, "log", "`URL` of the log, postgres://USER@HOST/DATABASE or esdb://USER:PASSWORD@HOST (environment: GXPLEDGER_LOG; default: the SQLite file in --home)")
	flags.Var(&a.db, "db", "`URL` of the tables, postgres://USER@HOST/DATABASE?schema=NAME (environment: GXPLEDGER_DB; default: the SQLite file in --home)")
	flags.BoolVar(&a.json, "json", false, "write JSON to standard output")
	flags.Var(&a.colour, "color", "use colours: auto, always or never")
	flags.BoolVar(&a.verbose, "verbose", false, "log what is done to standard error")
	flags.BoolP("help", "h", false, "show help")
	root.AddCommand(newScan(a), newRetire(a), newMigrate(a), newServe(a), newVersion(a))
	root.AddCommand(readingCommands(a)...)
	return root
}

// helpCommand is "gxpledger help COMMAND".
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show help on a command",
		Example: "  gxpledger help scan",
		RunE: func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return chooseCommand(root, args)
			}
			return found.Help()
		},
	}
}

// report turns the error of a command into an exit code, and one sentence on standard error.
func (a *app) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	code, text := explain(ctx, err)
	if text != "" {
		screen := render.NewScreen(a.system.Stderr, render.Detect(a.system.Stderr, a.colour, a.system.Env))
		screen.Line("%s %s", render.Bad.Of("gxpledger:"), a.db.hide(a.log.hide(text)))
	}
	return code
}
