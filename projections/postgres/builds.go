package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// ChangeBuilds implements [projections.Database].
//
// While the views are exchanged nobody can read them, so the exchange waits for those who read and keeps others waiting.
// Since a reader may take its time, the exchange gives up after a moment, lets those who wait pass, and tries again until
// ctx ends: readers wait for less than a second, and never see an error.
func (db *DB) ChangeBuilds(
	ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error),
) (found []projections.Build, err error) {
	s := swap{grasp: firstGrasp}
	for {
		found, err = db.changeBuilds(ctx, projection, decide, &s)
		if !errors.Is(err, errBusy) {
			return found, err
		}
		if err := pg.Pause(ctx, 2*s.grasp); err != nil {
			return found, err
		}
		s.grasp = min(2*s.grasp, longestGrasp)
	}
}

func (db *DB) changeBuilds(
	ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error), s *swap,
) (found []projections.Build, err error) {
	var held *projections.LeaseHeldError
	var d projections.Decision
	err = db.attempt(ctx, func(tx pgx.Tx) error {
		held = nil
		var before builds.State
		var err error
		if found, before, err = db.load(ctx, tx, projection, 0); err != nil {
			return err
		}
		d, err = decide(before)
		if errors.As(err, &held) {
			return db.store(ctx, tx, before, projections.Decision{State: d.State}, s)
		}
		if err != nil {
			return err
		}
		return db.store(ctx, tx, before, d, s)
	}, func() bool { return d.Repeatable })
	if err == nil && held != nil {
		err = held
	}
	return found, err
}

// lockProjection keeps every other change of a projection waiting until the transaction ends, unless a build is named.
const lockProjection = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('gxpledger projection ' || $1, 0)) WHERE $2 = 0"

// load locks and reads what the rules of builds need: of the one build that is named, of all of projection when it is 0.
//
// Changes of a projection wait for each other. Pages are no changes: they lock the one row of their build. Whoever locks both
// locks the projection first.
func (db *DB) load(ctx context.Context, tx pgx.Tx, projection string, number int) ([]projections.Build, builds.State, error) {
	var questions pgx.Batch
	questions.Queue(lockProjection, db.options.Schema+"."+projection, number)
	questions.Queue(db.sql.builds+" AND $3 IN (0, build) ORDER BY build FOR UPDATE", projection, db.leaseClock(), number)
	questions.Queue(db.sql.loadPause, projection)
	questions.Queue(db.sql.counters, projection, db.leaseClock()) // last, since locks are waited for
	answers := tx.SendBatch(ctx, &questions)
	s := builds.State{Projection: projection, Now: db.options.Now()}
	found, err := readLoaded(answers, &s)
	return found, s, errors.Join(err, answers.Close())
}

func readLoaded(answers pgx.BatchResults, s *builds.State) ([]projections.Build, error) {
	if _, err := answers.Exec(); err != nil { // the lock
		return nil, err
	}
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanBuild)
	if err != nil {
		return nil, err
	}
	for _, b := range found {
		s.Builds = append(s.Builds, b.Build)
	}
	if s.Paused, err = scanPause(answers.QueryRow()); err != nil {
		return nil, err
	}
	return found, answers.QueryRow().Scan(&s.Numbers, &s.Tokens, &s.LeaseNow)
}

// store writes what a decision changes.
func (db *DB) store(ctx context.Context, tx pgx.Tx, before builds.State, d projections.Decision, s *swap) error {
	c := builds.Diff(before, d.State)
	if c.Activated != nil {
		if err := db.exchange(ctx, tx, s, c); err != nil {
			return err
		}
	}
	var batch pgx.Batch
	if c.Counters {
		batch.Queue(db.sql.count, d.State.Projection, d.State.Numbers, d.State.Tokens)
	}
	for _, b := range c.Dropped {
		if err := db.drop(ctx, tx, b.Ref); err != nil {
			return err
		}
	}
	for _, b := range c.Created {
		if err := db.create(ctx, tx, &batch, b, d.Tables); err != nil {
			return err
		}
	}
	for _, b := range c.Updated {
		batch.Queue(db.sql.update, b.Projection, b.Number, b.State, storable(b.Lease.Holder), b.Lease.Token, b.Lease.TTL, b.Lease.Expires,
			b.Since.At, b.Since.Position, storable(b.CancelledBy))
	}
	if b := c.Activated; b != nil {
		batch.Queue(db.sql.activated, b.Projection, b.Number, d.State.Now)
		for i, digest := range d.Digests {
			batch.Queue(db.sql.addDigest, b.Projection, b.Number, i+1, digest.Table, uint64(d.At), digest.Rows, digest.SHA256)
		}
	}
	switch pause := d.State.Paused; {
	case c.Pause && pause == nil:
		batch.Queue(db.sql.deletePause, d.State.Projection)
	case c.Pause:
		batch.Queue(db.sql.storePause, d.State.Projection, storable(pause.By), storable(pause.Reason), pause.At)
	}
	if d.Outbox != nil {
		action, err := json.Marshal(d.Outbox.Action)
		if err != nil {
			return err
		}
		batch.Queue(db.sql.saveOutboxEntry, d.Outbox.Action.ID, d.Outbox.Projection, d.Outbox.Number, json.RawMessage(action))
	}
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// create makes the tables of a build, and adds the account of it to account.
func (db *DB) create(ctx context.Context, tx pgx.Tx, account *pgx.Batch, b builds.Build, tables []projections.Table) error {
	if err := db.checkNames(ctx, tx, b.Projection, tables); err != nil {
		return err
	}
	account.Queue(db.sql.create, b.Projection, b.Number, b.Point.Version, b.State, uuid.Nil, storable(b.Lease.Holder), b.Lease.Token, b.Lease.TTL,
		b.Lease.Expires, b.CreatedAt, b.Since.At)
	var ddl []string
	ref, f := b.Ref, db.forms(b.Ref)
	for _, t := range slices.Backward(tables) { // the number was never given before: what has the name is left of a build that nothing is recorded of
		ddl = append(ddl, "DROP TABLE IF EXISTS "+f.table(t))
	}
	for i, t := range tables {
		name := physical(t.Name, ref.Number)
		ddl = append(append(ddl, f.create(t)), f.comments("TABLE", name, t)...)
		account.Queue(db.sql.addTable, ref.Projection, ref.Number, i+1, t.Name, name, t.AppendOnly, t.Doc)
		for j, c := range t.Columns {
			account.Queue(db.sql.addColumn, name, j+1, c.Name, c.Type.String(), c.Null, slices.Index(t.Key, c.Name)+1, c.Doc)
		}
	}
	return run(ctx, tx, ddl)
}

// run executes statements without parameters in one round trip.
func run(ctx context.Context, tx pgx.Tx, statements []string) error {
	_, err := tx.Conn().PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	return err
}

func (db *DB) forms(ref projections.Ref) forms {
	return forms{schema: db.options.Schema, home: db.options.Schema, build: ref.Number}
}

// checkNames refuses a table whose name another projection or the schema itself uses.
func (db *DB) checkNames(ctx context.Context, tx pgx.Tx, projection string, tables []projections.Table) error {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.Name
	}
	var name, owner string
	err := tx.QueryRow(ctx, db.sql.taken, names, projection, db.options.Schema).Scan(&name, &owner)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case owner == "":
		return fmt.Errorf("%w: the schema holds something else that is named %s", projections.ErrInvalid, name)
	default:
		return fmt.Errorf("%w: table %s belongs to %s", projections.ErrInvalid, name, owner)
	}
}

// drop removes the tables of a build and what is recorded of it. It waits a moment for those who read it; then somebody
// else may try.
func (db *DB) drop(ctx context.Context, tx pgx.Tx, ref projections.Ref) error {
	names, err := db.names(ctx, tx, ref.Projection)
	if err != nil {
		return err
	}
	ddl := make([]string, len(names))
	for i, name := range names {
		ddl[i] = "DROP TABLE IF EXISTS " + db.sql.in(physical(name, ref.Number))
	}
	if err := run(ctx, tx, ddl); err != nil {
		return fmt.Errorf("cannot drop %s build %d: %w", ref.Projection, ref.Number, err)
	}
	if _, err := tx.Exec(ctx, db.sql.drop, ref.Projection, ref.Number); err != nil {
		return fmt.Errorf("cannot drop %s build %d: %w", ref.Projection, ref.Number, err)
	}
	db.forgetPlan(ref)
	return nil
}

// names returns the names of the tables of a projection, children before parents.
func (db *DB) names(ctx context.Context, q queries, projection string) ([]string, error) {
	rows, err := q.Query(ctx, db.sql.names, projection)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// built is a table of a build.
type built struct{ name, physical, doc string }

func (db *DB) tables(ctx context.Context, q queries, ref projections.Ref) ([]built, error) {
	rows, err := q.Query(ctx, db.sql.tables, ref.Projection, ref.Number)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (built, error) {
		var t built
		err := row.Scan(&t.name, &t.physical, &t.doc)
		return t, err
	})
}
