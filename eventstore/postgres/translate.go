package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/eventstore"
)

// translate gives errors of the driver and the server the meaning that package eventstore defines. It is the only place
// that does. An error that it does not know stays what it is.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		// What the driver says about a call that was cut short depends on where it was then.
		return cause
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		if meaning := meaningOf(server.Code); meaning != nil {
			return fmt.Errorf("%w: %w", meaning, err)
		}
		return err
	}
	if unreachable(err) {
		return fmt.Errorf("%w: %w", eventstore.ErrTransient, err)
	}
	return err
}

// meaningOf returns the sentinel for a code of the server, nil for codes that have none.
func meaningOf(code string) error {
	switch code {
	case "40001", "40P01", "40003", // serialization failure, deadlock, statement completion unknown
		"55P03", "57014", "25P03", "25P04", "57P05", // lock not available, statement, idle and transaction timeouts
		"25006", // read-only: the server was demoted
		"57P01", "57P02", "57P03", "57P04":
		return eventstore.ErrTransient
	case "XX001", "XX002", // the server found a broken page or index
		"42P01", "42703", "42883": // a table, column or function of the log is not there
		return eventstore.ErrCorrupt
	}
	switch {
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"): // connection, resources
		return eventstore.ErrTransient
	case strings.HasPrefix(code, "54"): // a limit of the server
		return eventstore.ErrTooLarge
	case strings.HasPrefix(code, "22"): // what cannot be stored
		return eventstore.ErrInvalid
	}
	return nil
}

// unreachable reports whether err, which the server did not send, says that the server cannot be talked to.
func unreachable(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		pgconn.SafeToRetry(err) // the connection was closed before anything was sent
}
