package pg

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestTheHolderOfALockIsNamed(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	for want, h := range map[string]lockHolder{
		"a prepared transaction holds it (see pg_prepared_xacts)":                                                                     {},
		`session 7 holds it, application "psql", user "ada", in a transaction since 2026-03-01T11:00:00Z`:                             {7, "psql", "ada", &since},
		`session 7 holds it, application "a\nb", user "ada"; since when is not shown to this user (GRANT pg_read_all_stats shows it)`: {7, "a\nb", "ada", nil},
	} {
		if got := h.String(); got != want {
			t.Errorf("%+v is shown as\n %s\nwant\n %s", h, got, want)
		}
	}
}

// An error says for whom it waited, where it came from waiting.
func TestAnErrorOfAWaitNamesTheHolder(t *testing.T) {
	t.Parallel()
	timeout, other := &pgconn.PgError{Code: CodeLockNotAvailable}, &pgconn.PgError{Code: "23505"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context //nolint:containedctx // of a case
		err   error
		names bool
	}{
		"a lock that did not come": {t.Context(), timeout, true}, "a context that ended": {ended, other, true},
		"another error": {t.Context(), other, false}, "no error": {t.Context(), nil, false},
	} {
		w := &lockWatch{cancel: func() {}, last: "session 7"}
		err := Translate(c.ctx, w.end(c.ctx, c.err), func(Class) error { return nil })
		if named := err != nil && strings.Contains(err.Error(), "it waited for a lock: session 7"); named != c.names || (err == nil) != (c.err == nil) {
			t.Errorf("%s: error is %v", name, err)
		}
		if c.ctx.Err() != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error is %v, want that of the context", name, err)
		}
	}
}
