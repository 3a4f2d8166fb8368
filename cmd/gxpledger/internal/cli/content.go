package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
)

// contentDocument is the output of content --json.
type contentDocument struct {
	headDocument
	SHA256  string `json:"sha256"`
	Size    int    `json:"size"`
	Content []byte `json:"content"` // base64
}

type contentOptions struct {
	readOptions
	name string
	scan int64
	raw  bool
}

func newContent(a *app) *cobra.Command {
	o := &contentOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "content SHA|PATH",
		Short: "Write the original bytes of a scanned file",
		Long: "Write the original bytes of a scanned file to standard output, checked against their SHA-256. Name the file by this\n" +
			"hash or its first six digits or more, or by its path: of an artifact, of a file in an evidence package, or of a file\n" +
			"that could not be parsed. Bytes that could act on a terminal are written to a terminal only with --raw.",
		Example: "  gxpledger content .gxp/requirements/REQ-001.md\n" +
			"  gxpledger content .gxp/requirements/REQ-001.md --scan 1    as it was after scan 1\n" +
			"  gxpledger content .gxp/requirements/REQ-001.md --as-of 2026-03-01\n" +
			"  gxpledger content 3f0a1b2c > file",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "one SHA-256 or path") },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = strings.TrimPrefix(args[0], "./")
			switch {
			case cmd.Flags().Changed("scan") && o.scan < 1:
				return usage("the flag --scan does not take %d: want the number of a scan, from 1; gxpledger scans lists them", o.scan)
			case o.scan != 0 && !o.asOf.point.IsNow():
				return usage("--scan and --as-of exclude each other: --as-of scan:%d is the same as --scan %d", o.scan, o.scan)
			}
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	flags := cmd.Flags()
	flags.Int64Var(&o.scan, "scan", 0, "number `N` of the scan after which to look (default: the last that completed)")
	flags.BoolVar(&o.raw, "raw", false, "write any bytes to a terminal")
	return cmd
}

func (o *contentOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		data, hash, err := v.Content(ctx, o.repository, o.name, o.scan)
		switch {
		case errors.As(err, new(*gxpledger.AmbiguousContentError)):
			return usage("%v", err)
		case errors.As(err, new(*gxpledger.NoContentError)):
			return failed(err, "%v", err)
		case errors.Is(err, eventstore.ErrNotFound):
			return failed(err, "the log does not hold the content %s that its events name: run gxpledger verify", hash)
		case err != nil:
			return err
		}
		return o.write(v, hash, data)
	})
}

func (o *contentOptions) write(v *view, hash string, data []byte) error {
	if o.app.json {
		return render.Document(o.app.system.Stdout, contentDocument{v.head(), hash, len(data), data})
	}
	terminal := render.Detect(o.app.system.Stdout, render.ColourNever, o.app.system.Env).Width > 0
	if terminal && !o.raw && !render.Harmless(data) {
		return failed(nil, "the content %s holds bytes that could act on a terminal: write them to a file with > FILE, or add --raw", render.Short(hash))
	}
	if err := v.noteHead(); err != nil {
		return err
	}
	if _, err := o.app.system.Stdout.Write(data); err != nil {
		return fmt.Errorf("write content: %w", err)
	}
	return nil
}
