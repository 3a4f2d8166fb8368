package acceptance_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the tables are read as any SQL tool would
)

// openTables opens the tables of a home as any SQL tool would.
func openTables(t *testing.T, home string) *sql.DB {
	t.Helper()
	return openTablesAt(t, filepath.Join(home, "tables.db"))
}

func openTablesAt(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// rows returns the rows of a query, NULL as "-".
func rows(t *testing.T, db *sql.DB, query string, args ...any) [][]string {
	t.Helper()
	result, err := db.QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = result.Close() }()
	columns, err := result.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for result.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := result.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(columns))
		for i, c := range cells {
			row[i] = "-"
			if c.Valid {
				row[i] = c.String
			}
		}
		out = append(out, row)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func one(t *testing.T, db *sql.DB, query string, args ...any) string {
	t.Helper()
	all := rows(t, db, query, args...)
	if len(all) != 1 {
		t.Fatalf("%s: %d rows, want 1", query, len(all))
	}
	return all[0][0]
}

const artifactTables = "system_contexts requirements user_stories specs evidence documents"

// tableLines says of the tables of repository what oracle.lines says of a revision.
func tableLines(t *testing.T, db *sql.DB, repository string) []string {
	t.Helper()
	var out []string
	counts := map[string]int{}
	for table := range strings.FieldsSeq(artifactTables) {
		for _, r := range rows(t, db, `SELECT path, kind, gxp_id, title, risk, tier, status, validation_status, assurance_status,
			content_sha256, blob, size, fields FROM `+table+` WHERE repository_id = ?`, repository) {
			counts[r[1]]++
			out = append(out, artifactLines(t, r)...)
		}
	}
	for kind, n := range counts {
		out = append(out, fmt.Sprintf("count %s %d", kind, n))
	}
	out = append(out, evidenceLines(t, db, repository)...)
	out = append(out, linkLines(t, db, repository)...)
	out = append(out, riskLines(t, db, repository)...)
	for _, r := range rows(t, db, `SELECT DISTINCT path FROM findings WHERE repository_id = ? AND code = 'list_item'`, repository) {
		out = append(out, "list_item "+r[0])
	}
	members := one(t, db, `SELECT (SELECT count(*) FROM evidence_files WHERE repository_id = ?1) +
		(SELECT count(*) FROM evidence WHERE repository_id = ?1 AND kind = 'evidence_jws') +
		(SELECT count(*) FROM system_contexts WHERE repository_id = ?1) + (SELECT count(*) FROM requirements WHERE repository_id = ?1) +
		(SELECT count(*) FROM user_stories WHERE repository_id = ?1) + (SELECT count(*) FROM specs WHERE repository_id = ?1) +
		(SELECT count(*) FROM documents WHERE repository_id = ?1)`, repository)
	return append(out, "files "+members)
}

func artifactLines(t *testing.T, r []string) []string {
	t.Helper()
	var out []string
	say := func(format string, args ...any) { out = append(out, r[0]+" "+fmt.Sprintf(format, args...)) }
	say("kind %s", r[1])
	id := r[2]
	if r[1] == "system_context" {
		id = "-" // its id is a field of its own in the oracle
	}
	say("gxp_id %s", id)
	say("title %s", r[3])
	say("risk %s", r[4])
	say("tier %s", r[5])
	say("statuses %s, %s, %s", r[6], r[7], r[8])
	say("sha256 %s", r[9])
	if r[1] != "evidence_package" {
		say("blob %s size %s", r[10], r[11])
	}
	switch r[1] {
	case "system_context", "requirement", "user_story", "spec", "vendor_assessment":
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(r[12]), &fields); err != nil {
			t.Fatalf("%s: fields: %v", r[0], err)
		}
		keys := make([]string, 0, len(fields))
		for k := range fields {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		say("keys %v", keys)
		if r[1] == "system_context" {
			say("id %s version %s", unquote(fields["id"]), unquote(fields["version"]))
		}
	}
	return out
}

func unquote(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) }

func evidenceLines(t *testing.T, db *sql.DB, repository string) []string {
	t.Helper()
	var out []string
	for _, r := range rows(t, db, `SELECT path, kind, alg, kid, passed, failed, git_commit, system_state_hash, signer_file,
		problems FROM evidence WHERE repository_id = ?`, repository) {
		if r[1] == "evidence_jws" {
			out = append(out, fmt.Sprintf("%s signed alg %s kid %s passed %s failed %s", r[0], r[2], r[3], r[4], r[5]))
			continue
		}
		out = append(out, fmt.Sprintf("%s package alg %s kid %s commit %s state %s signer %s", r[0], r[2], r[3], r[6], r[7], r[8]))
		out = append(out, fmt.Sprintf("%s payload is the manifest: %v", r[0], !strings.Contains(r[9], "payload_mismatch")))
		var problems []struct {
			Code string `json:"code"`
			Path string `json:"path"`
		}
		if r[9] != "-" {
			if err := json.Unmarshal([]byte(r[9]), &problems); err != nil {
				t.Fatalf("%s: problems: %v", r[0], err)
			}
		}
		for _, p := range problems {
			out = append(out, fmt.Sprintf("%s problem %s %s", r[0], p.Code, p.Path))
		}
	}
	for _, r := range rows(t, db, `SELECT e.path, f.path, f.size, f.sha256 FROM evidence_files f JOIN evidence e
		ON e.repository_id = f.repository_id AND e.number = f.number WHERE f.repository_id = ?`, repository) {
		out = append(out, fmt.Sprintf("%s member %s size %s sha256 %s", r[0], r[1], r[2], r[3]))
	}
	return out
}

// oracleEdge names an edge as the oracle does: by the level of the child, too.
func oracleEdge(kind, edge string) string {
	switch kind {
	case "risk":
		return edge
	case "evidence_jws", "evidence_package":
		return "evidence." + edge
	default:
		return kind + "." + edge
	}
}

func linkLines(t *testing.T, db *sql.DB, repository string) []string {
	t.Helper()
	var out []string
	edges := map[string]int{}
	all := rows(t, db, `SELECT kind, path, gxp_id, edge, target, state FROM traceability_links WHERE repository_id = ?`, repository)
	for _, r := range all {
		edge := oracleEdge(r[0], r[3])
		edges[edge]++
		out = append(out, fmt.Sprintf("%s link %s -> %s", r[1], edge, r[4]))
		if r[5] != "resolved" {
			out = append(out, fmt.Sprintf("broken %s %s %s %s -> %s: %s", r[0], r[1], r[2], edge, r[4], r[5]))
		}
	}
	for edge, n := range edges {
		out = append(out, fmt.Sprintf("edge %s %d", edge, n))
	}
	return append(out, fmt.Sprintf("links %d", len(all)))
}

func riskLines(t *testing.T, db *sql.DB, repository string) []string {
	t.Helper()
	var out []string
	for _, r := range rows(t, db, `SELECT r.gxp_id, r.fields, r.requirement_id, r.risk, r.number FROM risks r
		WHERE repository_id = ?`, repository) {
		var specs []string
		for _, s := range rows(t, db, `SELECT target FROM traceability_links WHERE repository_id = ? AND number = ? AND
			edge = 'risk.spec' ORDER BY link_index`, repository, r[4]) {
			specs = append(specs, s[0])
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(r[1]), &fields); err != nil {
			t.Fatalf("%s: fields: %v", r[0], err)
		}
		out = append(out, fmt.Sprintf("risk %s date %v req %v level %s specs %v", r[0], fields["date"], fields["req"], r[3], specs))
	}
	return out
}
