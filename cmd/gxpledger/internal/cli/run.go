package cli

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/internal/config"
)

// The exit codes. They are documented and stable.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitFindings = 3
)

// System is the environment of the command line.
type System struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Env looks up an environment variable.
	Env func(name string) (string, bool)
	// Now is the engine's clock.
	Now func() time.Time
	// Patience is how long a scan waits for tables that make no progress; 0 means a minute.
	Patience time.Duration
	// Silence is how long a command waits for others before it says so; 0 means a second.
	Silence time.Duration
	// Log is what commands use in place of the log in the home, for tests of what they ask a log. They do not close it.
	Log eventstore.Log
	// Cursors is what commands use in place of the store of cursors beside the log. They do not close it.
	Cursors feed.Cursors
	// Terminal is what Stdout and Stderr can show, for tests of what a person sees; nil for what they are.
	Terminal *render.Terminal
}

// Run runs one command in this process's environment and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	system := System{Stdin: stdin, Stdout: stdout, Stderr: stderr, Env: os.LookupEnv, Now: time.Now} //nolint:forbidigo // the one place where the wall clock enters
	return system.Run(ctx, args)
}

// Run runs one command and returns its exit code.
func (s System) Run(ctx context.Context, args []string) int {
	a := newApp(s)
	a.args = args
	root := newRoot(a, args) //nolint:contextcheck // cobra hands ctx to each command
	root.SetArgs(args)
	root.SetIn(s.Stdin)
	root.SetOut(s.Stdout)
	root.SetErr(s.Stderr)
	started := s.Now()
	cmd, err := root.ExecuteContextC(ctx)
	err = a.closeLedger(err)
	a.logOperation(ctx, cmd, started, err)
	return a.report(ctx, err)
}

// newRoot builds the tree of commands. A new command is one line here.
func newRoot(a *app, args []string) *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "gxpledger",
		Short: "Record and replay the compliance artifacts of git repositories",
		Long: "Record the compliance artifacts below .gxp/ of a git revision in an append-only log. Tables built from the log show the\n" +
			"present and every earlier state.",
		Example: "  gxpledger scan                      record HEAD of the repository in this folder\n" +
			"  gxpledger scan --help               all options of a scan",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version && len(args) == 0 {
				return a.showVersion()
			}
			return chooseCommand(cmd, args)
		},
		// The only one: a command with one of its own would go without this.
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := refuseEmptyArguments(cmd, args); err != nil {
				return err
			}
			return a.checkSettings(cmd)
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		a.json = a.json || asksForJSON(args)
		return wrongFlag(cmd, err)
	})
	root.SetHelpCommand(helpCommand(root))
	flags := root.PersistentFlags()
	addSetting(flags, "home", &a.settings.Home)
	flags.Lookup("home").DefValue = a.settings.HomeFolder() // the value stays empty, since it was not given
	flags.StringVar(&a.configFile, config.FileFlag, "", "`FILE` with settings (environment: "+config.FileVariable+"; default: "+config.FileName+" in the home, where there is one)")
	addSetting(flags, "log.url", addressFlag{&a.settings.Log})
	addSetting(flags, "tables.url", addressFlag{&a.settings.Tables})
	addSetting(flags, "role-prefix", &a.settings.RolePrefix)
	flags.BoolVar(&a.json, "json", false, "write JSON to standard output")
	flags.Var(&a.colour, "color", "colours: auto, always or never")
	a.log.add(flags)
	addSetting(flags, "wait", &a.wait)
	flags.BoolP("help", "h", false, "show help")
	root.Flags().BoolVar(&version, "version", false, "print version information")
	root.AddCommand(newInit(a), newScan(a), newCheck(a), newNew(a), newScans(a), newShow(a), newHistory(a), newDiff(a), newSearch(a), newExport(a), newGaps(a), newMatrix(a), newReplay(a), newAudit(a), newContent(a),
		newLog(a), newProjections(a), newVerify(a), newRepository(a), newKeys(a), newRelay(a), newMigrate(a), newServe(a), newConfig(a), newContract(a), newBackup(a), newDoctor(a), newVersion(a), newCompletion(a), newManual())
	refuseEmptyFlags(root)
	return root
}

// helpCommand is "gxpledger help COMMAND".
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
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
	code, text := a.explain(ctx, err)
	if text != "" && a.json {
		return a.reportJSON(ctx, code, text, err)
	}
	if text != "" && !a.logsJSON() { // which has it
		a.notes().Line("%s %s", render.Bad.Of("gxpledger:"), a.redact(text))
	}
	return code
}

// explain returns the exit code and the sentence of an error, in view of what may have been recorded.
func (a *app) explain(ctx context.Context, err error) (code int, text string) {
	code, text = explain(ctx, err)
	if text == interrupted && a.records.Load() {
		text = interruptedAfterAct
	}
	return code, text
}

// app is what all commands share: the global flags, the ledger and the screens.
//
//	working   ledger, which does what the command asks for
//	reading   lookAt, a view of the tables
//	showing   screen for people, document for programs (when json is set), progress while it takes long
type app struct {
	system   System
	args     []string // of the command, see hideAddresses
	command  string   // its name, by which a server knows it
	settings config.Settings
	// configFile is the configuration file that was named, and values are all settings with where they come from: see configure.
	configFile string
	values     []config.Value
	ledger     *gxpledger.Ledger // that the settings name
	recorded   bool              // the command recorded a scan: whatever fails from then on, it ends with 0
	json       bool
	colour     render.ColourMode
	log        logFlags
	described  logrus.Fields // what the line of the operation says, beside its outcome
	wait       time.Duration // how long a command waits for the log's server in all
	records    *atomic.Bool  // the command may have recorded something
	waiting    *atomic.Bool  // the log says what it waits for
	retrying   func(projection string, err error)
	retried    *sync.Map // what noteRetry said last, by projection
}

func newApp(s System) *app {
	return &app{system: s, log: newLogFlags(), described: logrus.Fields{}, records: &atomic.Bool{}, waiting: &atomic.Bool{}, retried: &sync.Map{}, retrying: func(string, error) {}, colour: render.ColourAuto}
}

// screen is where a command shows its result to a person.
func (a *app) screen() *render.Screen {
	return render.NewScreen(a.system.Stdout, a.terminal(a.system.Stdout))
}

// answer writes a document with --json, and otherwise the screen that show fills.
func (a *app) answer(document any, show func(*render.Screen)) error {
	if a.json {
		return render.Document(a.system.Stdout, document)
	}
	screen := a.screen()
	show(screen)
	return screen.Err()
}

// progress tells a person at a terminal what takes so long.
func (a *app) progress() *render.Progress {
	return render.NewProgress(a.system.Stderr, a.terminal(a.system.Stderr), a.system.Now)
}

// terminal is what a writer can show.
func (a *app) terminal(w io.Writer) render.Terminal {
	if a.system.Terminal != nil {
		return *a.system.Terminal
	}
	return render.Detect(w, a.colour, a.system.Env)
}
