package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// CreateBuild implements [projections.Builder].
func (db *DB) CreateBuild(ctx context.Context, p projections.Projection, claim projections.Claim) (projections.Lease, error) {
	var lease projections.Lease
	err := checkClaim(claim)
	if err == nil {
		err = p.Validate()
	}
	if err == nil {
		err = db.write(ctx, func(tx pgx.Tx) (err error) {
			lease, err = db.createBuild(ctx, tx, p, claim)
			return err
		})
	}
	if err != nil {
		return projections.Lease{}, fmt.Errorf("create build of %s: %w", p.Name, err)
	}
	return lease, nil
}

func (db *DB) createBuild(ctx context.Context, tx pgx.Tx, p projections.Projection, claim projections.Claim) (projections.Lease, error) {
	if err := db.alone(ctx, tx, p.Name); err != nil {
		return projections.Lease{}, err
	}
	if err := db.dropRuins(ctx, tx, p.Name); err != nil {
		return projections.Lease{}, err
	}
	if err := db.checkNames(ctx, tx, p); err != nil {
		return projections.Lease{}, err
	}
	ref := projections.Ref{Projection: p.Name}
	if err := tx.QueryRow(ctx, db.sql.nextBuild, p.Name).Scan(&ref.Number); err != nil {
		return projections.Lease{}, err
	}
	lease, err := db.newLease(ctx, tx, ref, claim)
	if err != nil {
		return lease, err
	}
	if _, err := tx.Exec(ctx, db.sql.create, ref.Projection, ref.Number, p.Version, uuid.Nil, storable(claim.Holder), int64(lease.Token), //nolint:gosec // tokens stay far below 2^63
		claim.TTL, lease.Expires, db.options.Now()); err != nil {
		return lease, err
	}
	return lease, db.createTables(ctx, tx, ref, p.Tables)
}

// createTables makes the tables of a build, and the account of them.
func (db *DB) createTables(ctx context.Context, tx pgx.Tx, ref projections.Ref, tables []projections.Table) error {
	var account pgx.Batch
	var ddl []string
	f := db.forms(ref)
	for i, t := range tables {
		name := physical(t.Name, ref.Number)
		ddl = append(append(ddl, f.create(t)), f.comments("TABLE", name, t)...)
		account.Queue(db.sql.addTable, ref.Projection, ref.Number, i+1, t.Name, name, t.AppendOnly, t.Doc)
		for j, c := range t.Columns {
			account.Queue(db.sql.addColumn, name, j+1, c.Name, typeName(c.Type), c.Null, slices.Index(t.Key, c.Name)+1, c.Doc)
		}
	}
	if err := run(ctx, tx, ddl); err != nil {
		return err
	}
	return tx.SendBatch(ctx, &account).Close()
}

// run executes statements without parameters in one round trip.
func run(ctx context.Context, tx pgx.Tx, statements []string) error {
	_, err := tx.Conn().PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	return err
}

func (db *DB) forms(ref projections.Ref) forms {
	return forms{schema: db.options.Schema, home: db.options.Schema, build: ref.Number}
}

// dropRuins drops unfinished builds that their makers left behind, and refuses while one of them is at work.
func (db *DB) dropRuins(ctx context.Context, tx pgx.Tx, projection string) error {
	ruins, err := db.builds(ctx, tx, projection, " AND state IN ('filling', 'ready') ORDER BY build FOR UPDATE")
	if err != nil {
		return err
	}
	for _, b := range ruins {
		if err := db.leasedNow(b); err != nil {
			return err
		}
		if err := db.dismiss(ctx, tx, b); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses a table whose name another projection or the schema itself uses.
func (db *DB) checkNames(ctx context.Context, tx pgx.Tx, p projections.Projection) error {
	names := make([]string, len(p.Tables))
	for i, t := range p.Tables {
		names[i] = t.Name
	}
	var name, owner string
	err := tx.QueryRow(ctx, db.sql.taken, names, p.Name, db.options.Schema).Scan(&name, &owner)
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

// dismiss drops an unfinished build, or retires it again when it was before.
func (db *DB) dismiss(ctx context.Context, tx pgx.Tx, b projections.Build) error {
	if !b.Revived {
		return db.drop(ctx, tx, b.Ref)
	}
	_, err := tx.Exec(ctx, db.sql.retire, b.Projection, b.Number)
	return err
}

// drop removes the tables of a build and what is recorded of it. It waits a moment for those who read it; then somebody
// else may try.
func (db *DB) drop(ctx context.Context, tx pgx.Tx, ref projections.Ref) error {
	tables, err := db.tables(ctx, tx, ref)
	if err != nil {
		return err
	}
	var ddl []string
	for _, t := range slices.Backward(tables) {
		ddl = append(ddl, "DROP TABLE IF EXISTS "+db.sql.in(t.physical))
	}
	if err := run(ctx, tx, ddl); err != nil {
		return fmt.Errorf("drop %s build %d: %w", ref.Projection, ref.Number, err)
	}
	if _, err := tx.Exec(ctx, db.sql.drop, ref.Projection, ref.Number); err != nil {
		return fmt.Errorf("drop %s build %d: %w", ref.Projection, ref.Number, err)
	}
	db.forgetPlan(ref)
	return nil
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

// DropBuild implements [projections.Builder].
func (db *DB) DropBuild(ctx context.Context, lease projections.Lease) error {
	err := db.write(ctx, func(tx pgx.Tx) error {
		if err := db.alone(ctx, tx, lease.Projection); err != nil {
			return err
		}
		b, err := db.leased(ctx, tx, lease)
		if errors.Is(err, projections.ErrCancelled) && b.Lease.Token == lease.Token {
			err = nil // that is why it is dropped
		}
		if err != nil {
			return err
		}
		if b.State == projections.BuildActive {
			return projections.ErrBuildActive
		}
		return db.dismiss(ctx, tx, b)
	})
	if err != nil {
		return fmt.Errorf("drop %s build %d: %w", lease.Projection, lease.Number, err)
	}
	return nil
}

// PruneBuilds implements [projections.Builder].
func (db *DB) PruneBuilds(ctx context.Context, projection string, keep int, act domain.AdminActed) ([]projections.Ref, error) {
	var pruned []projections.Ref
	err := db.write(ctx, func(tx pgx.Tx) error {
		pruned = nil
		if err := db.alone(ctx, tx, projection); err != nil {
			return err
		}
		retired, err := db.builds(ctx, tx, projection, " AND state = 'retired' ORDER BY build")
		if err != nil {
			return err
		}
		for _, b := range retired[:max(0, len(retired)-max(0, keep))] {
			if err := db.drop(ctx, tx, b.Ref); err != nil {
				return err
			}
			pruned = append(pruned, b.Ref)
		}
		if len(pruned) == 0 {
			return nil
		}
		return db.keepAct(ctx, tx, projections.KeptAct{Ref: projections.Ref{Projection: projection}, Act: projections.PruneAct(act, pruned)})
	})
	if err != nil {
		return nil, fmt.Errorf("prune builds of %s: %w", projection, err)
	}
	return pruned, nil
}
