package postgres

import (
	"context"
	_ "embed" // the form
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// form is what the migrations make of a schema: a line for each thing, its name and what the server says of it. The test
// of this file writes it from a new log. It holds nothing that versions of the server tell differently.
//
//go:embed form.txt
var form string

// formQuery reads what a schema is made of. What an operator may choose is left out: the owner of all, statistics, storage,
// vacuuming, tablespaces and comments.
const formQuery = `
WITH ns AS (SELECT oid, nspowner FROM pg_namespace WHERE nspname = $1),
rel AS (SELECT c.oid, relname, relkind, relpersistence, relrowsecurity, relforcerowsecurity, relowner, nspowner
          FROM pg_class AS c JOIN ns ON c.relnamespace = ns.oid)
SELECT concat(CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'relation' END, ' ', relname),
       concat(CASE relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
              CASE WHEN relrowsecurity OR relforcerowsecurity THEN ', row security' END,
              CASE WHEN relowner <> nspowner THEN ', owned by ' || pg_get_userbyid(relowner) END,
              CASE relkind WHEN 'v' THEN ': ' || translate(pg_get_viewdef(oid, true), '()', '') WHEN 'r' THEN '' ELSE ', kind ' || relkind::text END)
  FROM rel WHERE relkind <> 'i'
UNION ALL
SELECT 'index ' || relname, concat(pg_get_indexdef(i.indexrelid, 0, true), CASE WHEN NOT (indisvalid AND indisready AND indislive) THEN ', not valid' END)
  FROM rel JOIN pg_index AS i ON i.indexrelid = rel.oid
UNION ALL
SELECT concat('column ', relname, '.', attname),
       concat(format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ', not null' END,
              CASE WHEN a.attcollation <> t.typcollation THEN ', collate ' || l.collname END,
              CASE WHEN a.attidentity <> '' OR a.attgenerated <> '' THEN ', generated' END,
              ', default ' || pg_get_expr(d.adbin, d.adrelid))
  FROM rel JOIN pg_attribute AS a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  LEFT JOIN pg_attrdef AS d ON d.adrelid = rel.oid AND d.adnum = a.attnum WHERE relkind = 'r'
UNION ALL
SELECT concat('constraint ', conname, ' on ', relname), pg_get_constraintdef(c.oid, true)
  FROM rel JOIN pg_constraint AS c ON c.conrelid = rel.oid WHERE contype IN ('p', 'u', 'c', 'f', 'x')
UNION ALL
SELECT concat('trigger ', tgname, ' on ', relname),
       concat(CASE tgenabled WHEN 'A' THEN 'always' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'for replicas alone' ELSE 'not for replicas' END,
              ': ', pg_get_triggerdef(t.oid, true))
  FROM rel JOIN pg_trigger AS t ON t.tgrelid = rel.oid WHERE NOT tgisinternal
UNION ALL
SELECT concat('rule ', rulename, ' on ', relname), pg_get_ruledef(r.oid, true)
  FROM rel JOIN pg_rewrite AS r ON r.ev_class = rel.oid WHERE rulename <> '_RETURN'
UNION ALL
SELECT concat('policy ', polname, ' on ', relname), '' FROM rel JOIN pg_policy AS p ON p.polrelid = rel.oid
UNION ALL
SELECT concat('table that goes with ', p.relname), i.inhrelid::regclass::text FROM rel AS p JOIN pg_inherits AS i ON i.inhparent = p.oid
UNION ALL
SELECT concat('function ', proname, '(', pg_get_function_identity_arguments(p.oid), ')'),
       concat('returns ', prorettype::regtype, ', ', lanname, CASE WHEN prosecdef THEN ', security definer' END,
              CASE WHEN proowner <> nspowner THEN ', owned by ' || pg_get_userbyid(proowner) END,
              ', ' || array_to_string(proconfig, '; '), ': ', prosrc)
  FROM pg_proc AS p JOIN ns ON p.pronamespace = ns.oid JOIN pg_language AS l ON l.oid = p.prolang`

// checkForm compares what the schema is made of with what the migrations make.
func (e *integrityCheck) checkForm(ctx context.Context, tx pgx.Tx) error {
	held, err := formOf(ctx, tx, e.schema)
	if err != nil {
		return err
	}
	want := map[string]string{}
	for line := range strings.Lines(form) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		want[name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch text, there := held[name]; {
		case !there:
			e.guard(name, "it is gone from the schema of the log")
		case text != want[name]:
			e.guard(name, fmt.Sprintf("it is not what gxpledger made: it is %s, want %s", text, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if _, known := want[name]; !known {
			e.guard(name, "gxpledger did not make it: "+held[name])
		}
	}
	return nil
}

// formOf reads what a schema is made of, each text in one line.
func formOf(ctx context.Context, tx pgx.Tx, schema string) (map[string]string, error) {
	rows, err := tx.Query(ctx, formQuery, schema)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	var name, text string
	_, err = pgx.ForEachRow(rows, []any{&name, &text}, func() error {
		found[strings.Join(strings.Fields(name), " ")] = strings.Join(strings.Fields(text), " ")
		return nil
	})
	return found, err
}
