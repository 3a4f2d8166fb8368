package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/projections"
)

// FinishBuild implements [projections.Builder]. Each index and each check is a transaction of its own, which prolongs the
// lease. One that was done before, by somebody who did not get to the end, is not done again.
func (db *DB) FinishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	err := db.finishBuild(ctx, lease, p)
	db.forgetPlan(lease.Ref) // whoever writes next finds keys and indexes, or begins anew
	if err != nil {
		return fmt.Errorf("finish %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

func (db *DB) finishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	f := db.forms(lease.Ref)
	for _, t := range p.Tables {
		for _, s := range f.finishing(t) {
			if err := db.step(ctx, lease, s); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
	}
	// References last, when every table has its keys.
	for _, t := range p.Tables {
		for i := range t.Foreign {
			s := f.foreign(t, i)
			if err := db.step(ctx, lease, step{part: s, done: constraint}); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
	}
	return db.repeat(ctx, func(tx pgx.Tx) error {
		if err := db.prove(ctx, tx, lease); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, db.sql.ready, lease.Projection, lease.Number)
		return err
	})
}

// step is one statement of finishing, and the query that tells whether it was done before: of schema and name.
type step struct {
	part
	done string
}

const (
	relation = `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2)`
	constraint = `SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
		WHERE n.nspname = $1 AND c.conname = $2)`
	trigger = `SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND t.tgname = $2)`
	never = `SELECT $1::text = $2::text`
)

// keyed tells whether a table has the index over its key: by that name, or, when it is the primary key, by the other.
const keyed = `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relname IN ($2::text, pg_catalog.regexp_replace($2::text, '_key$', '_pkey')))`

// finishing is what a table lacks once it is filled, but for its references.
func (f forms) finishing(t projections.Table) []step {
	steps := []step{{f.key(t), keyed}, {f.primary(t), constraint}}
	if rules := f.rules(t); len(rules) > 0 { // one pass over the rows for all of them
		all := make([]string, len(rules))
		for i, r := range rules {
			all[i] = r.make
		}
		steps = append(steps, step{part{rules[0].name, "ALTER TABLE " + f.table(t) + " " + strings.Join(all, ", ")}, constraint})
	}
	for i := range t.Indexes {
		steps = append(steps, step{f.index(t, i), relation})
	}
	for _, g := range f.guards(t) {
		steps = append(steps, step{g, trigger})
	}
	return append(steps, step{part{"", "ANALYZE " + f.table(t)}, never})
}

// step runs one step in a transaction, for the holder of the lease alone, and prolongs the lease. That the lease is still
// the holder's is proved at the end: until then, while an index is built, nothing keeps it from being renewed.
func (db *DB) step(ctx context.Context, lease projections.Lease, s step) error {
	return db.repeat(ctx, func(tx pgx.Tx) error {
		b, err := db.build(ctx, tx, lease.Ref, "")
		if err := allows(b, err, lease); err != nil {
			return err
		}
		var done bool
		if err := tx.QueryRow(ctx, s.done, db.options.Schema, s.name).Scan(&done); err != nil {
			return err
		}
		if !done {
			// Whole tables are read here, and whoever looks at the build is waited for.
			if err := run(ctx, tx, []string{"SET LOCAL enable_seqscan = on", "SET LOCAL lock_timeout = 0", s.make}); err != nil {
				return err
			}
		}
		return db.prove(ctx, tx, lease)
	})
}

// prove fails unless lease allows to write its build, keeps it so until the transaction ends, and prolongs it.
func (db *DB) prove(ctx context.Context, tx pgx.Tx, lease projections.Lease) error {
	if _, err := db.leased(ctx, tx, lease); err != nil {
		return err
	}
	lease.Expires = db.options.Now().Add(lease.TTL)
	return db.prolong(ctx, tx, lease)
}
