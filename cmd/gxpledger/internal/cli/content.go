package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// contentDocument is the output of content --json.
type contentDocument struct {
	headDocument
	SHA256  string `json:"sha256"`
	Size    int    `json:"size"`
	Content []byte `json:"content"` // base64
}

type contentOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
	given      string
	scan       int64
	raw        bool
}

func newContent(a *app) *cobra.Command {
	o := &contentOptions{app: a}
	cmd := &cobra.Command{
		Use:   "content SHA|PATH",
		Short: "Write the original bytes of a scanned file",
		Long: "Writes the bytes of a scanned file to standard output, exactly as they were, checked against their SHA-256. Name\n" +
			"them by that hash or its first six digits or more, or by the path of the file: of an artifact, of a file in an\n" +
			"evidence package, or of a file that could not be parsed. Bytes that could act on a terminal are not written to one\n" +
			"unless --raw is given.",
		Example: "  gxpledger content .gxp/requirements/REQ-001.md\n" +
			"  gxpledger content .gxp/requirements/REQ-001.md --scan 1    as it was after scan 1\n" +
			"  gxpledger content .gxp/requirements/REQ-001.md --as-of 2026-03-01\n" +
			"  gxpledger content 3f0a1b2c > file",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "one SHA-256 or path") },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(cmd, args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	flags := cmd.Flags()
	flags.Int64Var(&o.scan, "scan", 0, "as the file was after scan `N` (default: after the last that completed)")
	flags.BoolVar(&o.raw, "raw", false, "write to a terminal whatever the bytes are")
	return cmd
}

func (o *contentOptions) validate(cmd *cobra.Command, args []string) error {
	o.given = strings.TrimPrefix(args[0], "./")
	if cmd.Flags().Changed("scan") && o.scan < 1 {
		return usage("the flag --scan does not take %d: want the number of a scan, from 1; gxpledger scans lists them", o.scan)
	}
	if o.scan != 0 && !o.asOf.point.IsNow() {
		return usage("--scan and --as-of exclude each other: --as-of scan:%d says the same as --scan %d", o.scan, o.scan)
	}
	return nil
}

func (o *contentOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{gxpledger.Artifacts, gxpledger.History}}, func(v *view) error {
		log, err := o.app.ledger.Log(ctx)
		if err != nil {
			return err
		}
		hash, err := o.find(ctx, log, v)
		if err != nil {
			return err
		}
		data, err := log.Content(ctx, hash)
		if errors.Is(err, eventstore.ErrNotFound) {
			return failed(err, "the log does not hold the content %s that its events name: run gxpledger verify", hash)
		}
		if err != nil {
			return err
		}
		return o.write(v, hash, data)
	})
}

// find returns the hash of what was named.
func (o *contentOptions) find(ctx context.Context, log eventstore.Log, v *view) (string, error) {
	if looksLikeHash(o.given) {
		hash, err := byHash(ctx, log, strings.ToLower(o.given))
		if err != nil || hash != "" {
			return hash, err
		}
	}
	repository, err := v.Find(ctx, o.repository.name)
	if err != nil {
		return "", err
	}
	v.Shown.Only(repository.ID)
	source, err := v.Content(ctx, repository, o.given, o.scan)
	if errors.Is(err, query.ErrUnknown) && looksLikeHash(o.given) {
		return "", o.unknownHash(ctx, log)
	}
	if err != nil {
		return "", err
	}
	if source.Rejected == 0 {
		return source.SHA256, nil
	}
	return rejectedContent(ctx, log, eventstore.Position(source.Rejected)) //nolint:gosec // a position is not negative
}

// fewestDigits is how many digits of a hash are needed to mean it.
const fewestDigits = 6

func looksLikeHash(text string) bool {
	const all = 64
	return len(text) >= fewestDigits && len(text) <= all && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// byHash returns the only hash that begins so; "" when none does.
func byHash(ctx context.Context, log eventstore.ContentStore, prefix string) (string, error) {
	var match []string
	for hash, err := range log.ContentHashes(ctx) {
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(hash, prefix) {
			match = append(match, hash)
		}
	}
	switch len(match) {
	case 0:
		return "", nil
	case 1:
		return match[0], nil
	default:
		const listed = 5
		return "", usage("%s begins %d contents, among them %s: give more digits", prefix, len(match), strings.Join(match[:min(len(match), listed)], ", "))
	}
}

// unknownHash names the contents whose hash begins most like what was given.
func (o *contentOptions) unknownHash(ctx context.Context, log eventstore.ContentStore) error {
	given, longest := strings.ToLower(o.given), 0
	var near []string
	for hash, err := range log.ContentHashes(ctx) {
		if err != nil {
			return err
		}
		n := 0
		for n < len(given) && given[n] == hash[n] {
			n++
		}
		if n > longest {
			near, longest = nil, n
		}
		if n == longest {
			near = append(near, hash)
		}
	}
	slices.Sort(near)
	const listed = 3
	return &query.UnknownError{
		What: "content or file", Given: o.given, Near: near[:min(len(near), listed)], Hint: "a hash is named by its first digits",
	}
}

// rejectedContent reads from an event which content a rejected file had.
func rejectedContent(ctx context.Context, log eventstore.Reader, at eventstore.Position) (string, error) {
	event, err := decodedAt(ctx, log, at)
	if err != nil && !errors.Is(err, eventstore.ErrNotFound) {
		return "", err
	}
	rejected, ok := event.(domain.ArtifactRejected)
	switch {
	case !ok:
		return "", fmt.Errorf("position %d: %w: the audit trail says that a file was rejected there", at, eventstore.ErrCorrupt)
	case rejected.Content.SHA256 == "":
		return "", failed(nil, "no bytes of %s were kept: %s", rejected.Path, rejected.Message)
	}
	return rejected.Content.SHA256, nil
}

func decodedAt(ctx context.Context, log eventstore.Reader, at eventstore.Position) (domain.Event, error) {
	record, err := log.At(ctx, at)
	if err != nil {
		return nil, err
	}
	return eventstore.Decode(record)
}

func (o *contentOptions) write(v *view, hash string, data []byte) error {
	if o.app.json {
		return o.app.document(contentDocument{v.document(), hash, len(data), data})
	}
	const terminal = "bytes that could act on a terminal: write them to a file with > FILE, or add --raw"
	if o.toTerminal() && !o.raw && !render.Harmless(data) {
		return failed(nil, "the content %s holds %s", render.Short(hash), terminal)
	}
	if err := o.app.noteHead(v); err != nil {
		return err
	}
	if _, err := o.app.system.Stdout.Write(data); err != nil {
		return fmt.Errorf("write content: %w", err)
	}
	return nil
}

func (o *contentOptions) toTerminal() bool {
	return o.app.terminal(o.app.system.Stdout).Width > 0
}
