package gxpledger_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// cloneOf makes a folder with a product and an origin.
func cloneOf(t *testing.T, origin string) string {
	t.Helper()
	dir := t.TempDir()
	write(dir, map[string]string{"system_context.md": systemContext, "requirements/REQ-001.md": requirement, "user_stories/US-001.md": story})
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"remote", "add", "origin", origin}} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return dir
}

// A clone is the repository of its origin, in whatever way that is spelled, and on whatever machine it lies.
func TestSpellingsOfAnOriginAreOneRepository(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	for i, origin := range []string{
		"https://git.example.com/qa/pumps.git", "https://ada@Git.Example.com:443/qa/pumps", "ssh://git@git.example.com/qa/pumps.git/",
		"git@git.example.com:qa/pumps.git", "git.example.com:/qa/pumps", "[git.example.com:22]:qa/pumps.git",
	} {
		result, err := ledger.Scan(t.Context(), gxpledger.ScanRequest{Repository: cloneOf(t, origin), Worktree: true})
		if err != nil {
			t.Fatalf("%s: %v", origin, err)
		}
		if r := result.Report(); r.Repository.Name != "git.example.com/qa/pumps" || r.Number != i+1 || r.NewRepository != (i == 0) {
			t.Errorf("%s is scan %d of %q, new: %t; want scan %d of git.example.com/qa/pumps", origin, r.Number, r.Repository.Name, r.NewRepository, i+1)
		}
	}
}

// Settings are used by each scan until they change, and what is given for one scan is told with it.
func TestScansUseTheRecordedSettings(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	admin := ledger.Admin()
	broken := filepath.Join(request.Repository, ".gxp", "user_stories", "US-404.md")
	if _, err := admin.AddRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "change request 17", Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Links, now.Limits = domain.LinksFlag, map[string]int64{"files": 10}
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, []byte(strings.ReplaceAll(strings.ReplaceAll(story, "US-001", "US-404"), "REQ-001", "REQ-404")), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := ledger.Scan(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	head := first.Head()
	if head.Policy.Links != domain.LinksFlag || !maps.Equal(head.Settings.Limits, map[string]int64{"files": 10}) || len(head.Settings.Overrides) != 0 || head.Settings.Revision == nil || *head.Settings.Revision != 1 {
		t.Errorf("the scan says %+v, %+v; want the recorded settings of revision 1", head.Policy, head.Settings)
	}
	override := request
	override.Policy.Links, override.Limits = domain.LinksStrict, rosie.Limits{Files: 20}
	second, err := ledger.Scan(t.Context(), override)
	if _, refused := errors.AsType[*domain.RefusedError](err); !refused {
		t.Fatalf("got %v, want a refusal", err)
	}
	if set := second.Head().Settings; !slices.Equal(set.Overrides, []string{"limits", "links"}) || set.Limits["files"] != 20 {
		t.Errorf("the scan says %+v, want that links and limits were given for it", set)
	}
	if _, err := admin.ChangeRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Name: "pumps", Reason: "change request 18",
		Settings: func(domain.RepositorySettings) domain.RepositorySettings { return domain.RepositorySettings{} },
	}); err != nil {
		t.Fatal(err)
	}
	third, err := ledger.Scan(t.Context(), request) // by its former name
	if _, refused := errors.AsType[*domain.RefusedError](err); !refused {
		t.Fatalf("got %v, want a refusal: links are strict again", err)
	}
	if head := third.Head(); head.Repository.Name != "pumps" || head.Repository.ID != gxpledger.RepositoryID("pump") || head.Number != 3 {
		t.Errorf("it is scan %d of %+v, want scan 3 of pumps under the id of pump", head.Number, head.Repository)
	}
	wantIntact(t, ledger)
}

// A name belongs to one repository, and so does an address that is recorded for it.
func TestNamesAndAddressesBelongToOneRepository(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	admin := ledger.Admin()
	for _, r := range []gxpledger.RepositoryRequest{
		{Repository: "https://git.example.com/qa/pumps.git", Name: "pumps", Reason: "x"},
		{Repository: "git@git.example.com:qa/valves.git", Reason: "x"},
	} {
		if _, err := admin.AddRepository(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.ChangeRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "pumps", Name: "old pumps", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	address := func(a string) func(domain.RepositorySettings) domain.RepositorySettings {
		return func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Addresses = append(slices.Clone(now.Addresses), a)
			return now
		}
	}
	for what, err := range map[string]error{
		"a name that is known":   second(admin.AddRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "old pumps", Reason: "x"})),
		"a former name":          second(admin.AddRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "pumps", Reason: "x"})),
		"an address":             second(admin.AddRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "ssh://git.example.com/qa/pumps", Name: "other", Reason: "x"})),
		"the name of another":    second(admin.ChangeRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "git.example.com/qa/valves", Name: "old pumps", Reason: "x"})),
		"the address of another": second(admin.ChangeRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "git.example.com/qa/valves", Settings: address("git.example.com/qa/pumps"), Reason: "x"})),
	} {
		if _, refused := errors.AsType[*domain.NotChangedError](err); !refused {
			t.Errorf("%s: got %v, want a NotChangedError", what, err)
		}
	}
	// Without a name, the address finds it.
	result, err := ledger.Scan(t.Context(), gxpledger.ScanRequest{Repository: cloneOf(t, "git.example.com:qa/pumps.git"), Worktree: true})
	if err != nil || result.Head().Repository.Name != "old pumps" || result.Head().Repository.ID != gxpledger.RepositoryID("pumps") {
		t.Errorf("got %+v, %v; want old pumps", result.Head().Repository, err)
	}
	wantIntact(t, ledger)
}

// A scan from another address is refused, until the address is recorded.
func TestAnotherAddressIsAccepted(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	request := gxpledger.ScanRequest{Repository: cloneOf(t, "https://git.example.com/qa/pumps"), Worktree: true, Name: "pumps"}
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	request.Repository = cloneOf(t, "https://git.example.org/qa/pumps")
	_, err := ledger.Scan(t.Context(), request)
	if refused, ok := errors.AsType[*domain.RefusedError](err); !ok || !strings.Contains(refused.Error(), "git.example.com/qa/pumps") || !strings.Contains(refused.Error(), "git.example.org/qa/pumps") {
		t.Fatalf("got %v, want a refusal with both addresses", err)
	}
	request.AcceptAddress = true
	if _, err := ledger.Scan(t.Context(), request); !errors.Is(err, gxpledger.ErrInvalid) {
		t.Errorf("got %v, want that a reason is required", err)
	}
	request.Reason = "it moved"
	for range 2 { // the second has nothing to accept
		if _, err := ledger.Scan(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	request.AcceptAddress, request.Name = false, ""
	if result, err := ledger.Scan(t.Context(), request); err != nil || result.Head().Number != 5 {
		t.Errorf("scan %d, %v; want scan 5, found by its address", result.Head().Number, err)
	}
	wantIntact(t, ledger)
}

func second[T any](_ T, err error) error { return err }

// wantIntact verifies the log and the tables.
func wantIntact(t *testing.T, ledger *gxpledger.Ledger) {
	t.Helper()
	report, err := ledger.Verify(t.Context(), gxpledger.VerifyOptions{})
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("verify found %+v, %v", report.Faults, err)
	}
}

// A limit that is set to its default is none: scans record no defaults, and verify compares the two.
func TestSettingsThatAreDefaultsAreNone(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	admin := ledger.Admin()
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	files := rosie.DefaultLimits().Files
	if _, err := admin.ChangeRepository(t.Context(), gxpledger.RepositoryRequest{
		Repository: "pump", Reason: "x", Settings: func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Limits, now.MainLine = map[string]int64{"files": int64(files)}, "main"
			return now
		},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	wantIntact(t, ledger)
}

// An address that a retired repository had is free for another.
func TestTheAddressOfARetiredRepositoryIsFree(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	request := gxpledger.ScanRequest{Repository: cloneOf(t, "https://git.example.com/qa/pumps"), Worktree: true}
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Admin().Retire(t.Context(), gxpledger.RetireRequest{Repository: "git.example.com/qa/pumps", Reason: "replaced"}); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Scan(t.Context(), request); err == nil {
		t.Fatal("a retired repository was scanned")
	}
	if _, err := ledger.Admin().AddRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "git@git.example.com:qa/pumps", Name: "pumps-2", Reason: "replaces it"}); err != nil {
		t.Fatal(err)
	}
	result, err := ledger.Scan(t.Context(), request)
	if err != nil || result.Head().Repository.Name != "pumps-2" {
		t.Errorf("got a scan of %q, %v; want pumps-2", result.Head().Repository.Name, err)
	}
	wantIntact(t, ledger)
}

// A failure that waited for a log that could not be opened is one of the repository that has its address, whatever that is called.
func TestASpooledFailureFindsItsRepository(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	request := gxpledger.ScanRequest{Repository: cloneOf(t, "https://git.example.com/qa/pumps"), Worktree: true, Name: "pumps"}
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(t.TempDir(), "home")
	lost, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: home, Log: "postgres://ada@127.0.0.1:1/gone"})
	if err != nil {
		t.Fatal(err)
	}
	request.Name = ""
	if _, err := lost.Scan(t.Context(), request); err == nil {
		t.Fatal("a log that is not there was opened")
	}
	if err := lost.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := ledger.Admin().Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: home, OpenedLog: log, Log: "postgres://ada@127.0.0.1:1/gone"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}()
	request.Name = "pumps"
	result, err := again.Scan(t.Context(), request)
	if err != nil || result.Drained.Recorded != 1 || result.Head().Number != 3 {
		t.Errorf("scan %d, %d failures recorded first, %v; want scan 3 behind one failure", result.Head().Number, result.Drained.Recorded, err)
	}
}

// Tables that are paused know no new names: the log is asked instead, so that no second repository begins.
func TestPausedTablesAreNotAskedForNames(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	admin := ledger.Admin()
	if _, err := admin.Pause(t.Context(), gxpledger.ActionRequest{Projections: []string{gxpledger.Artifacts}, Reason: "upgrade"}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ChangeRepository(t.Context(), gxpledger.RepositoryRequest{Repository: "pump", Name: "pumps", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	request.Name = "pumps"
	result, err := ledger.Scan(t.Context(), request)
	if err != nil || result.Head().Repository.ID != gxpledger.RepositoryID("pump") || result.Head().Number != 2 {
		t.Errorf("scan %d of %+v, %v; want scan 2 under the id of pump", result.Head().Number, result.Head().Repository, err)
	}
}

// An address of one repository is not accepted for another.
func TestTheAddressOfAnotherIsNotAccepted(t *testing.T) {
	t.Parallel()
	ledger, _ := newProduct(t)
	pumps := gxpledger.ScanRequest{Repository: cloneOf(t, "https://git.example.com/qa/pumps"), Worktree: true}
	valves := gxpledger.ScanRequest{Repository: cloneOf(t, "https://git.example.com/qa/valves"), Worktree: true, Name: "valves"}
	for _, request := range []gxpledger.ScanRequest{pumps, valves} {
		if _, err := ledger.Scan(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	valves.Repository, valves.AcceptAddress, valves.Reason = pumps.Repository, true, "by mistake"
	if _, err := ledger.Scan(t.Context(), valves); !errors.As(err, new(*domain.NotChangedError)) {
		t.Errorf("got %v, want that the address is that of another", err)
	}
	if result, err := ledger.Scan(t.Context(), pumps); err != nil || result.Head().Number != 2 {
		t.Errorf("scan %d, %v; want scan 2 of pumps", result.Head().Number, err)
	}
}

// A repository that an older version named by the URL of its origin, and of which every scan failed, is the one that continues.
func TestARepositoryNamedByItsURLContinues(t *testing.T) {
	t.Parallel()
	const origin = "https://git.example.com/qa/pumps.git"
	log := memory.New(time.Now)
	records, err := recorder.New(log, recorder.DefaultConfig(time.Now, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = records.Record(t.Context(), recorder.Request{
		Scan: uuid.Must(uuid.NewV7()), Repository: domain.Repository{ID: gxpledger.RepositoryID(origin), Name: origin}, Actor: "ada",
		Policy: domain.DefaultPolicy(), StartedAt: time.Now(),
	}, func(context.Context, domain.State) (recorder.Reading, error) {
		return recorder.Reading{Faults: []domain.Violation{{Code: domain.ViolationNoGxP, Text: "there is no .gxp"}}}, nil
	})
	if !errors.As(err, new(*domain.RefusedError)) {
		t.Fatal(err)
	}
	ledger, _ := newProduct(t, func(c *gxpledger.Config) { c.OpenedLog = log })
	result, err := ledger.Scan(t.Context(), gxpledger.ScanRequest{Repository: cloneOf(t, origin), Worktree: true})
	if head := result.Head(); err != nil || head.Number != 2 || head.Repository.ID != gxpledger.RepositoryID(origin) {
		t.Errorf("scan %d of %+v, %v; want scan 2 of %s", head.Number, head.Repository, err, origin)
	}
}
