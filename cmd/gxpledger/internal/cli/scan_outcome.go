package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/projections"
)

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
		render.Violations(o.app.notes(), document)
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
