package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/projections"
)

// Codes of the server that the adapter looks for, see the appendix "PostgreSQL Error Codes" of its manual.
const (
	codeLockNotAvailable = "55P03"
	codeUndefinedTable   = "42P01"
	codeDependentObjects = "2BP01"
)

// translate gives errors of the driver and the server the meaning that package projections defines. It is the only place
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
		return meant(server, err)
	}
	if unreachable(err) && !errors.Is(err, projections.ErrTransient) {
		return fmt.Errorf("%w: %w", projections.ErrTransient, err)
	}
	return err
}

// meant gives err, which server said, its meaning.
func meant(server *pgconn.PgError, err error) error {
	meaning := meaningOf(server.Code)
	switch {
	case meaning == nil || errors.Is(err, meaning):
		return err
	case server.ConstraintName != "":
		return fmt.Errorf("%w: table %s, constraint %s: %w", meaning, server.TableName, server.ConstraintName, err)
	default:
		return fmt.Errorf("%w: %w", meaning, err)
	}
}

// meaningOf returns the sentinel for a code of the server, nil for codes that have none.
func meaningOf(code string) error {
	switch code {
	case "40001", "40P01", "40003", // serialization failure, deadlock, statement completion unknown
		codeLockNotAvailable, "57014", "25P03", "25P04", "57P05", // lock not available; statement, idle and transaction timeouts
		"53300", "53400", // too many connections, a limit of the configuration
		"57P01", "57P02", "57P03", "57P04": // the server ends, ended or begins
		return projections.ErrTransient
	case "42501", "25006", "0LP01": // no right, a replica or a read-only transaction, no grant
		return projections.ErrReadOnly
	case "XX001", "XX002", codeUndefinedTable, "42703", "42P10", "3F000": // a broken page or index; somebody took away what was made
		return projections.ErrDamaged
	}
	switch code[:min(2, len(code))] {
	case "08": // connection
		return projections.ErrTransient
	case "22", "23", "54": // what cannot be stored, what breaks a rule, a limit of the server
		return projections.ErrRefused
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
		errors.Is(err, pgconn.ErrConnClosed) || pgconn.SafeToRetry(err) // the connection was closed before anything was sent
}

// said reports whether the server said code.
func said(err error, code string) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && server.Code == code
}
