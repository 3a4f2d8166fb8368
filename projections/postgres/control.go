package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// storable is a text of somebody else as the server can hold it.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// Pause implements [projections.Controller]. It waits for the page that is being written: the hold begins behind it.
func (db *DB) Pause(ctx context.Context, projection string, hold projections.Hold, act domain.AdminActed) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		if err := db.alone(ctx, tx, projection); err != nil {
			return err
		}
		if _, err := db.builds(ctx, tx, projection, " AND state = 'active' FOR UPDATE"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, db.sql.hold, projection, storable(hold.By), storable(hold.Reason), hold.At); err != nil {
			return err
		}
		return db.keepAct(ctx, tx, projections.KeptAct{Ref: projections.Ref{Projection: projection}, Act: act})
	})
	if err != nil {
		return fmt.Errorf("pause %s: %w", projection, err)
	}
	return nil
}

// Resume implements [projections.Controller].
func (db *DB) Resume(ctx context.Context, projection string, act domain.AdminActed) error {
	err := db.write(ctx, func(tx pgx.Tx) error {
		if err := db.alone(ctx, tx, projection); err != nil {
			return err
		}
		ended, err := tx.Exec(ctx, db.sql.unhold, projection)
		if err != nil {
			return err
		}
		if ended.RowsAffected() == 0 {
			return projections.ErrNotPaused
		}
		return db.keepAct(ctx, tx, projections.KeptAct{Ref: projections.Ref{Projection: projection}, Act: act})
	})
	if err != nil {
		return fmt.Errorf("resume %s: %w", projection, err)
	}
	return nil
}

// Held implements [projections.Controller].
func (db *DB) Held(ctx context.Context, projection string) (*projections.Hold, error) {
	var hold *projections.Hold
	err := db.look(ctx, func(conn *pgx.Conn) (err error) {
		hold, err = db.held(ctx, conn, projection)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look whether %s is paused: %w", projection, err)
	}
	return hold, nil
}

func (db *DB) held(ctx context.Context, q queries, projection string) (*projections.Hold, error) {
	return scanHold(q.QueryRow(ctx, db.sql.held, projection))
}

// scanHold reads a hold, nil when there is none.
func scanHold(row pgx.Row) (*projections.Hold, error) {
	var hold projections.Hold
	err := row.Scan(&hold.By, &hold.Reason, &hold.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // none, as documented
	}
	hold.At = hold.At.UTC()
	return &hold, err
}

// paused returns a *PausedError when b is what the hold of its projection keeps as it is.
func (db *DB) paused(ctx context.Context, q queries, b projections.Build) error {
	if b.State != projections.BuildActive {
		return nil
	}
	return db.unheld(ctx, q, b.Projection)
}

// unheld returns a *PausedError when projection is held.
func (db *DB) unheld(ctx context.Context, q queries, projection string) error {
	hold, err := db.held(ctx, q, projection)
	if err != nil || hold == nil {
		return err
	}
	return &projections.PausedError{Projection: projection, Hold: *hold}
}

// CancelBuild implements [projections.Controller].
func (db *DB) CancelBuild(ctx context.Context, projection, by string, act domain.AdminActed) (projections.Ref, error) {
	var ref projections.Ref
	err := db.write(ctx, func(tx pgx.Tx) error {
		if err := db.alone(ctx, tx, projection); err != nil {
			return err
		}
		unfinished, err := db.builds(ctx, tx, projection, " AND state IN ('filling', 'ready') ORDER BY build FOR UPDATE")
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
			_, err = tx.Exec(ctx, db.sql.cancel, projection, b.Number, storable(by))
		}
		if err != nil {
			return err
		}
		return db.keepAct(ctx, tx, projections.KeptAct{Ref: ref, Act: act})
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
		err = db.write(ctx, func(tx pgx.Tx) (err error) {
			b, err = db.reviveBuild(ctx, tx, ref, claim)
			return err
		})
	}
	if err != nil {
		return projections.Build{}, fmt.Errorf("revive %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return b, nil
}

func (db *DB) reviveBuild(ctx context.Context, tx pgx.Tx, ref projections.Ref, claim projections.Claim) (projections.Build, error) {
	if err := db.alone(ctx, tx, ref.Projection); err != nil {
		return projections.Build{}, err
	}
	if err := db.dropRuins(ctx, tx, ref.Projection); err != nil {
		return projections.Build{}, err
	}
	b, err := db.build(ctx, tx, ref, "FOR UPDATE")
	if err != nil {
		return b, err
	}
	if b.State != projections.BuildRetired {
		return b, fmt.Errorf("%w: it is %s, want %s", projections.ErrInvalid, b.State, projections.BuildRetired)
	}
	if _, err := tx.Exec(ctx, db.sql.revive, ref.Projection, ref.Number); err != nil {
		return b, err
	}
	b.State, b.Revived = projections.BuildReady, true
	return db.take(ctx, tx, b, claim)
}

// KeepAct implements [projections.Controller].
func (db *DB) KeepAct(ctx context.Context, kept projections.KeptAct) error {
	if err := db.repeat(ctx, func(tx pgx.Tx) error { return db.keepAct(ctx, tx, kept) }); err != nil {
		return fmt.Errorf("keep act %s: %w", kept.Act.ID, err)
	}
	return nil
}

func (db *DB) keepAct(ctx context.Context, tx pgx.Tx, kept projections.KeptAct) error {
	act, err := json.Marshal(kept.Act)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, db.sql.keepAct, kept.Act.ID, kept.Projection, kept.Number, json.RawMessage(act))
	return err
}

// KeptActs implements [projections.Controller].
func (db *DB) KeptActs(ctx context.Context) ([]projections.KeptAct, error) {
	var found []projections.KeptAct
	err := db.look(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, db.sql.acts)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (projections.KeptAct, error) {
			var kept projections.KeptAct
			var act []byte
			if err := row.Scan(&kept.Projection, &kept.Number, &act); err != nil {
				return kept, err
			}
			return kept, json.Unmarshal(act, &kept.Act)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read kept acts: %w", err)
	}
	return found, nil
}

// ForgetAct implements [projections.Controller].
func (db *DB) ForgetAct(ctx context.Context, id string) error {
	err := db.repeat(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, db.sql.forget, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget act %s: %w", id, err)
	}
	return nil
}
