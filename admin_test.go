package gxpledger_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
)

// scanned returns a ledger with one completed scan, and its home.
func scanned(t *testing.T, change ...func(*gxpledger.Config)) (ledger *gxpledger.Ledger, home string) {
	t.Helper()
	change = append(change, func(c *gxpledger.Config) { home = c.Home })
	ledger, request := newProduct(t, change...)
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	return ledger, home
}

// recordedActions returns the actions of administrators that the log has, in order.
func recordedActions(t *testing.T, ledger *gxpledger.Ledger) (actions []domain.AdminActed) {
	t.Helper()
	log, err := ledger.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for record, err := range log.ReadStream(t.Context(), eventstore.EngineStream, 0) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			t.Fatal(err)
		}
		if action, ok := event.(domain.AdminActed); ok {
			actions = append(actions, action)
		}
	}
	return actions
}

func TestAdminRefusesRequestsWithoutAReasonOrForUnknownProjections(t *testing.T) {
	t.Parallel()
	ledger, _ := scanned(t)
	admin := ledger.Admin()
	for name, call := range map[string]func(context.Context) error{
		"Pause":  func(ctx context.Context) error { _, err := admin.Pause(ctx, gxpledger.ActionRequest{}); return err },
		"Resume": func(ctx context.Context) error { _, err := admin.Resume(ctx, gxpledger.ActionRequest{}); return err },
		"Cancel": func(ctx context.Context) error { _, err := admin.Cancel(ctx, gxpledger.ActionRequest{}); return err },
		"Prune":  func(ctx context.Context) error { _, err := admin.Prune(ctx, gxpledger.PruneRequest{}); return err },
		"Skip": func(ctx context.Context) error {
			_, err := admin.Skip(ctx, gxpledger.SkipRequest{Position: 1})
			return err
		},
		"Rebuild": func(ctx context.Context) error { _, err := admin.Rebuild(ctx, gxpledger.RebuildRequest{}); return err },
		"CopyLog": func(ctx context.Context) error {
			_, err := admin.CopyLog(ctx, ledger, gxpledger.CopyRequest{})
			return err
		},
		"Retire": func(ctx context.Context) error {
			_, err := admin.Retire(ctx, gxpledger.RetireRequest{Repository: "pump"})
			return err
		},
		"unknown projection": func(ctx context.Context) error {
			_, err := admin.Pause(ctx, gxpledger.ActionRequest{Projections: []string{"artifact"}, Reason: "x"})
			return err
		},
		"long reason": func(ctx context.Context) error {
			_, err := admin.Pause(ctx, gxpledger.ActionRequest{Reason: strings.Repeat("x", 1001)})
			return err
		},
		"negative number to keep": func(ctx context.Context) error {
			_, err := admin.Prune(ctx, gxpledger.PruneRequest{Keep: -1, Reason: "x"})
			return err
		},
	} {
		if err := call(t.Context()); !errors.Is(err, gxpledger.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", name, err)
		}
	}
	if actions := recordedActions(t, ledger); len(actions) > 0 {
		t.Errorf("the log has %+v, want nothing", actions)
	}
}

func TestAdminRefusesWithoutALog(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	if _, err := ledger.Admin().Pause(t.Context(), gxpledger.ActionRequest{Reason: "x"}); !errors.Is(err, gxpledger.ErrNoLog) {
		t.Errorf("Pause: error is %v, want ErrNoLog", err)
	}
	if _, err := ledger.Admin().Status(t.Context()); !errors.Is(err, gxpledger.ErrNoLog) {
		t.Errorf("Status: error is %v, want ErrNoLog", err)
	}
}

func TestActionsAreRecordedWithActorAndReason(t *testing.T) {
	t.Parallel()
	ledger, _ := scanned(t)
	admin, ctx := ledger.Admin(), t.Context()
	one := gxpledger.ActionRequest{Projections: []string{gxpledger.Audit}, Actor: "grace", Reason: "upgrade"}
	paused, err := admin.Pause(ctx, one)
	if err != nil || paused.NotProjected != nil || len(paused.Actions) != 1 || paused.Actions[0].Recorded == nil {
		t.Fatalf("Pause returns %+v, %v", paused, err)
	}
	if _, err := admin.Resume(ctx, one); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Resume(ctx, one); !errors.Is(err, projections.ErrNotPaused) {
		t.Errorf("a projection that is named and not paused: error is %v, want ErrNotPaused", err)
	}
	idle, err := admin.Resume(ctx, gxpledger.ActionRequest{Reason: "x"})
	if err != nil || len(idle.Actions) != 3 || idle.Actions[0].Recorded != nil {
		t.Errorf("resume of all, none of which is paused, returns %+v, %v", idle, err)
	}
	if _, err := admin.Rebuild(ctx, gxpledger.RebuildRequest{Projections: one.Projections, Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	current, err := admin.Rebuild(ctx, gxpledger.RebuildRequest{Outdated: true, Reason: "test"})
	if err != nil || len(current.Rebuilt) != 0 || len(current.Current) != 3 {
		t.Errorf("a rebuild of outdated tables, of which there are none, returns %+v, %v", current, err)
	}
	pruned, err := admin.Prune(ctx, gxpledger.PruneRequest{Reason: "disk space"})
	if err != nil || len(pruned.Actions) != 3 || pruned.Actions[1].Recorded == nil || pruned.Actions[1].Builds[0] != 1 {
		t.Errorf("Prune returns %+v, %v", pruned, err)
	}
	var got []string
	for _, a := range recordedActions(t, ledger) {
		got = append(got, a.Action+" "+a.Target+" by "+a.Actor+": "+a.Reason+", "+a.Outcome+" "+a.Arguments["builds"])
	}
	want := "projection.pause audit by grace: upgrade, succeeded \nprojection.resume audit by grace: upgrade, succeeded \n" +
		"projection.rebuild audit by ada: test, succeeded \nprojection.prune audit by ada: disk space, succeeded 1"
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("the log has\n%s\nwant\n%s", text, want)
	}
	builds, err := admin.Builds(ctx, gxpledger.Audit)
	if err != nil || len(builds) != 1 || builds[0].Build != 2 || builds[0].State != projections.BuildActive {
		t.Errorf("Builds returns %+v, %v", builds, err)
	}
}

// failingLog refuses appends to the stream of the engine.
type failingLog struct{ eventstore.Log }

var errDisk = errors.New("disk is full")

func (l failingLog) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if b.Stream == eventstore.EngineStream {
		return eventstore.Appended{}, errDisk
	}
	return l.Log.Append(ctx, b)
}

func TestAnActionThatTheLogRefusesIsRecordedLater(t *testing.T) {
	t.Parallel()
	log := memory.New(time.Now)
	ledger, home := scanned(t, func(c *gxpledger.Config) { c.OpenedLog = failingLog{log} })
	_, err := ledger.Admin().Pause(t.Context(), gxpledger.ActionRequest{Projections: []string{gxpledger.Audit}, Reason: "x"})
	if unrecorded, ok := errors.AsType[*gxpledger.UnrecordedError](err); !ok || !errors.Is(unrecorded, errDisk) {
		t.Fatalf("error is %v, want an UnrecordedError", err)
	}
	// What is not recorded yet comes first: nothing more is done while the log refuses it.
	if _, err := ledger.Admin().Resume(t.Context(), gxpledger.ActionRequest{Reason: "x"}); !errors.Is(err, errDisk) || errors.As(err, new(*gxpledger.UnrecordedError)) {
		t.Errorf("error of the next action is %v, want that of the log", err)
	}
	if all, err := ledger.Admin().Status(t.Context()); err != nil || all[1].Paused == nil {
		t.Errorf("the status is %+v, %v, want that audit is paused", all, err)
	}
	again, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: home, OpenedLog: log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if _, err := again.Admin().Prune(t.Context(), gxpledger.PruneRequest{Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if actions := recordedActions(t, again); len(actions) != 1 || actions[0].Action != "projection.pause" {
		t.Errorf("the log has %+v, want the pause", actions)
	}
}

func TestSkipNamesWhereProjectionsStopped(t *testing.T) {
	t.Parallel()
	ledger, home := scanned(t)
	admin, ctx := ledger.Admin(), t.Context()
	_, err := admin.Skip(ctx, gxpledger.SkipRequest{Position: 3, Reason: "x"})
	if refused, ok := errors.AsType[*gxpledger.NotFaultedError](err); !ok || len(refused.Faulted) != 0 {
		t.Errorf("error is %v, want a NotFaultedError", err)
	}
	// The row of the next event is there already, so that the audit projection stops at it.
	db, err := sql.Open("sqlite", filepath.Join(home, "tables.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO audit_log__b1 SELECT 6, recorded_at, actor, action, resource_type, resource_id, repository_id,
		gxp_id, outcome, reason, summary, payload_sha256, scan_id, event_id, stream, revision, 6 FROM audit_log__b1 WHERE sequence = 5`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	paused, err := admin.Pause(ctx, gxpledger.ActionRequest{Projections: []string{gxpledger.History}, Reason: "x"})
	if err != nil || !errors.As(paused.NotProjected, new(*projections.EventError)) {
		t.Errorf("Pause returns %+v, %v, want that the audit trail does not show it", paused, err)
	}
	all, err := admin.Status(ctx)
	if err != nil || all[1].State != inspect.StateFaulted || all[1].Fault.Position != 6 || !all[1].NeedsAttention() {
		t.Fatalf("the status is %+v, %v, want that audit stopped at position 6", all, err)
	}
	if _, err := admin.Skip(ctx, gxpledger.SkipRequest{Position: 5, Reason: "x"}); !errors.As(err, new(*gxpledger.NotFaultedError)) {
		t.Errorf("a position before the fault: error is %v, want a NotFaultedError", err)
	}
	skipped, err := admin.Skip(ctx, gxpledger.SkipRequest{Position: 6, Reason: "forged row"})
	if err != nil || skipped.Actions[0].Projection != gxpledger.Audit || skipped.NotProjected != nil {
		t.Errorf("Skip returns %+v, %v", skipped, err)
	}
}

func TestACopyOfALogIsRefusedIntoAnotherHistory(t *testing.T) {
	t.Parallel()
	from, _ := scanned(t)
	other, _ := scanned(t)
	_, err := from.Admin().CopyLog(t.Context(), other, gxpledger.CopyRequest{Reason: "x"})
	if !errors.Is(err, transfer.ErrOtherHistory) {
		t.Errorf("error is %v, want ErrOtherHistory", err)
	}
}

func TestAnExportReplacesNothingButAnExport(t *testing.T) {
	t.Parallel()
	ledger, home := scanned(t)
	into := filepath.Join(t.TempDir(), "audit.db")
	request := gxpledger.ExportRequest{AsOf: "scan:1", Into: into}
	if _, err := ledger.Export(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Export(t.Context(), request); !errors.Is(err, gxpledger.ErrExportExists) {
		t.Errorf("error is %v, want ErrExportExists", err)
	}
	request.Replace = true
	if _, err := ledger.Export(t.Context(), request); err != nil {
		t.Error(err)
	}
	if err := ledger.Close(); err != nil { // or files beside the log say that it is in use
		t.Fatal(err)
	}
	again, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	request.Into = filepath.Join(home, "tables.db")
	if _, err := again.Export(t.Context(), request); !errors.As(err, new(*gxpledger.ConfigError)) {
		t.Errorf("error is %v, want that the tables of a ledger are not replaced", err)
	}
}

func TestMigrationsOfALedgerInItsHome(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	admin, ctx := ledger.Admin(), t.Context()
	before, err := admin.Migrations(ctx)
	if err != nil || before.Tables != nil || len(before.Log.Missing) == 0 {
		t.Fatalf("Migrations returns %+v, %v", before, err)
	}
	plan, err := admin.PlanMigrations(ctx)
	if err != nil || !strings.Contains(plan.Log.SQL, "CREATE TABLE") {
		t.Errorf("PlanMigrations returns %+v, %v", plan, err)
	}
	done, err := admin.Migrate(ctx)
	if err != nil || len(done.Log.Done) != len(before.Log.Missing) || len(done.Log.Missing) != 0 {
		t.Errorf("Migrate returns %+v, %v", done, err)
	}
}

func TestARunnerKeepsTheTablesAtTheHead(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	runner, err := ledger.Admin().Runner(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	log, err := ledger.Admin().Log(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Admin().Retire(ctx, gxpledger.RetireRequest{Repository: "pump", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	head, err := log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for behind := true; behind; {
		all, err := runner.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		behind = false
		for _, s := range all {
			behind = behind || s.Position < uint64(head)
		}
	}
	cancel()
	if err := errors.Join(<-ended, runner.Close(ctx)); err != nil {
		t.Error(err)
	}
}
