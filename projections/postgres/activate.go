package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// How long the swap asks for the views before it lets readers pass again. It grows from try to try, and stays below the
// second after which the server looks for deadlocks: a reader that waits for the swap is never the one that is refused.
const (
	firstGrasp   = 50 * time.Millisecond
	longestGrasp = 800 * time.Millisecond
	atOnce       = 10 * time.Millisecond
)

// errBusy: somebody reads the views.
var errBusy = errors.New("views are being read")

// swap is a running exchange of views.
type swap struct {
	grasp time.Duration // how long to ask for the views
	order []string      // in which they were asked for last
}

// exchange points the views to the tables of the build that becomes active. What has their names is taken as the server has it,
// whatever the catalogue tells: somebody may have changed either.
func (db *DB) exchange(ctx context.Context, tx pgx.Tx, s *swap, c builds.Changes) error {
	ref := c.Activated.Ref
	next, err := db.columns(ctx, tx, ref)
	if err != nil {
		return err
	}
	names, err := db.names(ctx, tx, ref.Projection)
	if err != nil {
		return err
	}
	for _, name := range slices.Clone(names) {
		names = append(names, physical(name, ref.Number))
	}
	there, err := db.relations(ctx, tx, names)
	if err != nil {
		return err
	}
	var ddl, shown []string
	for _, name := range names {
		if there[name].kind == kindView {
			shown = append(shown, name)
		}
		if r := there[name]; !strings.HasSuffix(name, physical("", ref.Number)) {
			ddl = append(ddl, db.clear(name, r, there[physical(name, ref.Number)].columns, ref.Number)...)
		}
	}
	views, err := db.creates(ctx, tx, ref, next)
	if err != nil {
		return err
	}
	slices.Sort(shown)
	if err := db.grasp(ctx, tx, s, shown); err != nil {
		return err
	}
	return dependent(run(ctx, tx, append(ddl, views...)))
}

// relation is what the server has under a name: nothing, where kind is "".
type relation struct {
	kind    string // as in pg_class
	columns []column
}

// The kinds of relations that need a word of their own to be dropped.
const (
	kindView             = "v"
	kindMaterializedView = "m"
	kindIndex            = "i"
)

// clear removes what is in the place of a view and cannot be replaced by one with the columns next; nil next is none. A table is
// put aside under a name of its own, since its rows may be nowhere else.
func (db *DB) clear(name string, r relation, next []column, build int) []string {
	switch r.kind {
	case "":
		return nil
	case kindView:
		if extends(next, r.columns) {
			return nil
		}
		return []string{"DROP VIEW " + db.sql.in(name)}
	case kindMaterializedView:
		return []string{"DROP MATERIALIZED VIEW " + db.sql.in(name)}
	case kindIndex:
		return []string{"DROP INDEX " + db.sql.in(name)}
	default:
		return []string{fmt.Sprintf("ALTER TABLE %s RENAME TO %s", db.sql.in(name), quote(projections.AsideName(name, build)))}
	}
}

// relations returns what the schema has under names.
func (db *DB) relations(ctx context.Context, q queries, names []string) (map[string]relation, error) {
	rows, err := q.Query(ctx, db.sql.relations, names, db.options.Schema)
	if err != nil {
		return nil, err
	}
	found := map[string]relation{}
	var name, kind string
	var c column
	_, err = pgx.ForEachRow(rows, []any{&name, &kind, &c.name, &c.kind}, func() error {
		r := found[name]
		r.kind = kind
		r.columns = append(r.columns, c)
		found[name] = r
		return nil
	})
	return found, err
}

// creates makes or replaces the views of ref, with what they mean and who may read them.
func (db *DB) creates(ctx context.Context, tx pgx.Tx, ref projections.Ref, columns map[string][]column) ([]string, error) {
	tables, err := db.tables(ctx, tx, ref)
	if err != nil {
		return nil, err
	}
	reader, err := db.hasReader(ctx, tx)
	if err != nil {
		return nil, err
	}
	var ddl []string
	f := db.forms(ref)
	for _, t := range tables {
		table := projections.Table{Name: t.name, Doc: t.doc}
		for _, c := range columns[t.name] {
			table.Columns = append(table.Columns, projections.Column{Name: c.name, Doc: c.doc})
		}
		ddl = append(append(ddl, "CREATE OR REPLACE "+f.view(table, ref.Projection)), f.comments("VIEW", t.name, table)...)
		if reader {
			ddl = append(ddl, "GRANT SELECT ON "+db.sql.in(t.name)+" TO "+quote(db.options.Reader))
		}
	}
	return ddl, nil
}

// grasp locks the views of an exchange, and nothing behind them, or gives up with errBusy.
//
// Readers take their locks in an order of their own, and one that has some of the views may wait for another that grasp has
// already: neither can go on. So grasp waits for one view while it has none, and takes the others only where they come at
// once. If one does not, it lets go of all and begins with that one, for which it then waits: so it learns the order of
// readers that come again and again.
func (db *DB) grasp(ctx context.Context, tx pgx.Tx, s *swap, views []string) error {
	if len(views) == 0 {
		return nil
	}
	started := db.options.Now()
	if len(s.order) == 0 {
		s.order = views
	}
	for {
		left := s.grasp - db.options.Now().Sub(started)
		if left < time.Millisecond {
			return errBusy
		}
		busy, err := db.snatch(ctx, tx, s.order, left)
		if err != nil {
			return err
		}
		if busy < 0 {
			_, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'")
			return err
		}
		s.order = slices.Concat(s.order[busy:busy+1], s.order[:busy], s.order[busy+1:])
	}
}

// snatch locks all views, in this order, or none: then it returns the index of the one that could not be had, else -1.
func (db *DB) snatch(ctx context.Context, tx pgx.Tx, views []string, limit time.Duration) (busy int, err error) {
	statements := []string{"SAVEPOINT grasp"}
	for _, name := range views {
		statements = append(statements, fmt.Sprintf("SET LOCAL lock_timeout = %d", limit.Milliseconds()),
			// Changing the owner to the present one changes nothing. LOCK TABLE would lock the tables behind the view too.
			fmt.Sprintf("ALTER VIEW IF EXISTS %s OWNER TO CURRENT_USER", db.sql.in(name)))
		limit = min(limit, atOnce)
	}
	done, err := tx.Conn().PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	if pg.HasCode(err, pg.CodeLockNotAvailable) {
		_, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT grasp")
		return len(done)/2 - 1, err
	}
	return -1, err
}

// dependent says what to do when somebody made something of a view that must change its form.
func dependent(err error) error {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == pg.CodeDependentObjects {
		return fmt.Errorf("a view changes its columns, and another object depends on it (%s): drop that object, and create it again afterwards: %w",
			strings.ReplaceAll(answer.Detail, "\n", "; "), err)
	}
	return err
}

// column is a column of a build, as the catalogue tells it, or of a relation, as the server does.
type column struct{ name, kind, doc string }

// extends reports whether a view with the columns old can be replaced by one with the columns next: as it is, or with more
// behind. Otherwise it must be dropped and made again.
func extends(next, old []column) bool {
	return len(next) >= len(old) && slices.EqualFunc(next[:len(old)], old, func(a, b column) bool { return a.name == b.name && a.kind == b.kind })
}

// columns returns the columns of the tables of a build.
func (db *DB) columns(ctx context.Context, q queries, ref projections.Ref) (map[string][]column, error) {
	rows, err := q.Query(ctx, db.sql.columns, ref.Projection, ref.Number)
	if err != nil {
		return nil, err
	}
	found := map[string][]column{}
	var table string
	var c column
	_, err = pgx.ForEachRow(rows, []any{&table, &c.name, &c.kind, &c.doc}, func() error {
		found[table] = append(found[table], c)
		return nil
	})
	return found, err
}

// hasReader reports whether there is a reader role to let read the views.
func (db *DB) hasReader(ctx context.Context, tx pgx.Tx) (bool, error) {
	var found bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", db.options.Reader).Scan(&found)
	return found, err
}
