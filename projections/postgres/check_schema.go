package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/projections"
)

var _ projections.SchemaChecker = (*DB)(nil)

// CheckSchema implements [projections.SchemaChecker]: the views show the tables of the build and all of them, and the tables have
// their columns, keys, indexes, references, rules and guards, and no others, and the catalogue tells of them what they are. It makes the same once more as temporary tables,
// which it takes back, and compares what the server says of both: so the server need not be second-guessed.
func (db *DB) CheckSchema(ctx context.Context, ref projections.Ref, p projections.Projection) ([]string, error) {
	var found []string
	err := db.write(ctx, func(tx pgx.Tx) (err error) {
		if found, err = db.checkSchema(ctx, tx, ref, p); err == nil {
			err = errTakenBack
		}
		return err
	})
	if err != nil && !errors.Is(err, errTakenBack) {
		return nil, fmt.Errorf("cannot check %s build %d: %w", ref.Projection, ref.Number, err)
	}
	return found, nil
}

// errTakenBack ends a transaction whose changes nobody wants.
var errTakenBack = errors.New("taken back")

func (db *DB) checkSchema(ctx context.Context, tx pgx.Tx, ref projections.Ref, p projections.Projection) ([]string, error) {
	if _, err := tx.Exec(ctx, lockProjection, db.options.Schema+"."+ref.Projection, 0); err != nil { // no views are exchanged meanwhile
		return nil, err
	}
	all, err := db.readBuilds(ctx, tx, ref.Projection, "")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(b projections.Build) bool { return b.Ref == ref && b.State == projections.BuildActive }) {
		return nil, nil // it was replaced, and the views show another
	}
	if err := run(ctx, tx, db.twins(ref, p)); err != nil {
		return nil, fmt.Errorf("cannot create temporary tables to compare with: %w", err)
	}
	var found []string
	for _, t := range p.Tables {
		faults, err := db.checkTable(ctx, tx, t, ref.Number)
		if err != nil {
			return nil, err
		}
		found = append(found, faults...)
	}
	rows, err := tx.Query(ctx, db.sql.catalogue, ref.Projection, ref.Number)
	if err != nil {
		return nil, err
	}
	stored, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (projections.CatalogueRow, error) {
		var kind, of, name, form, doc string
		var ordinal, key int
		var flag bool
		err := row.Scan(&kind, &of, &ordinal, &name, &form, &flag, &key, &doc)
		return projections.NewCatalogueRow(kind, of, ordinal, name, form, flag, key, doc), err
	})
	if err != nil {
		return nil, err
	}
	return append(found, projections.CheckCatalogue(p, func(table string) string { return physical(table, ref.Number) }, stored)...), nil
}

// temporary is the schema of temporary tables.
const temporary = "pg_temp"

// twins make the tables of a build once more.
func (db *DB) twins(ref projections.Ref, p projections.Projection) []string {
	f := forms{schema: temporary, home: db.options.Schema, build: ref.Number}
	var ddl []string
	for _, t := range p.Tables {
		ddl = append(ddl, f.create(t))
		for _, part := range f.around(t) {
			ddl = append(ddl, part.make)
		}
	}
	for _, t := range p.Tables {
		for _, part := range f.references(t) {
			ddl = append(ddl, part.make)
		}
		ddl = append(ddl, "CREATE "+f.view(t, ref.Projection))
	}
	return ddl
}

// feature is something that stands around rows, as the server describes it.
type feature struct{ kind, name, form string }

func (f feature) String() string {
	return f.kind + " " + f.name + ": " + strings.Join(strings.Fields(f.form), " ")
}

func (db *DB) checkTable(ctx context.Context, tx pgx.Tx, t projections.Table, build int) ([]string, error) {
	wanted, err := db.features(ctx, tx, temporary, t, build)
	if err != nil {
		return nil, err
	}
	there, err := db.features(ctx, tx, db.options.Schema, t, build)
	if err != nil {
		return nil, err
	}
	missing := map[feature]bool{}
	for _, w := range wanted {
		missing[w] = true
	}
	var found []string
	for _, f := range there {
		if !missing[f] {
			found = append(found, fmt.Sprintf("%s %s: it is not what gxpledger made: %s", f.kind, f.name, strings.Join(strings.Fields(f.form), " ")))
		}
		delete(missing, f)
	}
	for _, w := range wanted {
		if missing[w] {
			found = append(found, fmt.Sprintf("table %s: it lacks what gxpledger made: %s", t.Name, w))
		}
	}
	return found, nil
}

// features asks the server what it has of a table and its view, in an order that does not depend on when it was made.
func (db *DB) features(ctx context.Context, tx pgx.Tx, schema string, t projections.Table, build int) ([]feature, error) {
	rows, err := tx.Query(ctx, featuresSQL, pgx.Identifier{schema, physical(t.Name, build)}.Sanitize(), pgx.Identifier{schema, t.Name}.Sanitize())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (feature, error) {
		var f feature
		err := row.Scan(&f.kind, &f.name, &f.form)
		// Whatever is in one of the two schemas is in both under one name.
		f.form = strings.NewReplacer(temporary+".", "", pgx.Identifier{db.options.Schema}.Sanitize()+".", "", db.options.Schema+".", "").Replace(f.form)
		return f, err
	})
}

// featuresSQL describes a table $1 and the view $2 over it, either of which may be missing.
const featuresSQL = `
WITH r (oid, kind) AS (VALUES (pg_catalog.to_regclass($1::text), 'table'), (pg_catalog.to_regclass($2::text), 'view'))
SELECT kind, name, form FROM (
	SELECT r.kind, c.relname::text AS name, pg_catalog.concat_ws(' ', c.relkind, CASE WHEN c.relpersistence = 'u' THEN 'unlogged' END, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
			CASE WHEN r.kind = 'view' THEN pg_catalog.pg_get_viewdef(c.oid) END) AS form
		FROM r JOIN pg_catalog.pg_class c ON c.oid = r.oid
	UNION ALL
	SELECT 'column', c.relname || '.' || a.attname, pg_catalog.concat_ws(' ', a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
			a.attidentity, a.attgenerated, a.attcollation::regcollation, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
		FROM r JOIN pg_catalog.pg_class c ON c.oid = r.oid JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	UNION ALL
	SELECT 'constraint', o.conname::text, pg_catalog.concat_ws(' ', pg_catalog.pg_get_constraintdef(o.oid), o.convalidated)
		FROM r JOIN pg_catalog.pg_constraint o ON o.conrelid = r.oid WHERE o.contype <> 'n'
	UNION ALL
	SELECT 'index', c.relname::text, pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indislive)
		FROM r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
	UNION ALL
	SELECT 'trigger', g.tgname::text, pg_catalog.concat_ws(' ', pg_catalog.pg_get_triggerdef(g.oid), g.tgenabled)
		FROM r JOIN pg_catalog.pg_trigger g ON g.tgrelid = r.oid WHERE NOT g.tgisinternal
	UNION ALL
	SELECT 'check of', o.conname::text, pg_catalog.concat_ws(' ', g.tgfoid::regproc, g.tgenabled)
		FROM r JOIN pg_catalog.pg_trigger g ON g.tgrelid = r.oid JOIN pg_catalog.pg_constraint o ON o.oid = g.tgconstraint WHERE g.tgisinternal
	UNION ALL
	SELECT 'rule', w.rulename::text, pg_catalog.concat_ws(' ', pg_catalog.pg_get_ruledef(w.oid), w.ev_enabled)
		FROM r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'
	UNION ALL
	SELECT 'policy', p.polname::text, pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
		FROM r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
	UNION ALL
	SELECT 'inheritance', n.inhrelid::regclass::text, n.inhparent::regclass::text
		FROM r JOIN pg_catalog.pg_inherits n ON n.inhparent = r.oid OR n.inhrelid = r.oid
) AS all_features ORDER BY kind DESC, name COLLATE "C", form COLLATE "C"`
