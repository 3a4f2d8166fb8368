package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Pause implements [projections.Controller].
func (db *DB) Pause(ctx context.Context, projection string, hold projections.Hold, act domain.AdminActed) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		if _, err := tx.ExecContext(ctx, `
INSERT INTO projection_holds (projection, held_by, reason, held_at) VALUES (?, ?, ?, ?)
ON CONFLICT (projection) DO UPDATE SET held_by = excluded.held_by, reason = excluded.reason, held_at = excluded.held_at`,
			projection, hold.By, hold.Reason, stamp(hold.At)); err != nil {
			return err
		}
		return keepAct(ctx, tx, projections.KeptAct{Ref: projections.Ref{Projection: projection}, Act: act})
	})
	if err != nil {
		return fmt.Errorf("pause %s: %w", projection, err)
	}
	return nil
}

// Resume implements [projections.Controller].
func (db *DB) Resume(ctx context.Context, projection string, act domain.AdminActed) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM projection_holds WHERE projection = ?", projection)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(projections.ErrNotPaused, err)
		}
		return keepAct(ctx, tx, projections.KeptAct{Ref: projections.Ref{Projection: projection}, Act: act})
	})
	if err != nil {
		return fmt.Errorf("resume %s: %w", projection, err)
	}
	return nil
}

// Held implements [projections.Controller].
func (db *DB) Held(ctx context.Context, projection string) (*projections.Hold, error) {
	hold, err := held(ctx, db.read, projection)
	if err != nil {
		return nil, fmt.Errorf("look whether %s is paused: %w", projection, translate(err))
	}
	return hold, nil
}

func held(ctx context.Context, q queries, projection string) (*projections.Hold, error) {
	var hold projections.Hold
	var at string
	err := q.QueryRowContext(ctx, "SELECT held_by, reason, held_at FROM projection_holds WHERE projection = ?", projection).
		Scan(&hold.By, &hold.Reason, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none, as documented
	}
	if err == nil {
		hold.At, err = time.Parse(projections.TimestampLayout, at)
	}
	return &hold, err
}

// paused returns a *PausedError when b is what the hold of its projection keeps as it is.
func paused(ctx context.Context, q queries, b projections.Build) error {
	if b.State != projections.BuildActive {
		return nil
	}
	return unheld(ctx, q, b.Projection)
}

// unheld returns a *PausedError when projection is held.
func unheld(ctx context.Context, q queries, projection string) error {
	hold, err := held(ctx, q, projection)
	if err != nil || hold == nil {
		return err
	}
	return &projections.PausedError{Projection: projection, Hold: *hold}
}

// CancelBuild implements [projections.Controller].
func (db *DB) CancelBuild(ctx context.Context, projection, by string, act domain.AdminActed) (projections.Ref, error) {
	var ref projections.Ref
	err := db.write(ctx, db.bulk, func(ctx context.Context, tx *sql.Conn) error {
		unfinished, err := builds(ctx, tx, projection, "AND state IN ('filling', 'ready')")
		if err != nil {
			return err
		}
		if len(unfinished) == 0 {
			return fmt.Errorf("%w: nothing is being built", projections.ErrNoBuild)
		}
		b := unfinished[0]
		ref = b.Ref
		if db.leasedNow(b) == nil {
			err = db.dismiss(ctx, tx, b)
		} else {
			_, err = tx.ExecContext(ctx, "UPDATE projection_builds SET cancelled_by = ? WHERE projection = ? AND build = ?", by, projection, b.Number)
		}
		if err != nil {
			return err
		}
		return keepAct(ctx, tx, projections.KeptAct{Ref: ref, Act: act})
	})
	if err != nil {
		return projections.Ref{}, fmt.Errorf("cancel what is being built of %s: %w", projection, err)
	}
	return ref, nil
}

// ReviveBuild implements [projections.Controller].
func (db *DB) ReviveBuild(ctx context.Context, ref projections.Ref, claim projections.Claim) (projections.Build, error) {
	var b projections.Build
	err := checkClaim(claim)
	if err == nil {
		err = db.write(ctx, db.bulk, func(ctx context.Context, tx *sql.Conn) (err error) {
			b, err = db.revive(ctx, tx, ref, claim)
			return err
		})
	}
	if err != nil {
		return projections.Build{}, fmt.Errorf("revive %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return b, nil
}

func (db *DB) revive(ctx context.Context, tx *sql.Conn, ref projections.Ref, claim projections.Claim) (projections.Build, error) {
	if err := db.dropRuins(ctx, tx, ref.Projection); err != nil {
		return projections.Build{}, err
	}
	b, err := build(ctx, tx, ref)
	if err != nil {
		return b, err
	}
	if b.State != projections.BuildRetired {
		return b, fmt.Errorf("%w: it is %s, want %s", projections.ErrInvalid, b.State, projections.BuildRetired)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE projection_builds SET state = 'ready', revived = 1 WHERE projection = ? AND build = ?",
		ref.Projection, ref.Number); err != nil {
		return b, err
	}
	b.State, b.Revived = projections.BuildReady, true
	return db.take(ctx, tx, b, claim)
}

// KeepAct implements [projections.Controller].
func (db *DB) KeepAct(ctx context.Context, kept projections.KeptAct) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error { return keepAct(ctx, tx, kept) })
	if err != nil {
		return fmt.Errorf("keep act %s: %w", kept.Act.ID, err)
	}
	return nil
}

func keepAct(ctx context.Context, tx *sql.Conn, kept projections.KeptAct) error {
	act, err := json.Marshal(kept.Act)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO kept_acts (id, projection, build, act) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET projection = excluded.projection, build = excluded.build, act = excluded.act`,
		kept.Act.ID, kept.Projection, kept.Number, string(act))
	return err
}

// KeptActs implements [projections.Controller].
func (db *DB) KeptActs(ctx context.Context) ([]projections.KeptAct, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT projection, build, act FROM kept_acts ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("read kept acts: %w", translate(err))
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []projections.KeptAct
	for rows.Next() {
		var kept projections.KeptAct
		var act string
		if err := rows.Scan(&kept.Projection, &kept.Number, &act); err != nil {
			return nil, fmt.Errorf("read kept acts: %w", err)
		}
		if err := json.Unmarshal([]byte(act), &kept.Act); err != nil {
			return nil, fmt.Errorf("read kept acts: %w", err)
		}
		found = append(found, kept)
	}
	return found, translate(rows.Err())
}

// ForgetAct implements [projections.Controller].
func (db *DB) ForgetAct(ctx context.Context, id string) error {
	err := db.write(ctx, db.live, func(ctx context.Context, tx *sql.Conn) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM kept_acts WHERE id = ?", id)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget act %s: %w", id, err)
	}
	return nil
}
