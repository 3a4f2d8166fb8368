package gxpledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

const systemContext = `---
project_name: "pump"
version: "1.0.0"
gxp_risk_rating: HIGH
intended_use: "Controls an infusion pump."
---
`

const requirement = `---
gxp_id: REQ-001
title: "The pump stops when the line is blocked"
gxp_risk_rating: HIGH
---
`

const story = `---
gxp_id: US-001
title: "Stop on blockage"
parent_id: REQ-001
---
`

// folder writes a .gxp folder with a system context and the files given, by their paths in it, and returns the folder around
// it.
func folder(files map[string]string) string {
	dir, err := os.MkdirTemp("", "gxpledger-example-")
	if err != nil {
		panic(err)
	}
	write(dir, map[string]string{"system_context.md": systemContext})
	write(dir, files)
	return dir
}

func write(dir string, files map[string]string) {
	for name, text := range files {
		path := filepath.Join(dir, ".gxp", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
}

// recorded opens a ledger in which one scan of a requirement and a user story completed.
func recorded(ctx context.Context) (ledger *gxpledger.Ledger, product string, remove func()) {
	product = folder(map[string]string{"requirements/REQ-001.md": requirement, "user_stories/US-001.md": story})
	ledger, err := gxpledger.Open(ctx, gxpledger.Config{Home: filepath.Join(product, "ledger"), Actor: "ada"})
	if err == nil {
		_, err = ledger.Scan(ctx, gxpledger.ScanRequest{Repository: product, Worktree: true, Name: "pump"})
	}
	if err != nil {
		panic(err)
	}
	return ledger, product, func() {
		_ = ledger.Close()
		_ = os.RemoveAll(product)
	}
}

// Record the files of a folder and print the gaps in their traceability.
func Example() {
	ctx := context.Background()
	product := folder(map[string]string{"requirements/REQ-001.md": requirement, "user_stories/US-001.md": story})
	defer os.RemoveAll(product)

	ledger, err := gxpledger.Open(ctx, gxpledger.Config{Home: filepath.Join(product, "ledger")}) // or Log: "postgres://..."
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ledger.Close()

	result, err := ledger.Scan(ctx, gxpledger.ScanRequest{
		Repository: product, Name: "pump", Worktree: true, // or Ref: "v1.4" of a git repository
		Reason: "design review",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("scan %d recorded %d events\n", result.Completed.Number, len(result.Events))

	view, err := ledger.View(ctx, gxpledger.ViewOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	gaps, err := view.Gaps(ctx, query.Scope{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, gap := range gaps.Gaps {
		fmt.Printf("%s: %s\n", gap.Name(), gap.Gap)
	}
	// Output:
	// scan 1 recorded 5 events
	// US-001: no_spec
}

// A scan that a rule refuses records why, and nothing else.
func ExampleLedger_Scan_refused() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()

	write(product, map[string]string{"user_stories/US-002.md": "---\ngxp_id: US-002\ntitle: Alarm\nparent_id: REQ-404\n---\n"})
	result, err := ledger.Scan(ctx, gxpledger.ScanRequest{Repository: product, Worktree: true, Name: "pump"})
	if refused, ok := errors.AsType[*domain.RefusedError](err); ok {
		fmt.Printf("scan %d failed: %s in %s\n", result.Failed.Number, refused.Violations[0].Code, refused.Violations[0].Path)
	}
	// Output:
	// scan 2 failed: missing_parent in .gxp/user_stories/US-002.md
}

// Show what was true at an earlier scan.
func ExampleLedger_View_asOf() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()
	write(product, map[string]string{"requirements/REQ-002.md": "---\ngxp_id: REQ-002\ntitle: Alarm\n---\n"})
	if _, err := ledger.Scan(ctx, gxpledger.ScanRequest{Repository: product, Worktree: true, Name: "pump"}); err != nil {
		fmt.Println(err)
		return
	}

	for _, when := range []string{"scan:1", "scan:2"} {
		view, err := ledger.View(ctx, gxpledger.AsOf(when))
		if err != nil {
			fmt.Println(err)
			return
		}
		requirements, err := view.Artifacts(ctx, trace.GroupRequirements, query.ArtifactFilter{})
		if err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%s: position %d, requirements %d\n", when, view.Shown.Position, len(requirements))
		_ = view.Close()
	}
	// Output:
	// scan:1: position 5, requirements 1
	// scan:2: position 7, requirements 2
}

// Show everything that was ever recorded of an artifact.
func ExampleView_history() {
	ctx := context.Background()
	ledger, _, remove := recorded(ctx)
	defer remove()

	view, err := ledger.View(ctx, gxpledger.ViewOptions{Projections: []string{gxpledger.Artifacts, gxpledger.History}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	history, err := view.History(ctx, "", "REQ-001")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, entry := range history.Artifacts[0].Entries {
		fmt.Printf("scan %d: %s, by %s (%s)\n", entry.Scan, entry.What, entry.Actor, entry.ActorFrom)
	}
	// Output:
	// scan 1: new, by ada (claimed)
}

// Show the traceability matrix.
func ExampleView_matrix() {
	ctx := context.Background()
	ledger, _, remove := recorded(ctx)
	defer remove()

	view, err := ledger.View(ctx, gxpledger.ViewOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	matrix, err := view.Matrix(ctx, query.Scope{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s has %s: %s\n", matrix.Rows[0].Requirement.GxPID, matrix.Rows[0].UserStory.GxPID, matrix.Rows[0].State)
	// Output:
	// REQ-001 has US-001: missing
}

// Show the audit trail.
func ExampleView_audit() {
	ctx := context.Background()
	ledger, _, remove := recorded(ctx)
	defer remove()

	view, err := ledger.View(ctx, gxpledger.ViewOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	trail, err := view.Audit(ctx, query.AuditFilter{Action: "SCAN_COMPLETED"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range trail {
		fmt.Printf("%d %s by %s: %s\n", row.Sequence, row.Action, row.Actor, row.Outcome)
	}
	// Output:
	// 5 SCAN_COMPLETED by ada: succeeded
}

// Follow the scans from the position that was stored last.
func ExampleLedger_Follow() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ledger, _, remove := recorded(ctx)
	defer remove()

	stored := eventstore.Position(0) // from a store of one's own
	for record, err := range ledger.Follow(ctx, stored) {
		if err != nil {
			fmt.Println(err)
			return
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			fmt.Println(err)
			return
		}
		if done, ok := event.(domain.ScanCompleted); ok {
			fmt.Printf("scan %d of %s completed at position %d\n", done.Number, done.Repository.Name, record.Position)
		}
		if record.EndsBatch() {
			stored = record.Position
			stop() // a service would go on
			break
		}
	}
	fmt.Println("continue from", stored)
	// Output:
	// scan 1 of pump completed at position 5
	// continue from 5
}

// Keep a table of one's own, in a database of one's own: its rows and the position up to which they were made are written in
// one transaction, so that each event counts once, whatever is killed when.
func ExampleLedger_Follow_table() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ledger, product, remove := recorded(ctx)
	defer remove()

	db, err := sql.Open("sqlite", filepath.Join(product, "mine.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE titles (id TEXT PRIMARY KEY, title TEXT); CREATE TABLE cursor (position INTEGER);
		INSERT INTO cursor VALUES (0)`); err != nil {
		fmt.Println(err)
		return
	}
	if err := keepTitles(ctx, ledger, db); err != nil {
		fmt.Println(err)
		return
	}
	var titles, position int
	if err := db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM titles), position FROM cursor`).Scan(&titles, &position); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d titles up to position %d\n", titles, position)
	// Output:
	// 3 titles up to position 5
}

// keepTitles handles one batch. A service would do so for ever.
func keepTitles(ctx context.Context, ledger *gxpledger.Ledger, db *sql.DB) error {
	var position eventstore.Position
	if err := db.QueryRowContext(ctx, `SELECT position FROM cursor`).Scan(&position); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for record, err := range ledger.Follow(ctx, position) {
		if err != nil {
			return err
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return err
		}
		if parsed, ok := event.(domain.ArtifactParsed); ok {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO titles VALUES (?, ?)`, parsed.String(), parsed.Title); err != nil {
				return err
			}
		}
		if record.EndsBatch() {
			if _, err := tx.ExecContext(ctx, `UPDATE cursor SET position = ?`, int64(record.Position)); err != nil {
				return err
			}
			return tx.Commit()
		}
	}
	return nil
}

// Check the integrity of the log and of the tables.
func ExampleLedger_Verify() {
	ctx := context.Background()
	ledger, _, remove := recorded(ctx)
	defer remove()

	result, err := ledger.Verify(ctx, gxpledger.VerifyOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("intact: %t, events: %d, faults: %d, unknown: %d\n", result.Intact, result.Log.Events, len(result.Faults), len(result.Unknown))
	// Output:
	// intact: true, events: 5, faults: 0, unknown: 0
}

// Change how a repository is scanned: every scan uses the settings from then on.
func ExampleAdmin_ChangeRepository() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()

	changed, err := ledger.Admin().ChangeRepository(ctx, gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "links are repaired until May",
		Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Links = domain.LinksFlag
			return now
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s was changed by %s at position %d\n", changed.Repository, changed.Actor, changed.Position)
	result, err := ledger.Scan(ctx, gxpledger.ScanRequest{Repository: product, Worktree: true, Name: "pump"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the next scan has the policy for links:", result.Head().Policy.Links)
	// Output:
	// pump was changed by ada at position 6
	// the next scan has the policy for links: flag
}

// Retire a repository: it is scanned no more, and its history stays.
func ExampleAdmin_Retire() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()

	retired, err := ledger.Admin().Retire(ctx, gxpledger.RetireRequest{Repository: "pump", Reason: "replaced by pump-2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s was retired by %s at position %d\n", retired.Repository, retired.Actor, retired.Position)
	_, err = ledger.Scan(ctx, gxpledger.ScanRequest{Repository: product, Worktree: true, Name: "pump"})
	fmt.Println("another scan fails:", err != nil)
	// Output:
	// pump was retired by ada at position 6
	// another scan fails: true
}

// Trust the public key of a build server: scans verify evidence with it until it is revoked.
func ExampleAdmin_TrustKey() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()

	key, err := rosie.ParseKey([]byte(`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfwbRBT3iQJLNqDkRbRzb/TopT4pu
+Dtj/KoLZuQ01F7joYv7Q33Kc9OcmVu0hPICAbw0S51q4qSqGkNumc4uWg==
-----END PUBLIC KEY-----
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	trusted, err := ledger.Admin().TrustKey(ctx, gxpledger.TrustKeyRequest{Key: key, Name: "CI 2026", Reason: "change request 17"})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := ledger.Scan(ctx, gxpledger.ScanRequest{Repository: product, Worktree: true, Name: "pump"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the scan used", len(result.Head().Settings.Keys), "key")
	revoked, err := ledger.Admin().RevokeKey(ctx, gxpledger.RevokeKeyRequest{Fingerprint: trusted.Fingerprint, Reason: "the server was replaced"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s was trusted by %s and revoked by %s\n", revoked.Name, revoked.TrustedBy, revoked.RevokedBy)
	// Output:
	// the scan used 1 key
	// CI 2026 was trusted by ada and revoked by ada
}

// Rebuild the tables from the log while readers keep reading. The log records who did it and why.
func ExampleAdmin_Rebuild() {
	ctx := context.Background()
	ledger, _, remove := recorded(ctx)
	defer remove()

	result, err := ledger.Admin().Rebuild(ctx, gxpledger.RebuildRequest{
		Projections: []string{gxpledger.Artifacts}, Reason: "change request 17",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range result.Rebuilt {
		fmt.Printf("%s: build %d replaced build %d, compared %t, differing tables %d\n", r.Projection, r.Build, r.Replaced, r.Compared, len(r.Differing))
	}
	// Output:
	// artifacts: build 2 replaced build 1, compared true, differing tables 0
}

// Pause a projection, for instance while its database is upgraded, and resume it.
func ExampleAdmin_Pause() {
	ctx := context.Background()
	ledger, _, remove := recorded(ctx)
	defer remove()

	request := gxpledger.ActionRequest{Projections: []string{gxpledger.Audit}, Reason: "database upgrade"}
	if _, err := ledger.Admin().Pause(ctx, request); err != nil {
		fmt.Println(err)
		return
	}
	all, err := ledger.Admin().Status(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, status := range all {
		if status.Paused != nil {
			fmt.Printf("%s is paused by %s: %s\n", status.Name, status.Paused.By, status.Paused.Reason)
		}
	}
	if _, err := ledger.Admin().Resume(ctx, request); err != nil {
		fmt.Println(err)
	}
	// Output:
	// audit is paused by ada: database upgrade
}

// Copy a log to another ledger, of the same kind or another, and compare the copy.
func ExampleAdmin_CopyLog() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()
	archive, err := gxpledger.Open(ctx, gxpledger.Config{Home: filepath.Join(product, "archive")}) // or Log: "postgres://..."
	if err != nil {
		fmt.Println(err)
		return
	}
	defer archive.Close()

	copied, err := ledger.Admin().CopyLog(ctx, archive, gxpledger.CopyRequest{Reason: "end of the project"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d events copied and compared; recorded at position %d of the copy\n", copied.Events, copied.Action)
	// Output:
	// 5 events copied and compared; recorded at position 6 of the copy
}

// Export the tables as of a point in time, for any SQL tool.
func ExampleLedger_Export() {
	ctx := context.Background()
	ledger, product, remove := recorded(ctx)
	defer remove()

	exported, err := ledger.Export(ctx, gxpledger.ExportRequest{AsOf: "scan:1", Into: filepath.Join(product, "audit.db")})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range exported.Tables {
		if p.Projection == gxpledger.History {
			fmt.Printf("%s: %s has %d rows as of position %d\n", p.Projection, p.Tables[0].Table, p.Tables[0].Rows, exported.Shown.Position)
		}
	}
	// Output:
	// history: artifact_versions has 3 rows as of position 5
}
