package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections/query"
)

// asOfFlag is the flag --as-of, a point in time. The zero value is now.
type asOfFlag struct{ point query.Point }

var _ pflag.Value = (*asOfFlag)(nil)

// Set reads a point in time.
func (f *asOfFlag) Set(text string) (err error) {
	if f.point.ByCommitDate() && !strings.HasPrefix(text, "commit-date:") {
		return wrongValue("it excludes --as-of-commit-date: a view shows one point in time")
	}
	f.point, err = query.ParsePoint(text)
	if wrong, ok := errors.AsType[*query.PointError](err); ok {
		return wrongValue("%s", wrong.Want)
	}
	return err
}

// String returns the point as it was given.
func (f *asOfFlag) String() string { return f.point.String() }

// Type names the value in the help.
func (*asOfFlag) Type() string { return "TIME" }

// commitDateFlag is the flag --as-of-commit-date, which is another form of --as-of.
type commitDateFlag struct{ *asOfFlag }

// String returns the point as it was given.
func (f commitDateFlag) String() string {
	if f.asOfFlag == nil {
		return "" // of a zero value, with which pflag compares defaults
	}
	return f.asOfFlag.String()
}

// Set reads a time or a date.
func (f commitDateFlag) Set(text string) error {
	if !f.point.IsNow() && !f.point.ByCommitDate() {
		return wrongValue("it excludes --as-of: a view shows one point in time")
	}
	return f.asOfFlag.Set("commit-date:" + text)
}

// readOptions are the flags of a command that reads the tables.
type readOptions struct {
	app        *app
	repository string // by name or id; "" for all
	asOf       asOfFlag
	retired    bool // count retired repositories too
	every      bool // the environment names no default for --repository
}

// repositorySetting names the repository of commands that take --repository.
const repositorySetting = "repository"

func (o *readOptions) addRepository(cmd *cobra.Command) {
	if o.every {
		cmd.Flags().StringVar(&o.repository, "repository", "", "only this repository, by `NAME`, address or id")
		ownFlag(cmd, "repository")
		return
	}
	addSetting(cmd.Flags(), repositorySetting, &o.repository)
}

func (o *readOptions) add(cmd *cobra.Command) {
	o.addRepository(cmd)
	cmd.Flags().Var(&o.asOf, "as-of", "show the state as of `TIME`: a date, timestamp, pos:N, scan:N, commit:SHA, or a tag or branch that was scanned (default: now)")
	cmd.Flags().Var(commitDateFlag{&o.asOf}, "as-of-commit-date", "show the last completed scan of a commit made at or before `TIME`, as git claims, and what was recorded by then")
}

func (o *readOptions) addRetired(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.retired, "retired", false, "include retired repositories (default: only one that --repository names)")
}

// withHistory are the projections that most commands need.
var withHistory = []string{gxpledger.Artifacts, gxpledger.History} //nolint:gochecknoglobals // a constant list

// view is the state of the record that a command shows.
type view struct {
	*gxpledger.View

	app          *app
	repository   string // that it is limited to, as named; "" for all
	repositoryID string
	several      bool // it shows more than one repository
}

// read opens a view for the time of one call of use. Tables of projections that it does not need may be behind.
func (o *readOptions) read(ctx context.Context, needs []string, use func(*view) error) (err error) {
	v, err := o.open(ctx, needs)
	if err != nil {
		return o.nameVariable(asked(err))
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	if o.repository != "" {
		found, err := v.Find(ctx, o.repository)
		if err != nil {
			return o.nameVariable(v.asked(err))
		}
		v.repositoryID = found.ID
	}
	return v.asked(use(v))
}

// nameVariable adds to an error about a repository that is not there that the environment names it.
func (o *readOptions) nameVariable(worded error) error {
	fault, ok := errors.AsType[*faultError](worded)
	unknown, isUnknown := errors.AsType[*query.UnknownError](worded)
	at := slices.IndexFunc(o.app.values, func(v config.Value) bool { return v.Key == repositorySetting })
	if !ok || !isUnknown || unknown.What != "repository" || o.every || at < 0 {
		return worded
	}
	if from := o.app.values[at].Source; from.Origin == config.FromVariable || from.Origin == config.FromFile {
		return failed(worded, "%s; %s names it", fault.text, from)
	}
	return worded
}

func (o *readOptions) open(ctx context.Context, needs []string) (*view, error) {
	progress := o.app.progress()
	defer progress.Done()
	opened, err := o.app.ledger.View(ctx, gxpledger.ViewOptions{
		AsOf: o.asOf.String(), Repository: o.repository, Projections: needs, Progress: replayProgress(progress),
	})
	if err != nil {
		return nil, err
	}
	return &view{View: opened, app: o.app, repository: o.repository, several: o.repository == "" && len(opened.Shown.Scans) > 1}, nil
}

func replayProgress(progress *render.Progress) func(at, of eventstore.Position) {
	return func(at, of eventstore.Position) {
		progress.Say(fmt.Sprintf("replaying the log: position %d of %d", at, of))
	}
}

// asked turns the errors of queries into the sentences that users read. What a view of the past lacks, the present may have.
func (v *view) asked(err error) error {
	worded := asked(err)
	fault, ok := errors.AsType[*faultError](worded)
	if !v.IsAsOf() || !ok || !errors.Is(err, query.ErrUnknown) && !errors.Is(err, query.ErrEmpty) {
		return worded
	}
	if errors.Is(err, query.ErrEmpty) {
		return failed(err, "no scan was recorded as of %s, position %d of %s", render.PointWords(v.Shown.ResolvedPoint), v.Shown.Position, render.Time(v.Shown.RecordedAt))
	}
	return failed(err, "%s; this is as of %s, position %d of %s", fault.text, render.PointWords(v.Shown.ResolvedPoint), v.Shown.Position, render.Time(v.Shown.RecordedAt))
}

// asked turns the errors of queries into the sentences that users read.
func asked(err error) error {
	if wrong, ok := errors.AsType[*query.PointError](err); ok {
		return usage("%s", wrong.Error())
	}
	if ambiguous, ok := errors.AsType[*query.AmbiguousError](err); ok {
		return usage("%s, with the flag --%s", ambiguous.Error(), ambiguous.What)
	}
	if unknown, ok := errors.AsType[*query.UnknownError](err); ok {
		text := "there is " + unknown.Error()
		if len(unknown.Near) == 0 && unknown.Hint == "" {
			text += "; no known name is similar"
		}
		return failed(err, "%s", text)
	}
	if errors.Is(err, query.ErrEmpty) {
		return failed(err, "no scan was recorded yet: record one with gxpledger scan")
	}
	return err
}

// headDocument is what every document begins with: which state of the record it shows (I16), as [render.Head] does on a
// screen.
type headDocument struct {
	AsOf query.Shown `json:"as_of"`
}

func (v *view) head() headDocument { return headDocument{AsOf: v.Shown} }

// answer writes a document with --json, and otherwise the screen that show fills below its head.
func (v *view) answer(document any, show func(*render.Screen)) error {
	if v.app.json {
		return render.Document(v.app.system.Stdout, document)
	}
	screen := v.screen(v.app.system.Stdout)
	show(screen)
	return screen.Err()
}

// screen returns a screen that begins with the head.
func (v *view) screen(w io.Writer) *render.Screen {
	screen := render.NewScreen(w, render.Detect(w, v.app.colour, v.app.system.Env))
	render.Head(screen, v.Shown)
	screen.Blank()
	return screen
}

// noteHead writes the head to standard error, where standard output is for something else.
func (v *view) noteHead() error {
	notes := v.app.notes()
	render.Head(notes, v.Shown)
	return notes.Err()
}

// of names a repository where a view shows several.
func (v *view) of(repository string) string {
	if v.several {
		return repository
	}
	return ""
}

// leaveOutRetired narrows v to the repositories that count, and reports whether retired ones are not among them.
func (o *readOptions) leaveOutRetired(v *view) bool {
	without := o.repository == "" && !o.retired
	if without {
		v.Shown.LeaveOutRetired()
	}
	return without
}

// judged returns the error of an answer that would be about nothing: because no repository was selected, or because no
// scan of one of them ever completed, so that nothing is known of it. It says whether something is known of others.
func (v *view) judged() (others bool, err error) {
	if len(v.Shown.Scans) == 0 {
		if v.Shown.RetiredLeftOut > 0 {
			return false, failed(nil, "every repository is retired: name one with --repository, or add --retired")
		}
		return false, query.ErrEmpty
	}
	var never []string
	remedy := "record one with gxpledger scan"
	for _, s := range v.Shown.Scans {
		if s.Scan > 0 {
			continue
		}
		never = append(never, fmt.Sprintf("%q", s.Repository))
		if s.Since != nil {
			remedy = "see gxpledger scans --failed"
		}
	}
	if len(never) == 0 {
		return true, nil
	}
	return len(never) < len(v.Shown.Scans), failed(nil, "no scan of %s completed, so nothing is known of %s: %s",
		strings.Join(never, ", "), render.Verb(len(never), "it", "them"), remedy)
}

// incomplete reports whether the last scan of a repository that is shown did not complete.
func (v *view) incomplete() bool {
	return slices.ContainsFunc(v.Shown.Scans, func(s query.ShownScan) bool { return !s.Completed() })
}
