package tables_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// TestTheDocumentedTablesAreInTheDatabases: what docs/tables.md says of types, NULL, rules, keys, references, indexes,
// guards and meanings is what each database says of itself.
func TestTheDocumentedTablesAreInTheDatabases(t *testing.T) {
	t.Parallel()
	want := documented(t)
	for name, describe := range map[string]func(*testing.T) []string{"SQLite": describeSQLite, "PostgreSQL": describePostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := describe(t)
			wanted := want
			if name == "SQLite" { // whose queries for words are scans
				wanted = slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(line, " words ") })
			}
			slices.Sort(got)
			slices.Sort(wanted)
			for _, line := range wanted {
				if !slices.Contains(got, line) {
					t.Errorf("documented, and not so: %s", line)
				}
			}
			for _, line := range got {
				if !slices.Contains(wanted, line) {
					t.Errorf("so, and not documented: %s", line)
				}
			}
			if len(wanted) < 400 {
				t.Errorf("only %d things are documented", len(wanted))
			}
		})
	}
}

// TestPostgreSQLShowsWhatSQLiteShows: a story that fills every table, and some that are drawn, by every way to fold a log.
func TestPostgreSQLShowsWhatSQLiteShows(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	var schemas atomic.Int64
	fresh := func() (projections.Database, func()) {
		namespace := postgres.Namespace{Schema: fmt.Sprintf("story_%d", schemas.Add(1))}
		if err := postgres.Up(t.Context(), url, namespace); err != nil {
			t.Fatal(err)
		}
		db, err := postgres.Open(t.Context(), url, postgres.Options{Now: time.Now, Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		return db, func() { _ = db.Close() }
	}
	all, _ := shortStoryOfAll(t)
	drawn := rapid.Custom(drawStory).Example(1).story
	for _, p := range tables.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			projectionstest.CheckIn(t, t, p, stored(t, all), fresh)
			projectionstest.CheckIn(t, t, p, stored(t, drawn), fresh)
		})
	}
}

var (
	heading   = regexp.MustCompile("^## ([a-z_]+)$")
	columnRow = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\| ([^|]*) \\| (.*) \\|$")
	oneOf     = regexp.MustCompile(" One of (`[^`]+`(?:, `[^`]+`)*)\\.$")
	foreign   = regexp.MustCompile("^Foreign key: (.*) to (.*) of `([a-z_]+)`\\.$")
	inCodes   = regexp.MustCompile("`([^`]+)`")
)

// words returns what is in backquotes.
func words(text string) string {
	var out []string
	for _, m := range inCodes.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return strings.Join(out, ", ")
}

// documented reads the page, one line for each thing that it says of a table.
func documented(t *testing.T) []string {
	t.Helper()
	file, err := os.Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var out []string
	table, listed := "", false
	say := func(format string, args ...any) { out = append(out, table+" "+fmt.Sprintf(format, args...)) }
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if m := heading.FindStringSubmatch(line); m != nil {
			table, listed = m[1], false
			continue
		}
		if strings.HasPrefix(line, "# ") {
			table = ""
		}
		if table == "" || line == "" {
			continue
		}
		switch m := columnRow.FindStringSubmatch(line); {
		case m != nil:
			doc := strings.ReplaceAll(m[4], `\|`, "|")
			if set := oneOf.FindStringSubmatch(doc); set != nil {
				doc = strings.TrimSuffix(doc, set[0])
				say("column %s one of %s", m[1], words(set[1]))
			}
			for note := range strings.SplitSeq(m[3], ", ") {
				if strings.HasPrefix(note, "from ") {
					say("column %s %s", m[1], note)
				}
			}
			say("column %s %s null=%t: %s", m[1], m[2], strings.Contains(m[3], "or NULL"), doc)
		case !listed:
			listed = true
			say("is: %s", line)
		case strings.HasPrefix(line, "Append-only"):
			say("only grows")
		case strings.HasPrefix(line, "Primary key: "):
			say("key %s", words(line))
		case strings.HasPrefix(line, "Full-text index"):
			say("words %s", words(line))
		case strings.HasPrefix(line, "Index: "):
			say("index %s", words(line))
		default:
			if m := foreign.FindStringSubmatch(line); m != nil {
				say("references %s to %s of %s", words(m[1]), words(m[2]), m[3])
			}
		}
	}
	return out
}

// shown makes the tables of every projection in db.
func shown(t *testing.T, db projections.Database) {
	t.Helper()
	log := projectionstest.NewLog(t)
	for _, p := range tables.All() {
		if err := projectionstest.Runner(t, log, db, p).CatchUp(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// collect returns the rows of a query, one text each.
func collect(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func describeSQLite(t *testing.T) []string {
	t.Helper()
	db, err := sqlite.OpenScratch(t.Context(), t.TempDir(), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	shown(t, db)
	var out []string
	for _, query := range []string{
		// The views, through the catalogue; the types behind them.
		`SELECT table_name || ' is: ' || table_doc FROM catalogue GROUP BY table_name, table_doc`,
		`SELECT c.table_name || ' column ' || c.column_name || ' ' || c.type || ' null=' || iif(p."notnull" = 0, 'true', 'false') || ': ' || c.column_doc
			FROM catalogue c JOIN build_tables t ON t.name = c.table_name JOIN pragma_table_info(t.physical) p ON p.name = c.column_name
			WHERE p.type = CASE WHEN c.type IN ('integer', 'boolean') THEN 'INTEGER' ELSE 'TEXT' END
			AND EXISTS (SELECT 1 FROM pragma_table_info(c.table_name) v WHERE v.name = c.column_name)`,
		`SELECT t.name || ' key ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(t.physical || '_key')))
			FROM build_tables t WHERE EXISTS (SELECT 1 FROM pragma_index_info(t.physical || '_key'))`,
		`SELECT t.name || ' key ' || p.name FROM build_tables t JOIN pragma_table_info(t.physical) p WHERE p.pk = 1`,
		`SELECT t.name || ' references ' || group_concat(f."from", ', ') || ' to ' || group_concat(f."to", ', ') || ' of ' || p.name
			FROM build_tables t JOIN pragma_foreign_key_list(t.physical) f JOIN build_tables p ON p.physical = f."table" GROUP BY t.name, f.id`,
		`SELECT t.name || ' index ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name)))
			FROM build_tables t JOIN pragma_index_list(t.physical) i WHERE i.name LIKE '%\_i%' ESCAPE '\'`,
		`SELECT t.name || ' only grows' FROM build_tables t WHERE (SELECT count(*) FROM sqlite_schema s WHERE s.type = 'trigger' AND s.tbl_name = t.physical) = 3`,
	} {
		out = append(out, collect(t, db.Query(), query)...)
	}
	least := regexp.MustCompile(`CHECK \("([a-z_0-9]+)" >= (\d+)\)`)
	set := regexp.MustCompile(`CHECK \("([a-z_0-9]+)" IN \(('[^)]*)\)\)`)
	for _, made := range collect(t, db.Query(), `SELECT t.name || ' ' || s.sql FROM build_tables t JOIN sqlite_schema s ON s.name = t.physical`) {
		table, _, _ := strings.Cut(made, " ")
		for _, m := range least.FindAllStringSubmatch(made, -1) {
			out = append(out, fmt.Sprintf("%s column %s from %s", table, m[1], m[2]))
		}
		for _, m := range set.FindAllStringSubmatch(made, -1) {
			out = append(out, fmt.Sprintf("%s column %s one of %s", table, m[1], strings.ReplaceAll(m[2], "'", "")))
		}
	}
	return out
}

func describePostgres(t *testing.T) []string {
	t.Helper()
	url := pgtest.Start(t)
	if err := postgres.Up(t.Context(), url, postgres.Namespace{}); err != nil {
		t.Fatal(err)
	}
	made, err := postgres.Open(t.Context(), url, postgres.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Close() }()
	shown(t, made)
	db, err := sql.Open("pgx", pgtest.With(url, "search_path=gxp"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var out []string
	const named = `(SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(%s) WITH ORDINALITY k (num, n) JOIN pg_attribute a ON a.attrelid = %s AND a.attnum = k.num)`
	for _, query := range []string{
		// The views, with their comments; what may be NULL is known of the tables behind them, whose comments are the same.
		`SELECT t.name || ' is: ' || obj_description(t.name::regclass) FROM build_tables t WHERE obj_description(t.name::regclass) = obj_description(t.physical::regclass)`,
		`SELECT t.name || ' column ' || v.attname || ' ' || CASE format_type(v.atttypid, v.atttypmod) WHEN 'bigint' THEN 'integer'
				WHEN 'timestamp with time zone' THEN 'timestamp' ELSE format_type(v.atttypid, v.atttypmod) END || ' null=' || (NOT p.attnotnull) || ': ' ||
				col_description(v.attrelid, v.attnum)
			FROM build_tables t JOIN pg_attribute v ON v.attrelid = t.name::regclass JOIN pg_attribute p ON p.attrelid = t.physical::regclass AND p.attname = v.attname
			WHERE v.attnum > 0 AND col_description(v.attrelid, v.attnum) = col_description(p.attrelid, p.attnum)
			AND (v.atttypid <> 'text'::regtype OR p.attcollation = 'pg_catalog."C"'::regcollation)`,
		`SELECT t.name || ' key ' || ` + fmt.Sprintf(named, "c.conkey", "c.conrelid") + ` FROM build_tables t JOIN pg_constraint c ON c.conrelid = t.physical::regclass AND c.contype = 'p'`,
		`SELECT t.name || ' references ' || ` + fmt.Sprintf(named, "c.conkey", "c.conrelid") + ` || ' to ' || ` + fmt.Sprintf(named, "c.confkey", "c.confrelid") + ` || ' of ' || p.name
			FROM build_tables t JOIN pg_constraint c ON c.conrelid = t.physical::regclass AND c.contype = 'f' AND c.convalidated AND c.condeferred
			JOIN build_tables p ON p.physical::regclass = c.confrelid`,
		`SELECT t.name || ' index ' || ` + fmt.Sprintf(named, "i.indkey", "i.indrelid") + ` FROM build_tables t JOIN pg_index i ON i.indrelid = t.physical::regclass
			WHERE i.indisvalid AND NOT i.indisprimary AND i.indexprs IS NULL`,
		`SELECT t.name || ' words ' || regexp_replace(regexp_replace(pg_get_indexdef(i.indexrelid), '^.*words\(VARIADIC ARRAY\[(.*)\]\)\)$', '\1'),
				'\((\w+) ->> ''(\w+)''::text\)', '\1.\2', 'g')
			FROM build_tables t JOIN pg_index i ON i.indrelid = t.physical::regclass JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam WHERE m.amname = 'gin'`,
		`SELECT t.name || ' only grows' FROM build_tables t JOIN pg_trigger g ON g.tgrelid = t.physical::regclass WHERE g.tgenabled = 'A' AND g.tgfoid = 'refuse'::regproc`,
		`SELECT t.name || ' column ' || m[1] || ' from ' || m[2] FROM build_tables t JOIN pg_constraint c ON c.conrelid = t.physical::regclass AND c.contype = 'c',
			regexp_match(pg_get_constraintdef(c.oid), '^CHECK \(\("?(\w+)"? >= (\d+)\)\)$') m WHERE m IS NOT NULL`,
		`SELECT t.name || ' column ' || m[1] || ' one of ' || replace(replace(m[2], '''::text', ''), '''', '') FROM build_tables t
			JOIN pg_constraint c ON c.conrelid = t.physical::regclass AND c.contype = 'c',
			regexp_match(pg_get_constraintdef(c.oid), '^CHECK \(\("?(\w+)"? = ANY \(ARRAY\[(.*)\]\)\)\)$') m WHERE m IS NOT NULL`,
		`SELECT t.name || ' column ' || m[1] || ' one of ' || m[2] FROM build_tables t
			JOIN pg_constraint c ON c.conrelid = t.physical::regclass AND c.contype = 'c',
			regexp_match(pg_get_constraintdef(c.oid), '^CHECK \(\("?(\w+)"? = ''(\w+)''::text\)\)$') m WHERE m IS NOT NULL`,
	} {
		out = append(out, collect(t, db, query)...)
	}
	return out
}
