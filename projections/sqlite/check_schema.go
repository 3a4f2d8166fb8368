package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/internal/sqlitetx"
	"github.com/gxpledger/gxpledger/projections"
)

var _ projections.SchemaChecker = (*DB)(nil)

// CheckSchema implements [projections.SchemaChecker]: the views show the tables of the build and all of them, the tables have
// their keys, indexes and triggers and no others, their pages fit together, and the catalogue tells of them what they are.
func (db *DB) CheckSchema(ctx context.Context, ref projections.Ref, p projections.Projection) ([]string, error) {
	found, err := db.checkSchema(ctx, ref, p)
	if err != nil {
		return nil, fmt.Errorf("cannot check %s build %d: %w", ref.Projection, ref.Number, translate(err))
	}
	return found, nil
}

func (db *DB) checkSchema(ctx context.Context, ref projections.Ref, p projections.Projection) (found []string, err error) {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	err = sqlitetx.On(conn).Read(ctx, func(ctx context.Context) (err error) { // one state of the file, whoever writes
		found, err = checkBuild(ctx, conn, ref, p)
		return err
	})
	return found, err
}

func checkBuild(ctx context.Context, tx queries, ref projections.Ref, p projections.Projection) (found []string, err error) {
	if now, err := build(ctx, tx, ref); errors.Is(err, projections.ErrNoBuild) || err == nil && now.State != projections.BuildActive {
		return nil, nil // it was replaced meanwhile, and the views show another
	} else if err != nil {
		return nil, err
	}
	for _, t := range p.Tables {
		parts, err := checkParts(ctx, tx, t, ref.Number)
		if err != nil {
			return nil, err
		}
		pages, err := checkPages(ctx, tx, physical(t.Name, ref.Number))
		if err != nil {
			return nil, err
		}
		found = append(append(found, parts...), pages...)
	}
	stored, err := readCatalogue(ctx, tx, ref)
	if err != nil {
		return nil, err
	}
	return append(found, projections.CheckCatalogue(p, func(table string) string { return physical(table, ref.Number) }, stored)...), nil
}

// readCatalogue returns what the file stores about the tables of a build.
func readCatalogue(ctx context.Context, tx queries, ref projections.Ref) ([]projections.CatalogueRow, error) {
	rows, err := tx.QueryContext(ctx, `
SELECT 'table', '', ordinal, name, physical, append_only, 0, doc FROM build_tables WHERE projection = ?1 AND build = ?2
UNION ALL SELECT 'column', physical, ordinal, name, type, nullable, key_ordinal, doc FROM build_columns
	WHERE physical IN (SELECT physical FROM build_tables WHERE projection = ?1 AND build = ?2)
UNION ALL SELECT 'digest', '', ordinal, name, '', 0, 0, '' FROM build_digests WHERE projection = ?1 AND build = ?2`, ref.Projection, ref.Number)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []projections.CatalogueRow
	for rows.Next() {
		var kind, of, name, form, doc string
		var ordinal, key int
		var flag bool
		if err := rows.Scan(&kind, &of, &ordinal, &name, &form, &flag, &key, &doc); err != nil {
			return nil, err
		}
		found = append(found, projections.NewCatalogueRow(kind, of, ordinal, name, form, flag, key, doc))
	}
	return found, rows.Err()
}

// checkParts compares the statements that SQLite remembers with those that made the table and its view.
func checkParts(ctx context.Context, tx queries, t projections.Table, build int) ([]string, error) {
	name := physical(t.Name, build)
	wanted := append([]string{view(t.Name, name, columnNames(t)), createTable(t, build)}, finishing(t, build)...)
	missing := map[string]bool{}
	for _, statement := range wanted {
		missing[strings.Replace(statement, " IF NOT EXISTS ", " ", 1)] = true // SQLite does not remember that
	}
	rows, err := tx.QueryContext(ctx, "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name IN (?, ?) AND sql IS NOT NULL ORDER BY type, name", t.Name, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []string
	for rows.Next() {
		var kind, part, statement string
		if err := rows.Scan(&kind, &part, &statement); err != nil {
			return nil, err
		}
		if !missing[statement] {
			found = append(found, fmt.Sprintf("%s %s: it is not what gxpledger made: %s", kind, part, strings.Join(strings.Fields(statement), " ")))
		}
		delete(missing, statement)
	}
	for _, statement := range wanted {
		statement = strings.Replace(statement, " IF NOT EXISTS ", " ", 1)
		if missing[statement] {
			found = append(found, fmt.Sprintf("table %s: it lacks what gxpledger made: %s", t.Name, strings.Join(strings.Fields(statement), " ")))
		}
	}
	return found, rows.Err()
}

// checkPages lets SQLite compare a table with its indexes.
func checkPages(ctx context.Context, tx queries, name string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "PRAGMA integrity_check("+quote(name)+")")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if text != "ok" {
			found = append(found, "table "+name+": "+strings.ReplaceAll(text, "\n", " "))
		}
	}
	return found, rows.Err()
}
