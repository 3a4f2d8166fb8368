package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are the statements of the account of builds, with the schema filled in. They rely on no search_path.
type statements struct {
	schema string

	builds     string
	catalogued string
	counters   string
	count      string

	create    string
	update    string
	activated string
	saveFault string
	move      string
	drop      string

	addTable  string
	addColumn string
	names     string // of the tables of a projection, children first
	tables    string
	columns   string
	catalogue string
	relations string
	taken     string
	digests   string
	addDigest string

	storePause        string
	deletePause       string
	loadPause         string
	saveOutboxEntry   string
	outbox            string
	removeOutboxEntry string
}

// The clock of leases is the server's, for every process the same. A parameter takes its place in tests.
// A ready build that is marked as revived was left by an older version that could activate a retired build again.
const buildColumns = `SELECT projection, build, version, CASE WHEN state = 'ready' AND revived THEN 'retired' ELSE state END, log, position, event, holder, token, ttl,
		expires_at, coalesce($2::timestamptz, pg_catalog.clock_timestamp()),
		created_at, updated_at, since_at, since_position, cancelled_by, fault_position, fault_event, fault_type, fault_text, fault_at,
		coalesce(stream, ''), coalesce(revision, 0)
	FROM @.projection_builds WHERE projection = $1`

func newStatements(schema string) statements {
	in := strings.NewReplacer("@", pgx.Identifier{schema}.Sanitize()).Replace
	const one = ` WHERE projection = $1 AND build = $2`
	return statements{
		schema: schema,
		builds: in(buildColumns),
		catalogued: in(`SELECT projection, build, version, state, log, position, event, updated_at, coalesce(stream, ''), coalesce(revision, 0) FROM @.catalogue_builds
			WHERE projection = $1 ORDER BY build`),
		counters: in(`SELECT coalesce(max(builds), 0), coalesce(max(tokens), 0), coalesce($2::timestamptz, pg_catalog.clock_timestamp())
			FROM @.projection_counters WHERE projection = $1`),
		count: in(`INSERT INTO @.projection_counters (projection, builds, tokens) VALUES ($1, $2, $3)
			ON CONFLICT (projection) DO UPDATE SET builds = excluded.builds, tokens = excluded.tokens`),

		create: in(`INSERT INTO @.projection_builds (projection, build, version, state, log, position, event, holder, token, ttl, expires_at,
				created_at, updated_at, since_at)
			VALUES ($1, $2, $3, $4, $5, 0, $5, $6, $7, $8, $9, $10, $10, $11)`),
		update: in(`UPDATE @.projection_builds SET state = $3, holder = $4, token = $5, ttl = $6, expires_at = $7, since_at = $8, since_position = $9,
				cancelled_by = nullif($10, '')` + one),
		activated: in(`UPDATE @.projection_builds SET activated_at = $3` + one),
		// Each of these changes a build for its holder alone, whatever was looked at before.
		saveFault: in(`UPDATE @.projection_builds SET fault_position = $4, fault_event = $5, fault_type = $6, fault_text = $7, fault_at = $8` +
			one + ` AND token = $3`),
		move: in(`UPDATE @.projection_builds SET log = $3, position = $4, event = $5, updated_at = $6, expires_at = coalesce($13::timestamptz, pg_catalog.clock_timestamp()) + $7,
				stream = nullif($14, ''), revision = $15,
				fault_position = NULL, fault_event = NULL, fault_type = NULL, fault_text = NULL, fault_at = NULL` + one + `
			AND token = $8 AND version = $9 AND log = $10 AND position = $11 AND event = $12 AND state <> 'retired' AND cancelled_by IS NULL
			RETURNING state`),
		drop: in(`DELETE FROM @.projection_builds` + one), // what is recorded of its tables goes with it

		addTable:  in(`INSERT INTO @.build_tables (projection, build, ordinal, name, physical, append_only, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)`),
		addColumn: in(`INSERT INTO @.build_columns (physical, ordinal, name, type, nullable, key_ordinal, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)`),
		// By the catalogue of any build: that of one alone may be lost.
		names:  in(`SELECT name FROM @.build_tables WHERE projection = $1 GROUP BY name ORDER BY max(ordinal) DESC`),
		tables: in(`SELECT name, physical, doc FROM @.build_tables` + one + ` ORDER BY ordinal`),
		catalogue: in(`SELECT 'table', '', ordinal, name, physical, append_only, 0, doc FROM @.build_tables` + one + `
			UNION ALL SELECT 'column', physical, ordinal, name, type, nullable, key_ordinal, doc FROM @.build_columns
				WHERE physical IN (SELECT physical FROM @.build_tables` + one + `)
			UNION ALL SELECT 'digest', '', ordinal, name, '', false, 0, '' FROM @.build_digests` + one),
		// What the server has under names, and with which columns.
		relations: `SELECT c.relname, c.relkind::text, coalesce(a.attname, ''), coalesce(pg_catalog.format_type(a.atttypid, a.atttypmod), '')
			FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE n.nspname = $2 AND c.relname = ANY ($1) ORDER BY c.relname, a.attnum`,
		columns: in(`SELECT t.name, c.name, c.type, c.doc FROM @.build_tables t JOIN @.build_columns c ON c.physical = t.physical
			WHERE t.projection = $1 AND t.build = $2 ORDER BY t.ordinal, c.ordinal`),
		// A view that the schema has may be one of ours, of whatever build. Of a projection that had builds before, the names
		// were its own: what has one now was put there since, and is cleared away.
		taken: in(`SELECT t.name, b.projection FROM unnest($1::text[]) AS t (name) JOIN @.build_tables AS b ON b.name = t.name AND b.projection <> $2
			UNION ALL SELECT t.name, '' FROM unnest($1::text[]) AS t (name) JOIN pg_catalog.pg_class AS c ON c.relname = t.name
				JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $3
				WHERE NOT (c.relkind = 'v' AND EXISTS (SELECT FROM @.build_tables AS b WHERE b.name = t.name))
					AND NOT EXISTS (SELECT FROM @.projection_counters AS p WHERE p.projection = $2 AND p.builds > 0)
			LIMIT 1`),
		digests:   in(`SELECT name, row_count, sha256 FROM @.build_digests` + one + ` ORDER BY ordinal`),
		addDigest: in(`INSERT INTO @.build_digests (projection, build, ordinal, name, position, row_count, sha256) VALUES ($1, $2, $3, $4, $5, $6, $7)`),

		storePause: in(`INSERT INTO @.projection_holds (projection, held_by, reason, held_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (projection) DO UPDATE SET held_by = excluded.held_by, reason = excluded.reason, held_at = excluded.held_at`),
		deletePause: in(`DELETE FROM @.projection_holds WHERE projection = $1`),
		loadPause:   in(`SELECT held_by, reason, held_at FROM @.projection_holds WHERE projection = $1`),
		saveOutboxEntry: in(`INSERT INTO @.kept_acts (id, projection, build, act) VALUES ($1, $2, $3, $4)
			ON CONFLICT (id) DO UPDATE SET projection = excluded.projection, build = excluded.build, act = excluded.act`),
		outbox:            in(`SELECT projection, build, act FROM @.kept_acts ORDER BY number`),
		removeOutboxEntry: in(`DELETE FROM @.kept_acts WHERE id = $1`),
	}
}

// in returns the name of a relation in the schema, quoted.
func (s statements) in(relation string) string { return pgx.Identifier{s.schema, relation}.Sanitize() }
