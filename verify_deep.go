package gxpledger

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
)

// The findings of a deep verification.
const (
	FaultReread   eventstore.FaultCode = "reread" // the stored contents, read again, do not say what an event says
	WarningReread eventstore.FaultCode = "reread" // the same of an event that another version of the reader recorded
)

// rereader compares events with their contents.
type rereader struct {
	v       *verification
	log     eventstore.Log
	pending []recordedArtifact // of the batch that is open
}

type recordedArtifact struct {
	at    eventstore.Record
	event domain.ArtifactParsed
}

// reread reads the contents of every artifact again, with the reader of this binary, and compares what both know: kind, id, title,
// fields, links, digest. What evidence proved is left out, since that takes the keys. Contents that are lost are a fault of their own.
func (v *verification) reread(ctx context.Context, log eventstore.Log) error {
	c := &rereader{v: v, log: log}
	for r, err := range log.Read(ctx, 0, eventstore.Filter{}) {
		if errors.Is(err, eventstore.ErrCorrupt) {
			return nil // which is reported
		}
		if err != nil {
			return err
		}
		if !r.Stream.OfEngine() {
			continue
		}
		if r.Meta.Index == 0 {
			c.pending = nil
		}
		event, err := eventstore.Decode(r)
		if err != nil {
			continue // as above
		}
		if e, ok := event.(domain.ArtifactParsed); ok {
			c.pending = append(c.pending, recordedArtifact{r, e})
		}
		if e, ok := event.(domain.ScanCompleted); ok {
			if err := c.scan(ctx, &e); err != nil {
				return err
			}
		}
	}
	return nil
}

// scan compares the artifacts of one scan, each unit by itself.
func (c *rereader) scan(ctx context.Context, e *domain.ScanCompleted) error {
	if e.Settings != nil && len(e.Settings.Limits) > 0 {
		c.v.result.Unknown = append(c.v.result.Unknown, eventstore.Fault{
			Code: FaultReread, Where: fmt.Sprintf("scan %d of %s", e.Number, e.Repository.Name),
			Text: "it was read under limits of its own, under which contents are not read again", Remedy: "compare its artifacts with show --content",
		})
		return nil
	}
	units := map[string]*domain.File{}
	for _, a := range c.pending {
		unit, read := units[a.event.Path]
		if !read {
			var err error
			if unit, err = c.unit(ctx, &a.event, e); err != nil {
				return err
			}
			units[a.event.Path] = unit
		}
		if unit != nil {
			c.compare(a, unit, rosie.Stamp(nil))
		}
	}
	return nil
}

// unit reads the stored contents of the unit of an artifact; nil when not all of them are stored.
func (c *rereader) unit(ctx context.Context, e *domain.ArtifactParsed, scan *domain.ScanCompleted) (*domain.File, error) {
	var packed bytes.Buffer // a file system that the standard library has
	archive := zip.NewWriter(&packed)
	parts := map[string]string{e.Path: e.Content.SHA256}
	if len(e.Members) > 0 {
		clear(parts)
		for _, m := range e.Members {
			parts[path.Join(e.Path, m.Path)] = m.SHA256
		}
	}
	for name, hash := range parts {
		data, err := c.log.Content(ctx, hash)
		switch {
		case hash == "":
			c.v.result.Warnings = append(c.v.result.Warnings, eventstore.Fault{
				Code: FaultReread, Where: fmt.Sprintf("scan %d of %s", scan.Number, scan.Repository.Name),
				Text: fmt.Sprintf("%s has files that were too large to be read, and was not read again", e.Path), Remedy: "",
			})
			return nil, nil //nolint:nilnil // none, as documented
		case errors.Is(err, eventstore.ErrNotFound), errors.Is(err, eventstore.ErrCorrupt):
			return nil, nil //nolint:nilnil // none, as documented
		case err != nil:
			return nil, err
		}
		file, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = file.Write(data)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	files, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil {
		return nil, err
	}
	tree, err := rosie.Read(ctx, files, rosie.Options{Unsigned: scan.Policy.Unsigned, AllowSecrets: true, At: scan.StartedAt})
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(tree.Files, func(f domain.File) bool { return f.Path == e.Path }); i >= 0 {
		return &tree.Files[i], nil
	}
	return &domain.File{Path: e.Path}, nil
}

// compare reports how an artifact differs from what its contents say.
func (c *rereader) compare(a recordedArtifact, unit *domain.File, reader string) {
	f := eventstore.Fault{
		Code: FaultReread, Position: a.at.Position, Stream: a.at.Stream, Where: fmt.Sprintf("position %d", a.at.Position),
		Remedy: "compare with gxpledger show --content; where the event is wrong, restore the last backup that verifies",
	}
	i := slices.IndexFunc(unit.Artifacts, func(x domain.Artifact) bool { return x.Ordinal == a.event.Ordinal })
	if i < 0 {
		f.Text = fmt.Sprintf("the stored contents of %s hold no such artifact", a.event.Key)
	} else if differs := differing(&a.event.Artifact, &unit.Artifacts[i]); len(differs) > 0 {
		f.Text = fmt.Sprintf("%s differs from what its stored contents say in %s", a.event.Key, strings.Join(differs, ", "))
	}
	version, _, _ := strings.Cut(a.event.Stamp, "+")
	switch {
	case f.Text == "":
	case version == reader:
		c.v.fault(f)
	default:
		f.Code, f.Text = WarningReread, fmt.Sprintf("%s; it was recorded by the reader %s, and this is %s", f.Text, version, reader)
		c.v.result.Warnings = append(c.v.result.Warnings, f)
	}
}

// differing names what two readings of one artifact tell differently.
func differing(recorded, read *domain.Artifact) []string {
	var out []string
	for _, pair := range []struct {
		name string
		a, b any
	}{
		{"kind", recorded.Kind, read.Kind},
		{"gxp_id", recorded.GxPID, read.GxPID},
		{"title", recorded.Title, read.Title},
		{"risk", recorded.Risk, read.Risk},
		{"tier", recorded.Tier, read.Tier},
		{"status", recorded.Status, read.Status},
		{"validation status", recorded.ValidationStatus, read.ValidationStatus},
		{"assurance status", recorded.AssuranceStatus, read.AssuranceStatus},
		{"fields", string(recorded.Fields), string(read.Fields)},
		{"digest", recorded.Digest, read.Digest},
		{"links", declared(recorded.Links), declared(read.Links)},
	} {
		if !reflect.DeepEqual(pair.a, pair.b) {
			out = append(out, pair.name)
		}
	}
	return out
}

// declared is links as the author wrote them.
func declared(links []domain.Link) []domain.Link {
	out := make([]domain.Link, len(links))
	for i, l := range links {
		out[i] = domain.Link{Edge: l.Edge, Target: l.Target}
	}
	return out
}
