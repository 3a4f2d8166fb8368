package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Class is what an error of the driver or the server means to whoever made a call.
type Class int

const (
	// Other errors have no meaning here.
	Other Class = iota
	// Transient errors may be gone with another try: the server cannot be reached, is short of something, or somebody
	// else is in the way.
	Transient
	// DiskFull says that the disk of the server has no room.
	DiskFull
	// TooManyConnections says that the server, or the role, has no connection to spare.
	TooManyConnections
	// Replica says that the server is a replica, or lets nobody write.
	Replica
	// Forbidden says that the user lacks a right.
	Forbidden
	// Damaged says that a page is broken, or that something the schema was created with is gone.
	Damaged
	// TooLarge says that a limit of the server was exceeded.
	TooLarge
	// Unstorable says that a value cannot be stored.
	Unstorable
	// Violation says that a constraint was violated.
	Violation
)

// Codes of the server that callers look for, see the appendix "PostgreSQL Error Codes" of its manual.
const (
	CodeLockNotAvailable = "55P03"
	CodeUndefinedTable   = "42P01"
	CodeDependentObjects = "2BP01"
	// A session that this program alone uses has the statements that it prepared, and no others.
	codeNoStatement     = "26000"
	codeStatementExists = "42P05"
)

// HasCode reports whether the server answered with a code.
func HasCode(err error, code string) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && server.Code == code
}

// Translate gives err, of a call with ctx, the meaning that a package has for its class: a sentinel, or nil. An error
// without one stays what it is. When ctx has ended, the error is why.
func Translate(ctx context.Context, err error, meaning func(Class) error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		// What the driver says about a call that was cut short depends on where it was then.
		if blocked, ok := errors.AsType[*blockedError](err); ok {
			return &blockedError{cause, blocked.who}
		}
		return cause
	}
	if HasCode(err, codeNoStatement) || HasCode(err, codeStatementExists) {
		return fmt.Errorf("%w: %w", ErrTransactionPooler, err)
	}
	sentinel := meaning(classOf(err))
	if sentinel == nil || errors.Is(err, sentinel) {
		return err
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.ConstraintName != "" {
		return fmt.Errorf("%w: table %s, constraint %s: %w", sentinel, server.TableName, server.ConstraintName, err)
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// classOf returns the class of an error.
func classOf(err error) Class {
	if errors.As(err, new(*replicaError)) {
		return Replica
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return classOfCode(server.Code)
	}
	if unreachable(err) {
		return Transient
	}
	return Other
}

func classOfCode(code string) Class {
	for _, known := range []struct {
		class Class
		codes []string // whole, or the two digits that a group begins with
	}{
		{DiskFull, []string{"53100"}}, // before the rest of its group
		{TooManyConnections, []string{"53300"}},
		{Transient, []string{
			"40001", "40P01", "40003", // serialization failure, deadlock, statement completion unknown
			CodeLockNotAvailable, "57014", "25P03", "25P04", "57P05", // statement, idle and transaction timeouts
			"57P01", "57P02", "57P03", "57P04", // the server ends, ended or begins
			"08", "53", // connection, resources
		}},
		{Replica, []string{"25006"}}, // read-only: the server was demoted
		{Forbidden, []string{"42501", "0LP01"}},
		{Damaged, []string{
			"XX001", "XX002", // a broken page or index
			CodeUndefinedTable, "42703", "42883", "42P10", "3F000", // table, column, function, unique constraint, schema
		}},
		{TooLarge, []string{"54"}},
		{Unstorable, []string{"22"}},
		{Violation, []string{"23"}},
	} {
		if slices.ContainsFunc(known.codes, func(c string) bool { return code == c || len(c) == 2 && strings.HasPrefix(code, c) }) {
			return known.class
		}
	}
	return Other
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
