package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

// FinishBuild implements [projections.Database]. Each table is a transaction of its own, which prolongs the lease. What was
// done before, by somebody who did not get to the end, is not done again.
func (db *DB) FinishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	err := db.finishBuild(ctx, lease, p)
	db.forgetPlan(lease.Ref) // whoever writes next finds keys and indexes, or begins again
	if err != nil {
		return fmt.Errorf("cannot finish %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

func (db *DB) finishBuild(ctx context.Context, lease projections.Lease, p projections.Projection) error {
	f := db.forms(lease.Ref)
	for _, t := range p.Tables {
		if err := db.step(ctx, lease, f.around(t), "ALTER TABLE "+f.table(t)+" REPLICA IDENTITY DEFAULT", "ANALYZE "+f.table(t)); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	for _, t := range p.Tables { // when every table has its keys
		if err := db.step(ctx, lease, f.references(t)); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return db.repeat(ctx, func(tx pgx.Tx) error {
		return db.become(ctx, tx, lease, func(s builds.State) (builds.State, error) { return s.Finish(lease) })
	})
}

// step makes those of parts that are not there yet, and does the rest, in a transaction, for the holder of the lease alone,
// and prolongs the lease. That the lease is still the holder's is proved at the end: until then, while an index is built,
// nothing keeps it from being renewed.
func (db *DB) step(ctx context.Context, lease projections.Lease, parts []part, rest ...string) error {
	if len(parts)+len(rest) == 0 {
		return nil
	}
	return db.repeat(ctx, func(tx pgx.Tx) error {
		found, err := db.readBuilds(ctx, tx, lease.Projection, " AND build = $3", lease.Number)
		if err != nil {
			return err
		}
		s := builds.State{Projection: lease.Projection}
		for _, b := range found {
			s.Builds = append(s.Builds, b.Build)
		}
		if _, err := s.Allows(lease); err != nil {
			return err
		}
		there, err := db.there(ctx, tx, parts)
		if err != nil {
			return err
		}
		// Whole tables are read here, and whoever looks at the build is waited for.
		ddl := []string{"SET LOCAL enable_seqscan = on", "SET LOCAL lock_timeout = 0"}
		for _, p := range parts {
			if !there[p.name] {
				ddl = append(ddl, p.make)
			}
		}
		if err := run(ctx, tx, append(ddl, rest...)); err != nil {
			return err
		}
		return db.become(ctx, tx, lease, func(s builds.State) (builds.State, error) {
			s, _, err := s.Renew(lease)
			return s, err
		})
	})
}

// there returns the names of those of parts that the schema has. The index over a key has another name once it is the
// primary key.
func (db *DB) there(ctx context.Context, q queries, parts []part) (map[string]bool, error) {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	rows, err := q.Query(ctx, `
		SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relname = ANY ($2)
		UNION ALL SELECT pg_catalog.regexp_replace(c.relname, '_pkey$', '_key') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relkind = 'i' AND pg_catalog.regexp_replace(c.relname, '_pkey$', '_key') = ANY ($2)
		UNION ALL SELECT o.conname FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace
			WHERE n.nspname = $1 AND o.conname = ANY ($2)
		UNION ALL SELECT t.tgname FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND t.tgname = ANY ($2)`, db.options.Schema, names)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	var name string
	_, err = pgx.ForEachRow(rows, []any{&name}, func() error {
		found[name] = true
		return nil
	})
	return found, err
}

// become stores what next makes of the build of lease, and keeps others from changing it until the transaction ends.
func (db *DB) become(ctx context.Context, tx pgx.Tx, lease projections.Lease, next func(builds.State) (builds.State, error)) error {
	_, before, err := db.load(ctx, tx, lease.Projection, lease.Number)
	if err != nil {
		return err
	}
	after, err := next(before)
	if err != nil {
		return err
	}
	return db.store(ctx, tx, before, projections.Decision{State: after}, nil)
}
