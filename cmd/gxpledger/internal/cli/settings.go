package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// addressFlag is the flag --log or --db.
type addressFlag struct{ *config.Address }

var _ pflag.Value = addressFlag{}

// Set takes any text, since pflag would show one that was refused, with its password: checkSettings refuses it.
func (f addressFlag) Set(text string) error {
	*f.Address = config.Address(text)
	return nil
}

// String returns the address without passwords.
func (f addressFlag) String() string {
	if f.Address == nil {
		return "" // of a zero value, with which pflag compares defaults
	}
	return f.Address.String()
}

// Type names the value in the help.
func (addressFlag) Type() string { return "URL" }

// checkSettings refuses settings that nothing can be opened with, and a home that may be part of a repository,
// before any command begins.
func (a *app) checkSettings(cmd *cobra.Command) error {
	if err := a.configure(cmd); err != nil {
		return err
	}
	if a.wait <= 0 {
		return usage("--wait is %s: want a time above 0, such as 30s", a.wait)
	}
	if needsNoHome(cmd) {
		return a.settings.Check()
	}
	a.command = cmd.CommandPath()
	return a.openLedger(cmd.Context())
}

func (a *app) openLedger(ctx context.Context) (err error) {
	logger, progress := a.logger(), a.progress()
	var said atomic.Bool
	a.ledger, err = gxpledger.Open(ctx, gxpledger.Config{
		Home: a.settings.Home, Log: string(a.settings.Log), Tables: string(a.settings.Tables), Lease: a.settings.Lease, Wait: a.wait,
		RolePrefix: a.settings.RolePrefix, Application: a.command,
		Blocked: func(who string) { a.notes().Line("waiting for a lock on the server: %s", who) },
		Now:     a.system.Now, Patience: a.system.Patience, OpenedLog: a.system.Log, OpenedCursors: a.system.Cursors,
		Awaiting: a.waitFor, Lagging: a.noteBehind, Appending: func() { a.records.Store(true) },
		Observe: func(err error) { logger.Warn(err) }, Retrying: func(projection string, err error) { a.retrying(projection, err) },
		Projected: func(p run.Progress) {
			logger.WithFields(logrus.Fields{"projection": p.Projection, "build": p.Number, "position": p.Position}).Debug("page written")
		},
		Waiting: func(spent, wait time.Duration, why string) {
			a.waiting.Store(why != "")
			if why == "" {
				said.Store(false)
			} else if spent >= cmp.Or(a.system.Silence, time.Second) && !a.terminal(a.system.Stderr).Live && !said.Swap(true) {
				a.notes().Line("waiting for the log's server, %.0f s of %.0f: %s", spent.Seconds(), wait.Seconds(), why)
			}
			if why == "" {
				progress.Done()
				return
			}
			progress.Say(fmt.Sprintf("waiting for the log's server, %.0f s of %.0f: %s", spent.Seconds(), wait.Seconds(), why))
		},
	})
	return err
}

// closeLedger closes what a command used. Where it recorded a scan, what fails now is no failure of the command.
func (a *app) closeLedger(err error) error {
	if a.ledger == nil {
		return err
	}
	failure := a.ledger.Close()
	if a.recorded && failure != nil {
		a.notes().Line("the scan was recorded; cleaning up failed: %s", oneLine(failure.Error()))
		return err
	}
	return errors.Join(err, failure)
}

// wordSetting returns the exit code and the sentence of an error of package config, with the flags of the command line,
// and apart what to do.
func wordSetting(e *config.Error) (code int, text, remedy string) {
	code, text, remedy = exitFailed, e.Problem, e.Remedy
	if errors.Is(e, config.ErrInvalid) {
		code = exitUsage
	}
	switch {
	case errors.Is(e, config.ErrNoLog):
		remedy = "record something with gxpledger scan, or choose another folder with --home"
	case errors.Is(e, config.ErrLogLost):
		remedy = "restore it from a backup, give its address with --log if it is on a server, or start a new log in another folder with --home"
	case e.Setting == config.Home:
		remedy += " with --home or GXPLEDGER_HOME"
	case e.Setting == config.ExportTarget && code == exitUsage:
		text = "--into: " + text
	case errors.Is(e, config.ErrExportExists):
		remedy += ", or replace it with --force if gxpledger replay created it"
	case code == exitUsage && e.Setting == config.Log:
		text, remedy = "--log: "+text, remedy+"; without --log, the log is the SQLite file in --home FOLDER"
	case code == exitUsage && e.Setting == config.Tables:
		text, remedy = "--db: "+text, remedy+"; without --db, the tables are the SQLite file in --home FOLDER"
	}
	if remedy != "" {
		text += ": " + remedy
	}
	return code, text, remedy
}

// waitLine is what a command writes to standard error, with --json, when it waits for others.
type waitLine struct {
	Waiting string    `json:"waiting"`
	Since   time.Time `json:"since"`
	Limit   string    `json:"limit"`
}

// waitFor says what is waited for, since when and for how long at most, once it takes long: at a terminal until done is called,
// elsewhere in one line.
func (a *app) waitFor(what string) (done func()) {
	const pace = time.Second
	what = a.redact(what)
	live, since := a.terminal(a.system.Stderr).Live && !a.json, a.system.Now().UTC()
	progress, tick, stop := a.progress(), time.NewTicker(cmp.Or(a.system.Silence, pace)), make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		told := false
		for {
			select {
			case <-tick.C:
				switch {
				case a.waiting.Load(): // what the log says is more
				case live:
					progress.Say(fmt.Sprintf("waiting for %s since %s, at most %s in all", what, render.Time(since), a.wait))
				case told:
				case a.json:
					told = true
					_ = render.Line(a.system.Stderr, waitLine{what, since, a.wait.String()}) // what cannot be written is no failure
				default:
					told = true
					a.notes().Line("waiting for %s since %s, at most %s in all", what, since, a.wait)
				}
			case <-stop:
				return
			}
		}
	})
	return func() {
		tick.Stop()
		close(stop)
		telling.Wait()
		progress.Done()
	}
}

// noteRetry says on standard error what fails and is tried again, once until it fails otherwise.
func (a *app) noteRetry(projection string, err error) {
	text := fmt.Sprintf("projection %s: %s; trying again", projection, oneLine(err.Error()))
	if projection == "" {
		text = fmt.Sprintf("the log: %s; trying again", oneLine(err.Error()))
	}
	if before, told := a.retried.Swap(projection, text); !told || before != text {
		a.notes().Line("%s", a.redact(text))
	}
}

// noteBehind says on standard error that tables are behind the log.
func (a *app) noteBehind(err error) {
	if errors.Is(err, projections.ErrPaused) {
		a.notes().Line("the tables are behind the log: %s", err.Error())
		return
	}
	a.notes().Line("%s: see gxpledger projections status", oneLine(err.Error()))
}

// hideAddresses removes from a text the arguments that may be addresses with a password: errors about a command that was
// called wrongly repeat what was given.
func hideAddresses(text string, args []string) string {
	const hidden = "(an address, not repeated since it may hold a password)"
	for _, arg := range args {
		_, value, _ := strings.Cut(arg, "=")
		for _, part := range []string{arg, value} {
			if !gitrepo.HidesAddress(part) {
				continue
			}
			for _, form := range []string{strconv.Quote(part), part, oneLine(part), strings.TrimLeft(part, "-")} {
				text = strings.ReplaceAll(text, form, hidden)
			}
		}
	}
	return text
}

// redact removes the passwords of all addresses from a text.
func (a *app) redact(text string) string {
	return hideAddresses(a.settings.Tables.Redact(a.settings.Log.Redact(text)), a.args)
}
