package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/internal/pg"
)

// TestAnswersOfTheServerAreClassified: the log and the tables translate the same classes.
func TestAnswersOfTheServerAreClassified(t *testing.T) {
	t.Parallel()
	classify := func(err error) pg.Class {
		var seen pg.Class
		_ = pg.Translate(t.Context(), err, func(class pg.Class) error { seen = class; return nil })
		return seen
	}
	for code, want := range map[string]pg.Class{
		"40001": pg.Transient, "40P01": pg.Transient, "40003": pg.Transient, "40002": pg.Other,
		"57P01": pg.Transient, "57P05": pg.Transient, "57014": pg.Transient, "57000": pg.Other,
		"08000": pg.Transient, "08001": pg.Transient, "08006": pg.Transient, "08P01": pg.Transient,
		"53000": pg.Transient, "53100": pg.DiskFull, "53200": pg.Transient, "53300": pg.TooManyConnections, "53400": pg.Transient,
		"57P02": pg.Transient, "57P03": pg.Transient, "57P04": pg.Transient,
		"28000": pg.Other, "28P01": pg.Other, "3D000": pg.Other, "58000": pg.Other, "58030": pg.Other, "58P01": pg.Other, "25001": pg.Other, "23503": pg.Violation,
		"55P03": pg.Transient, "55000": pg.Other,
		"25006": pg.Replica, "25P03": pg.Transient, "25P02": pg.Other,
		"42501": pg.Forbidden, "0LP01": pg.Forbidden,
		"XX001": pg.Damaged, "XX000": pg.Other, "42P01": pg.Damaged, "42883": pg.Damaged, "3F000": pg.Damaged, "42601": pg.Other,
		"54000": pg.TooLarge, "22P05": pg.Unstorable, "23505": pg.Violation, "": pg.Other, "5": pg.Other,
	} {
		if got := classify(fmt.Errorf("commit: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%q has class %d, want %d", code, got, want)
		}
	}
	for _, code := range []string{"26000", "42P05"} {
		if err := pg.Translate(t.Context(), &pgconn.PgError{Code: code}, func(pg.Class) error { return nil }); !errors.Is(err, pg.ErrTransactionPooler) {
			t.Errorf("%s is %v, want that a pooler is named", code, err)
		}
	}
	for _, err := range []error{io.EOF, context.DeadlineExceeded, &pgconn.ConnectError{}} {
		if got := classify(fmt.Errorf("read: %w", err)); got != pg.Transient {
			t.Errorf("%v has class %d", err, got)
		}
	}
}

// TestATranslatedErrorKeepsItsCause: it matches the sentinel once, and names a constraint.
func TestATranslatedErrorKeepsItsCause(t *testing.T) {
	t.Parallel()
	sentinel := errors.New("refused")
	meaning := func(pg.Class) error { return sentinel }
	cause := &pgconn.PgError{Code: "23505", TableName: "scans", ConstraintName: "scans_key"}
	err := pg.Translate(t.Context(), cause, meaning)
	if !errors.Is(err, sentinel) || !errors.Is(err, cause) || err.Error() != "refused: table scans, constraint scans_key: "+cause.Error() {
		t.Errorf("error is %v", err)
	}
	if again := pg.Translate(t.Context(), err, meaning); again.Error() != err.Error() {
		t.Errorf("translated again, the error is %v", again)
	}
	ended, end := context.WithCancelCause(t.Context())
	end(io.ErrClosedPipe)
	if got := pg.Translate(ended, cause, meaning); !errors.Is(got, io.ErrClosedPipe) {
		t.Errorf("error of an ended call is %v", got)
	}
	if pg.Translate(ended, nil, meaning) != nil {
		t.Error("no error was translated as one")
	}
}
