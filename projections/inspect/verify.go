package inspect

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// Verification says whether the tables of a projection are what the log says.
type Verification struct {
	projections.Ref                        // the build that readers see
	Checkpoint      projections.Checkpoint // up to which it was compared
	Tables          []projections.Digest   // as stored
	Replayed        []projections.Digest   // as the log has them
	// Differences holds the first difference of each table that differs. None means that all are equal to the byte.
	Differences []Difference
	// Broken holds what a [projections.SchemaChecker] found, one sentence each.
	Broken []string
	// Unknown says why a [projections.SchemaChecker] could not look, as on a replica: nil when it did. Broken is empty then, which means
	// nothing.
	Unknown error
}

// Difference is a row that is not what the log says.
type Difference struct {
	Table string
	Key   []any
	// Column is the first that differs; "" when the whole row is missing or should not be there.
	Column           string
	Stored, Replayed any // values of Column, or whole rows ([]any); nil for no row
}

// String says what differs, on one line.
func (d Difference) String() string {
	key := make([]string, len(d.Key))
	for i, k := range d.Key {
		key[i] = fmt.Sprintf("%v", k)
	}
	row := fmt.Sprintf("table %s, row %s", d.Table, strings.Join(key, "/"))
	switch {
	case d.Column != "":
		return fmt.Sprintf("%s, column %s: stored %q, the log says %q", row, d.Column, text(d.Stored), text(d.Replayed))
	case d.Stored == nil:
		return row + ": missing, although the log has it"
	default:
		return row + ": stored, the log knows nothing of it"
	}
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case json.RawMessage:
		return string(v)
	default:
		return fmt.Sprintf("%v", v)
	}
}

// Verify replays the log into scratch, which must have no build of the projection, up to where the active build is, and
// compares every row of every table, and asks a [projections.SchemaChecker]. Writers and readers of the active build go on meanwhile.
func Verify(ctx context.Context, r *run.Runner, name string, scratch projections.Database) (Verification, error) {
	v, err := verify(ctx, r, name, scratch)
	if err != nil {
		return v, fmt.Errorf("cannot verify %s: %w", name, err)
	}
	return v, nil
}

func verify(ctx context.Context, r *run.Runner, name string, scratch projections.Database) (Verification, error) {
	p, err := r.Projection(name)
	if err != nil {
		return Verification{}, err
	}
	active, err := r.Active(ctx, name)
	switch {
	case err != nil:
		return Verification{}, err
	case active == nil:
		return Verification{}, fmt.Errorf("%w: nothing was projected yet", projections.ErrNoBuild)
	case active.Checkpoint.Version != p.Version:
		return Verification{}, fmt.Errorf("%w: the tables are of version %d, this binary knows version %d: catch up first",
			projections.ErrInvalid, active.Checkpoint.Version, p.Version)
	}
	if err := r.Belongs(ctx, active.Ref, active.Checkpoint); err != nil {
		return Verification{}, err
	}
	replay, err := r.Replay(ctx, scratch, p)
	if err != nil {
		return Verification{}, err
	}
	defer replay.Close()
	if err := replay.To(ctx, active.Checkpoint.Position); err != nil {
		return Verification{}, err
	}
	var v Verification
	err = r.Database.Inspect(ctx, active.Ref, func(stored projections.Snapshot) error {
		// The active build may have moved on while we replayed. It does not move in this snapshot.
		v.Ref, v.Checkpoint = active.Ref, stored.Build().Checkpoint
		if err := replay.To(ctx, v.Checkpoint.Position); err != nil {
			return err
		}
		refs, err := replay.Finish(ctx) // also puts the key under the order of rows
		if err != nil {
			return err
		}
		return scratch.Inspect(ctx, refs[0], func(replayed projections.Snapshot) error { return v.compare(ctx, p, stored, replayed) })
	})
	if checker, ok := r.Database.(projections.SchemaChecker); err == nil && ok {
		v.Broken, err = checker.CheckSchema(ctx, active.Ref, p)
		if errors.Is(err, projections.ErrReadOnly) {
			v.Unknown, err = err, nil
		}
	}
	return v, err
}

func (v *Verification) compare(ctx context.Context, p projections.Projection, stored, replayed projections.Snapshot) error {
	for _, table := range p.Tables {
		c := comparison{table: table, stored: projections.NewDigester(table.Name), replayed: projections.NewDigester(table.Name)}
		if err := c.run(stored.Rows(ctx, table), replayed.Rows(ctx, table)); err != nil {
			return fmt.Errorf("table %s: %w", table.Name, err)
		}
		v.Tables = append(v.Tables, c.stored.Digest())
		v.Replayed = append(v.Replayed, c.replayed.Digest())
		if c.first != nil {
			v.Differences = append(v.Differences, *c.first)
		}
	}
	return nil
}

// comparison walks over two versions of a table, both in the order of the key.
type comparison struct {
	table            projections.Table
	stored, replayed *projections.Digester
	first            *Difference
}

func (c *comparison) run(stored, replayed iter.Seq2[[]any, error]) error {
	nextStored, stopStored := iter.Pull2(stored)
	defer stopStored()
	nextReplayed, stopReplayed := iter.Pull2(replayed)
	defer stopReplayed()
	a, errA := c.next(nextStored, c.stored)
	b, errB := c.next(nextReplayed, c.replayed)
	for errA == nil && errB == nil && (a != nil || b != nil) {
		order := c.compareKeys(a, b)
		c.note(order, a, b)
		if order <= 0 {
			a, errA = c.next(nextStored, c.stored)
		}
		if order >= 0 {
			b, errB = c.next(nextReplayed, c.replayed)
		}
	}
	return errors.Join(errA, errB)
}

// next returns the next row, nil behind the last, and adds it to the digest.
func (c *comparison) next(pull func() ([]any, error, bool), d *projections.Digester) ([]any, error) {
	row, err, ok := pull()
	if err != nil || !ok {
		return nil, err
	}
	return row, d.Add(row)
}

// compareKeys orders two rows; a nil row is behind all others.
func (c *comparison) compareKeys(a, b []any) int {
	switch {
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	for i := range c.table.Key {
		if order := compareValues(a[i], b[i]); order != 0 {
			return order
		}
	}
	return 0
}

// note remembers the first difference.
func (c *comparison) note(order int, a, b []any) {
	n := len(c.table.Key)
	switch {
	case c.first != nil:
	case order < 0:
		c.first = &Difference{Table: c.table.Name, Key: slices.Clone(a[:n]), Stored: slices.Clone(a)}
	case order > 0:
		c.first = &Difference{Table: c.table.Name, Key: slices.Clone(b[:n]), Replayed: slices.Clone(b)}
	default:
		for i, column := range c.table.Columns {
			if compareValues(a[i], b[i]) != 0 {
				c.first = &Difference{Table: c.table.Name, Key: slices.Clone(a[:n]), Column: column.Name, Stored: a[i], Replayed: b[i]}
				return
			}
		}
	}
}

// compareValues orders two values of one column as a database orders them: NULL first, texts bytewise, false before true.
func compareValues(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y)
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case bool:
		if y, ok := b.(bool); ok {
			return compareBools(x, y)
		}
	case json.RawMessage:
		if y, ok := b.(json.RawMessage); ok {
			return bytes.Compare(x, y)
		}
	}
	return 1 // of different types, which columns do not have
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
