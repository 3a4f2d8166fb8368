package cli

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/config"
)

// app is what all commands share: the global flags, the ledger and the screens.
//
//	working   ledger, which does what the command asks for
//	reading   lookAt, a view of the tables
//	showing   screen for people, document for programs (when json is set), progress while it takes long
type app struct {
	system   System
	args     []string // of the command, see hideAddresses
	settings config.Settings
	wrongEnv error             // why a variable of the environment cannot be used
	ledger   *gxpledger.Ledger // that the settings name
	recorded bool              // the command recorded a scan: whatever fails from then on, it ends with 0
	json     bool
	colour   render.ColourMode
	verbose  bool
	wait     time.Duration // how long a command waits for the log's server in all
	records  *atomic.Bool  // the command may have recorded something
	waiting  *atomic.Bool  // the log says what it waits for
	retrying func(projection string, err error)
	retried  *sync.Map // what noteRetry said last, by projection
}

func newApp(s System) *app {
	a := &app{system: s, records: &atomic.Bool{}, waiting: &atomic.Bool{}, retried: &sync.Map{}, retrying: func(string, error) {}, colour: render.ColourAuto}
	a.settings, a.wrongEnv = config.FromEnvironment(s.Env)
	return a
}

// screen is where a command shows its result to a person.
func (a *app) screen() *render.Screen {
	return render.NewScreen(a.system.Stdout, a.terminal(a.system.Stdout))
}

// notes is where a command says what is not its result.
func (a *app) notes() *render.Screen {
	return render.NewScreen(a.system.Stderr, a.terminal(a.system.Stderr))
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

// logger logs to standard error when --verbose is given. Its text form quotes control characters.
func (a *app) logger() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	if a.verbose {
		logger.SetOutput(redactingWriter{a.system.Stderr, &a.settings})
		logger.SetLevel(logrus.DebugLevel)
	}
	return logger
}
