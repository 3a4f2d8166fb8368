package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/projections"
)

// scanOptions are the flags of scan.
type scanOptions struct {
	app          *app
	location     string
	ref          string
	worktree     bool
	allowFileURL bool
	name         string
	accept       bool
	rewind       bool
	history      *choice
	since        string
	firstParent  bool
	links        *choice
	duplicates   *choice
	unsigned     *choice
	keyFiles     []string
	withoutKnown bool
	actor        string
	reason       string
	limits       limits
	allowSecrets bool
	all          bool
}

func newScanOptions(a *app) *scanOptions {
	return &scanOptions{
		app:        a,
		history:    optionally("commits", "tags"),
		links:      optionally(string(domain.LinksStrict), string(domain.LinksFlag)),
		duplicates: optionally(string(domain.DuplicatesReject), string(domain.DuplicatesUpdate)),
		unsigned:   optionally(string(domain.UnsignedUnverified), string(domain.UnsignedInvalid)),
	}
}

func newScan(a *app) *cobra.Command {
	o := newScanOptions(a)
	cmd := &cobra.Command{
		Use:   "scan [REPOSITORY|URL]",
		Short: "Record a revision of a repository",
		Long: "Read the .gxp directory of one revision and record new, changed, removed and unreadable artifacts, all or nothing. The\n" +
			"revision is read from the objects of git, so uncommitted files are ignored. A scan that a policy refuses leaves one\n" +
			"event, which lists every violation. With --history, record each commit of the past that changed .gxp, the oldest first.",
		Example: "  gxpledger scan                                       HEAD of the repository in this folder\n" +
			"  gxpledger scan ../product --ref v1.4                 a tag, branch or commit of another\n" +
			"  gxpledger scan https://example.org/team/product.git  fetched, and removed after the scan\n" +
			"  gxpledger scan --worktree --reason \"try out\"         the files on disk\n" +
			"  gxpledger scan --evidence-key ci.pem                 verify signatures by this key too\n" +
			"  gxpledger scan --history --since v1.0                each commit from v1.0 on that changed .gxp\n" +
			"  gxpledger scan --links flag                          record broken links instead of failing",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "repository", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error of writing, not the end of a scan
			if o.history.value != "" {
				return o.runHistory(cmd.Context())
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	o.addReading(flags)
	flags.BoolVar(&o.rewind, "allow-rewind", false, "let history go back or sideways on the main line, or be unknown; needs --reason")
	flags.Var(o.history, "history", "scan each commit that changed .gxp and is not recorded yet, the oldest first, or with --history=tags each tag")
	flags.Lookup("history").NoOptDefVal = "commits"
	flags.StringVar(&o.since, "since", "", "with --history, `REVISION` to begin with (default: the first commit)")
	flags.BoolVar(&o.firstParent, "first-parent", false, "with --history, leave out commits of branches that were merged (default on the main line)")
	flags.BoolVar(&o.withoutKnown, "without-known-keys", false, "scan though a key is missing that verified evidence before, which makes it unverifiable")
	flags.BoolVar(&o.accept, "accept-address", false, "let a known repository be read from this address too, and record it; needs --reason")
	flags.StringVar(&o.actor, "actor", "", "`NAME` of the actor, recorded as a claim (default: the user of the operating system)")
	flags.StringVar(&o.reason, "reason", "", "`REASON` for the scan")
	flags.BoolVar(&o.all, "all", false, "list every violation of a scan that is refused, however many are of one kind")
	return cmd
}

// addReading adds the flags that say what is read, and by which rules.
func (o *scanOptions) addReading(flags *pflag.FlagSet) {
	flags.StringVar(&o.ref, "ref", "", "`REVISION` to scan: branch, tag, commit or refs/... (default HEAD)")
	flags.BoolVar(&o.worktree, "worktree", false, "scan the files on disk")
	flags.BoolVar(&o.allowFileURL, "allow-file-url", false, "accept file:// addresses")
	flags.StringVar(&o.name, "name", "", "`NAME` of the repository in the log (default: the one with this address, or else the address of its origin, or its path)")
	flags.Var(o.links, "links", "policy for broken links: strict fails the scan, flag records them (default: the repository's, or else strict)")
	flags.Var(o.duplicates, "duplicates", "policy for a gxp_id in two files: reject fails the scan, update keeps the last file (default: the repository's, or else reject)")
	flags.BoolVar(&o.allowSecrets, "allow-secrets", false, "record files that seem to contain a key or token, permanently")
	flags.Var(o.unsigned, "unsigned-packages", "policy for an evidence package without a signature: unverified or invalid (default: the repository's, or else unverified)")
	flags.StringArrayVar(&o.keyFiles, "evidence-key", nil, "`FILE` with a public key (PEM, P-256) that verifies evidence in this scan too, beside those of gxpledger keys; repeatable")
	flags.Var(&o.limits, "limit", "limit to raise or lower, such as files=500000 or bytes=1GiB; repeatable")
}

func (o *scanOptions) validate(args []string) error {
	o.location = "."
	if len(args) == 1 {
		o.location = args[0]
	}
	for flag, value := range map[string]string{"name": o.name, "actor": o.actor, "reason": o.reason} {
		if len(value) > longestFlag {
			return usage("the flag --%s has %d bytes: want at most %d", flag, len(value), longestFlag)
		}
	}
	switch {
	case strings.ContainsAny(o.name, "@?#%") && gitrepo.HidesAddress(o.name), len(rosie.FindSecrets([]byte(o.name), 1)) > 0:
		return usage("the name of --name may hold a password, and names are stored permanently: leave out user and password")
	case o.accept && o.reason == "":
		return usage("--accept-address changes the settings of the repository: give the --reason for it")
	case o.rewind && o.reason == "":
		return usage("--allow-rewind lets history go back on the main line: give the --reason for it")
	case o.history.value == "" && o.since != "":
		return usage("--since goes with --history: a scan reads one revision, --ref")
	case o.history.value == "" && o.firstParent:
		return usage("--first-parent goes with --history: a scan reads one revision, --ref")
	case o.history.value != "" && o.rewind:
		return usage("--allow-rewind and --history exclude each other: it is for one scan, so scan the revision alone that history goes back to, and its history then")
	case o.history.value != "" && o.worktree:
		return usage("--worktree and --history exclude each other: files on disk have no history")
	case o.worktree && o.ref != "":
		return usage("--worktree and --ref %s exclude each other: files on disk belong to no revision", o.ref)
	}
	return nil
}

func (o *scanOptions) run(ctx context.Context) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	progress := o.app.progress()
	request.Progress = func(p gxpledger.ScanProgress) { progress.Say(scanProgress(p)) }
	result, err := o.app.ledger.Scan(ctx, request)
	progress.Done()
	o.app.recorded = err == nil
	if result.Completed != nil || result.Failed != nil {
		o.app.describeScan(result.Report())
	}
	o.note(ctx, result)
	if err != nil {
		return o.failed(ctx, result, err)
	}
	if err := o.completed(result); err != nil {
		o.app.notes().Line("scan %d was recorded; its result could not be written: %s", result.Completed.Number, oneLine(err.Error()))
	}
	return nil
}

// request is what the flags ask for.
func (o *scanOptions) request() (gxpledger.ScanRequest, error) {
	keys, err := readKeys(o.keyFiles)
	return gxpledger.ScanRequest{
		Repository: o.location, Ref: o.ref, Worktree: o.worktree, AllowFileURL: o.allowFileURL, Name: o.name, AcceptAddress: o.accept,
		AllowRewind: o.rewind,
		Policy: domain.Policy{
			Links: domain.LinkPolicy(o.links.value), Duplicates: domain.DuplicatePolicy(o.duplicates.value),
			Unsigned: domain.UnsignedPolicy(o.unsigned.value), AllowSecrets: o.allowSecrets,
		},
		Keys: keys, WithoutKnownKeys: o.withoutKnown, Limits: o.limits.reading, MaxFetch: o.limits.fetch, Actor: o.actor, Reason: o.reason,
		TraceParent: o.app.variable("TRACEPARENT"), TraceState: o.app.variable("TRACESTATE"),
	}, err
}

func scanProgress(p gxpledger.ScanProgress) string {
	switch p.Step {
	case gxpledger.ScanOpening:
		return "opening the repository"
	case gxpledger.ScanFetching:
		return "fetching: " + p.Text
	case gxpledger.ScanListing:
		return fmt.Sprintf("listing: %d files", p.Done)
	case gxpledger.ScanReading:
		return fmt.Sprintf("reading: %d of %d", p.Done, p.Total)
	case gxpledger.ScanProjecting:
		return "updating the tables"
	case gxpledger.ScanRecording:
	}
	return "recording"
}

// note writes what a person should know of a scan beside its outcome to standard error.
func (o *scanOptions) note(ctx context.Context, r gxpledger.ScanResult) {
	notes := o.app.notes()
	if r.NotDrained != nil {
		notes.Line("failures of earlier scans in %s could not be recorded: %s", o.app.settings.SpoolFolder(), oneLine(r.NotDrained.Error()))
	}
	if r.DirtyUnknown != "" {
		notes.Line("it is unknown whether the work tree differs from the commit, because %s: the scan records it as changed", r.DirtyUnknown)
	}
	if r.RelationUnknown != "" && r.Completed != nil {
		head := r.Completed.Head
		notes.Line("it is unknown how commit %s relates to %s, which was scanned before, because %s", head.Source.Commit, head.Source.Previous, r.RelationUnknown)
	}
	if r.ClocksDiffer {
		notes.Line("the clocks differ: the log recorded the scan at %s, the clock here was at %s; the time of the log counts: synchronise the clocks",
			r.RecordedAt, r.Head().DecidedAt)
	}
	if r.NotProjected != nil {
		_, why := explain(context.WithoutCancel(ctx), r.NotProjected)
		what := "the failed scan"
		if r.Completed != nil {
			what = fmt.Sprintf("scan %d", r.Completed.Number)
		}
		notes.Line("%s was recorded; the tables do not show it yet: %s", what, why)
	}
	if r.Cleanup != nil {
		what := "the scan was recorded"
		if r.Completed == nil {
			what = "the scan failed"
		}
		notes.Line("%s; cleaning up failed: %s", what, oneLine(r.Cleanup.Error()))
	}
}

// readKeys reads the public keys that verify evidence.
func readKeys(files []string) ([]rosie.Key, error) {
	keys := make([]rosie.Key, 0, len(files))
	for _, file := range files {
		key, err := readKey(file, "--evidence-key")
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// readKey reads a public key from a file that was given to what.
func readKey(file, what string) (rosie.Key, error) {
	data, err := readSmall(file)
	if err != nil {
		return rosie.Key{}, failed(err, "cannot read the evidence key %s (%v): give %s a file with a public key", file, err, what)
	}
	key, err := rosie.ParseKey(data)
	if err != nil {
		return rosie.Key{}, failed(err, "the file %s of %s holds no key: %v", file, what, errors.Unwrap(err))
	}
	return key, nil
}

// readSmall reads a file of at most 64 KiB.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	const largest = 64 << 10
	if !info.Mode().IsRegular() || info.Size() > largest {
		return nil, fmt.Errorf("want a file of at most %d bytes", largest)
	}
	file, err := os.Open(path) //nolint:gosec // the operator named it
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	return io.ReadAll(io.LimitReader(file, largest))
}

// variable returns a variable of the environment, "" where it is not set.
func (a *app) variable(name string) string {
	value, _ := a.system.Env(name)
	return value
}

// completed shows a scan that was recorded.
func (o *scanOptions) completed(result gxpledger.ScanResult) error {
	document := result.Report()
	if o.app.json {
		return render.Document(o.app.system.Stdout, document)
	}
	screen := o.app.screen()
	render.Scan(screen, document)
	return screen.Err()
}

// failed shows a scan that did not complete.
func (o *scanOptions) failed(ctx context.Context, result gxpledger.ScanResult, cause error) error {
	if errors.Is(cause, gxpledger.ErrSecret) {
		return failed(cause, "the address of the repository, or that of its origin, seems to contain a token, and would be stored permanently: "+
			"clone the repository and scan the clone with --name")
	}
	if errors.Is(cause, projections.ErrLogMismatch) && result.Failed == nil {
		return o.app.anotherLog(cause)
	}
	if result.Failed == nil {
		return cause
	}
	document := result.Report()
	if o.app.json {
		if err := render.Document(o.app.system.Stdout, document); err != nil {
			return err
		}
	} else if _, refused := errors.AsType[*domain.RefusedError](cause); refused {
		render.Violations(o.app.notes(), document, o.all)
	}
	why, left := whyFailed(ctx, cause), leftOf(document)
	if result.Unknown != recorder.UnknownNothing {
		return failed(cause, "%s; %s: scan again, nothing is recorded twice", why, left)
	}
	return failed(cause, "%s; %s", why, left)
}

// whyFailed says why a scan did not complete.
func whyFailed(ctx context.Context, cause error) string {
	refused, isRefused := errors.AsType[*domain.RefusedError](cause)
	switch {
	case isRefused && len(refused.Violations) == 1:
		return "the scan was refused because of the violation above"
	case isRefused:
		return fmt.Sprintf("the scan was refused because of the %d violations above", len(refused.Violations))
	case ctx.Err() != nil && (errors.Is(cause, ctx.Err()) || errors.Is(cause, context.Cause(ctx))):
		return "the scan was interrupted"
	case errors.Is(cause, eventstore.ErrOutcomeUnknown): // what to do about it comes last
		return oneLine(cause.Error())
	}
	// The scan failed for another reason, even if it was stopped since.
	_, why := explain(context.WithoutCancel(ctx), unwrapSource(cause))
	return why
}

// leftOf says what the log has of a scan that did not complete.
func leftOf(d gxpledger.ScanReport) string {
	spooled := "a failure record could not be spooled in case it was not"
	if d.Spooled != "" {
		spooled = "a failure record is spooled in " + d.Spooled + "; the next scan that reaches the log records it, or drops it if the scan was recorded"
	}
	switch {
	case d.Outcome == gxpledger.OutcomeUnknown:
		return "it is unknown whether the scan was recorded, since the log did not answer; " + spooled
	case d.FailureUnknown:
		return "it is unknown whether this failure was recorded, since the log did not answer; " + spooled
	case d.Position == 0 && d.Spooled != "":
		return "nothing was recorded; the failure is spooled in " + d.Spooled + ", and the next scan that reaches the log records it"
	case d.Position == 0:
		return "nothing was recorded"
	}
	if d.Number == 0 {
		return fmt.Sprintf("it was recorded as failed in the audit trail alone, since %q is not a known repository: see gxpledger audit --action scan_attempt_failed", d.Repository.Name)
	}
	return fmt.Sprintf("scan %d was recorded as failed; nothing else was recorded", d.Number)
}

// unwrapSource drops the prefix of the Recorder from the error of a reading.
func unwrapSource(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if all := joined.Unwrap(); len(all) == 2 && all[0] == recorder.ErrSource { //nolint:errorlint // it is this very one
			return all[1]
		}
	}
	return err
}

// anotherLog is the sentence on tables that were built from another log.
func (a *app) anotherLog(err error) error {
	mismatch, ok := errors.AsType[*projections.MismatchError](err)
	if !ok {
		return err
	}
	own := "give this log a home of its own with --home"
	if !a.settings.Tables.Local() {
		own = "give this log tables of its own with another schema in --db"
	}
	return failed(err, "the tables in %s were built from another log (%v); open that log with --log, %s, "+
		"or, if this log is the right one, run gxpledger projections rebuild --all --adopt-log --reason TEXT", a.settings.TablesName(), mismatch, own)
}
