package cli

import (
	"cmp"
	"context"
	"io"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// logFlags are what a person chooses of the log on standard error. It is about operations: never a content of a file, never a secret.
type logFlags struct {
	format  *choice
	level   *choice
	verbose bool
}

const (
	logOff  = "off"
	logText = "text"
	logJSON = "json"
)

func newLogFlags() logFlags {
	return logFlags{format: optionally(logText, logJSON), level: optionally(logOff, "error", "warn", "info", "debug")}
}

func (l *logFlags) add(flags *pflag.FlagSet) {
	addSetting(flags, "logging.level", l.level)
	addSetting(flags, "logging.format", l.format)
	addSetting(flags, "logging.verbose", &l.verbose)
}

// least is the level that the flags ask for, or else that of a command that logs without being asked.
func (l *logFlags) least(unasked logrus.Level) logrus.Level {
	switch {
	case l.level.value == logOff:
		return logrus.PanicLevel // which nothing has
	case l.level.value != "":
		level, err := logrus.ParseLevel(l.level.value)
		if err != nil {
			return logrus.DebugLevel // not reached: each word is a level
		}
		return level
	case l.verbose:
		return logrus.DebugLevel
	case l.format.value != "":
		return logrus.InfoLevel
	}
	return unasked
}

// logger logs to standard error what the flags ask for. Every line names the operation.
func (a *app) logger() *logrus.Entry { return a.loggerFrom(logrus.PanicLevel) }

// warnings is a logger of what an operator must see without asking for it.
func (a *app) warnings() *logrus.Entry { return a.loggerFrom(logrus.WarnLevel) }

func (a *app) loggerFrom(unasked logrus.Level) *logrus.Entry {
	logger := logrus.New()
	logger.SetLevel(a.log.least(unasked))
	logger.SetOutput(a.system.Stderr)
	if logger.GetLevel() == logrus.PanicLevel {
		logger.SetOutput(io.Discard)
	}
	const milliseconds = "2006-01-02T15:04:05.000Z07:00"
	var form logrus.Formatter = &logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: milliseconds}
	if a.log.format.value == logJSON {
		form = &logrus.JSONFormatter{DisableHTMLEscape: true, TimestampFormat: milliseconds}
	}
	logger.SetFormatter(harmlessFormatter{form, a.system.Now, a.redact})
	return logger.WithField("operation", operationOf(a.command))
}

// logsJSON reports whether standard error is a log for programs.
func (a *app) logsJSON() bool {
	return a.log.format.value == logJSON && a.log.least(logrus.InfoLevel) > logrus.PanicLevel
}

// operationOf is the path of a command without the name of the program.
func operationOf(command string) string {
	_, operation, _ := strings.Cut(command, " ")
	return cmp.Or(operation, "help")
}

// describe adds to the line of the operation.
func (a *app) describe(fields logrus.Fields) { maps.Copy(a.described, fields) }

// logOperation writes the one line of a command that ended: what, how long, and the outcome.
func (a *app) logOperation(ctx context.Context, cmd *cobra.Command, started time.Time, err error) {
	a.command = cmd.CommandPath()
	fields := logrus.Fields{"duration_ms": a.system.Now().Sub(started).Milliseconds(), "exit": exitDone, "outcome": "done"}
	maps.Copy(fields, a.described)
	entry := a.logger()
	if err == nil {
		entry.WithFields(fields).Info("operation ended")
		return
	}
	code, text := a.explain(ctx, err)
	fields["exit"] = code
	if code == exitFindings {
		fields["outcome"] = "findings"
		entry.WithFields(fields).Info("operation ended")
		return
	}
	if _, said := a.described["outcome"]; !said {
		fields["outcome"] = "failed"
	}
	if code == exitUsage {
		fields["outcome"] = "wrong usage"
	}
	fields["error"], fields["reason"] = text, reasonOf(err)
	entry.WithFields(fields).Error("operation failed")
}

// reasonOf is the code of an error, one of a few, for labels and fields.
func reasonOf(err error) string {
	if known := causeOf(err); known != nil {
		return known.code
	}
	return "other"
}

// describeScan adds the outcome of a scan to the line of the operation.
func (a *app) describeScan(d gxpledger.ScanReport) {
	fields := logrus.Fields{"outcome": d.Outcome, "attempts": d.Attempts, "position": uint64(d.Position)}
	if d.Head != nil {
		fields["repository"], fields["commit"] = d.Repository.Name, d.Source.Commit
		if d.Position > 0 {
			fields["scan"] = d.Number
		}
	}
	if d.Code != "" {
		fields["code"], fields["violations"] = d.Code, d.Total
	}
	a.describe(fields)
}

// harmlessFormatter formats lines without passwords, tokens and line breaks, by the clock of the engine.
type harmlessFormatter struct {
	form   logrus.Formatter
	now    func() time.Time
	redact func(string) string
}

// Format implements [logrus.Formatter]. Texts are cleaned before a form may escape what is looked for.
func (f harmlessFormatter) Format(entry *logrus.Entry) ([]byte, error) {
	clean := *entry
	clean.Time, clean.Message, clean.Data = f.now().UTC(), f.clean(entry.Message), make(logrus.Fields, len(entry.Data))
	for name, value := range entry.Data {
		switch v := value.(type) {
		case string:
			value = f.clean(v)
		case error:
			value = f.clean(v.Error())
		case interface{ String() string }:
			value = f.clean(v.String())
		}
		clean.Data[name] = value
	}
	return f.form.Format(&clean)
}

// userInfo is what is before the host of an address.
var userInfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"'@]*@`)

func (f harmlessFormatter) clean(text string) string {
	text = render.Text(userInfo.ReplaceAllString(f.redact(oneLine(text)), "${1}...@"))
	if len(rosie.FindSecrets([]byte(text), 1)) > 0 {
		return "(not logged, since it seems to hold a key or a token)"
	}
	return text
}

// noteWriter makes a line of the log of each line that is written to it.
type noteWriter struct{ app *app }

// Write logs whole lines.
func (w noteWriter) Write(p []byte) (int, error) {
	entry := w.app.logger()
	for line := range strings.Lines(string(p)) {
		if line = strings.TrimSpace(line); line != "" {
			entry.Log(min(logrus.WarnLevel, entry.Logger.GetLevel()), line) // a level that is written, whatever was asked for
		}
	}
	return len(p), nil
}

// notes is where a command writes what is not its result.
func (a *app) notes() *render.Screen {
	if a.logsJSON() {
		return render.NewScreen(noteWriter{a}, render.Terminal{})
	}
	return render.NewScreen(a.system.Stderr, a.terminal(a.system.Stderr))
}
