package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// asOfFlag is the flag --as-of: the point in time at which a command looks. The zero value is now.
type asOfFlag struct{ point query.Point }

var _ pflag.Value = (*asOfFlag)(nil)

func (f *asOfFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, "as-of", "what was so at this point in time: `WHEN` is a date, a time, pos:N, scan:N or commit:SHA (default: now)")
}

// Set reads a point in time.
func (f *asOfFlag) Set(text string) (err error) {
	f.point, err = query.ParsePoint(text)
	if wrong, ok := errors.AsType[*query.PointError](err); ok {
		return wrongValue("%s", wrong.Want)
	}
	return err
}

// String returns the point as it was given.
func (f *asOfFlag) String() string { return f.point.String() }

// Type names the value in the help.
func (*asOfFlag) Type() string { return "WHEN" }

// looking is what a command looks at.
type looking struct {
	asOf       asOfFlag
	repository repositoryFlag // whose scans a point in time counts
	needs      []string       // the projections whose tables are shown
}

// lookAt opens what scans have made, now or at a point in time, for the time of one call of use. Tables that it does not
// need may be as they are.
func (a *app) lookAt(ctx context.Context, l looking, use func(*view) error) (err error) {
	v, err := a.openView(ctx, l)
	if err != nil {
		return asked(err)
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	return v.asked(use(v))
}

// borrowedLog is a log that whoever it was borrowedLog to does not close.
type lent struct{ eventstore.Log }

// Close does nothing.
func (lent) Close() error { return nil }

// asked turns the errors of queries into the sentences that users read. What is not in a past may be in the present.
func (v *view) asked(err error) error {
	said := asked(err)
	fault, ok := errors.AsType[*faultError](said)
	if !v.IsAsOf() || !ok || !errors.Is(err, query.ErrUnknown) && !errors.Is(err, query.ErrEmpty) {
		return said
	}
	if errors.Is(err, query.ErrEmpty) {
		return failed(err, "no scan was recorded as of %s, position %d of %s", v.Shown.Given, v.Shown.Position, render.Time(v.Shown.RecordedAt))
	}
	return failed(err, "%s; this is as of %s, position %d of %s", fault.text, v.Shown.Given, v.Shown.Position, render.Time(v.Shown.RecordedAt))
}
