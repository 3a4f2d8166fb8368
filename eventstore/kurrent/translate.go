package kurrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
)

var (
	// errDeleted: the stream was deleted for ever.
	errDeleted = fmt.Errorf("%w: a stream was deleted (tombstoned), which gxpledger never does: the log was tampered with", eventstore.ErrCorrupt)
	// errPosition: the server has no such position, or none that a reader may begin at.
	errPosition = fmt.Errorf("%w: position is not one of this log", eventstore.ErrInvalid)
	// errServerLimit: the server takes less than Options.MaxAppendBytes.
	errServerLimit = fmt.Errorf("%w for the server: lower maxAppendSize of the connection string (Options.MaxAppendBytes) to what it "+
		"takes, or raise its MaxAppendSize", eventstore.ErrTooLarge)
)

// ErrRefused says that the server does not know the user, or does not let them do what the log needs. Nothing was written.
// Do not retry: give the connection string another user, or the user the right.
var ErrRefused = errors.New("server refuses")

// translate gives errors of the client and the server the meaning that package eventstore defines. It is the only place
// that does. An error that it does not know stays what it is: its outcome is unknown.
func translate(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, eventstore.ErrClosed):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx) // what the client says about a call that was cut short depends on where it was then
	case translated(err):
		return err
	}
	if sentinel := meaningOf(err); sentinel != nil {
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	return err
}

func translated(err error) bool {
	for _, sentinel := range []error{
		eventstore.ErrTransient, eventstore.ErrCorrupt, eventstore.ErrInvalid, eventstore.ErrConflict,
		eventstore.ErrIDReused, eventstore.ErrTooLarge, eventstore.ErrNotFound, ErrRefused,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// meaningOf returns the sentinel for an error of the client, nil for one that has none.
func meaningOf(err error) error {
	client, ok := errors.AsType[*esdb.Error](err)
	if !ok {
		return meaningOfStatus(err)
	}
	switch client.Code() {
	case esdb.ErrorCodeWrongExpectedVersion:
		return eventstore.ErrConflict
	case esdb.ErrorCodeResourceAlreadyExists:
		return eventstore.ErrIDReused
	case esdb.ErrorCodeResourceNotFound:
		return eventstore.ErrNotFound
	case esdb.ErrorCodeStreamDeleted:
		return errDeleted
	case esdb.ErrorCodeDeadlineExceeded, esdb.ErrorCodeConnectionClosed, esdb.ErrorCodeNotLeader, esdb.ErrorAborted,
		esdb.ErrorUnavailable:
		return eventstore.ErrTransient
	case esdb.ErrorCodeUnauthenticated, esdb.ErrorCodeAccessDenied:
		return ErrRefused
	case esdb.ErrorCodeUnknown:
		return meaningOfStatus(client.Err())
	case esdb.ErrorCodeUnsupportedFeature, esdb.ErrorCodeParsing,
		esdb.ErrorCodeInternalClient, esdb.ErrorCodeInternalServer:
	}
	return nil
}

// meaningOfStatus returns the sentinel for an error of gRPC. The client loses the trailers that tell cases apart, so that
// there is nothing but the text for those that share a code.
func meaningOfStatus(err error) error {
	if errors.Is(err, io.EOF) {
		// The server ended an append before it was sent, and the client did not look why. A server does that to an append
		// above its limit, too, and yet nobody can tell.
		return eventstore.ErrTransient
	}
	s, ok := status.FromError(err)
	if !ok {
		return nil
	}
	switch s.Code() { //nolint:exhaustive // the others have no meaning here
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.Internal,
		codes.ResourceExhausted:
		return eventstore.ErrTransient
	case codes.Unauthenticated, codes.PermissionDenied:
		return ErrRefused
	case codes.DataLoss:
		return eventstore.ErrCorrupt
	case codes.FailedPrecondition:
		return errDeleted
	case codes.InvalidArgument:
		switch text := strings.ToLower(s.Message()); {
		case strings.Contains(text, "maximum append"):
			return errServerLimit
		case strings.Contains(text, "invalid position"):
			return errPosition
		}
		return eventstore.ErrInvalid
	}
	return nil
}

// lost reports whether err says that a client is of no more use: it died, or its server went away.
func lost(err error) bool {
	if errors.Is(err, errPanicked) {
		return true
	}
	if client, ok := errors.AsType[*esdb.Error](err); ok {
		switch client.Code() { //nolint:exhaustive // the others say nothing of the client
		case esdb.ErrorCodeConnectionClosed, esdb.ErrorUnavailable:
			return true
		}
		err = client.Err()
	}
	return status.Code(err) == codes.Unavailable
}
