package recorder_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

func TestAnAdminActionIsRecordedOnce(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	action := domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "admin", Reason: "why not", Outcome: "succeeded", At: clock()}
	first, err := d.recorder.RecordAction(t.Context(), action)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.recorder.RecordAction(t.Context(), action)
	if err != nil || again != first {
		t.Errorf("again at %d, %v; want %d", again, err, first)
	}
	action.Outcome = "failed"
	if _, err := d.recorder.RecordAction(t.Context(), action); !errors.Is(err, eventstore.ErrIDReused) {
		t.Errorf("got %v for another act of the same id, want ErrIDReused", err)
	}
	d.wantTypes("admin.acted")
}

func TestRetiredRepositoriesAreScannedNoMore(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	retire := func() error {
		_, err := retire(t, d.recorder,
			domain.RepositoryRetired{Repository: request().Repository, Actor: "admin", Reason: "gone", RetiredAt: clock()})
		return err
	}
	if err := retire(); !isNotChanged(err) {
		t.Fatalf("retiring an unknown repository: %v, want a NotChangedError", err)
	}
	d.mustRecord(req("REQ-001"))
	if err := retire(); err != nil {
		t.Fatal(err)
	}
	if err := retire(); !isNotChanged(err) {
		t.Errorf("retiring twice: %v, want a NotChangedError", err)
	}
	out, err := d.record(reads(req("REQ-001")))
	if err == nil || out.Failed == nil || out.Failed.Code != domain.ViolationRetired {
		t.Errorf("outcome %+v, %v; want a refusal", out, err)
	}
}

// Two who retire a repository at the same moment: one does, and the other is told that it is done.
func TestARepositoryIsRetiredOnce(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.mustRecord(req("REQ-001"))
	retire := func(actor string) error {
		_, err := retire(t, d.recorder,
			domain.RepositoryRetired{Repository: request().Repository, Actor: actor, Reason: "gone", RetiredAt: clock()})
		return err
	}
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		d.log.onAppend = nil
		if err := retire("the faster"); err != nil {
			t.Error(err)
		}
		return do()
	}
	if err := retire("the slower"); !isNotChanged(err) {
		t.Errorf("the slower is told %v, want a NotChangedError", err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed", "repository.retired")
	if last := d.records()[3]; last.Meta.Actor != "the faster" {
		t.Errorf("it was retired by %s", last.Meta.Actor)
	}
}

// What comes between is no matter: a scan that is recorded while somebody retires.
func TestRetiringGoesOnBehindAScan(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.mustRecord(req("REQ-001"))
	d.log.onAppend = func(_ int, do func() (eventstore.Appended, error)) (eventstore.Appended, error) {
		d.log.onAppend = nil
		d.mustRecord(req("REQ-001"))
		return do()
	}
	_, err := retire(t, d.recorder,
		domain.RepositoryRetired{Repository: request().Repository, Actor: "admin", Reason: "gone", RetiredAt: clock()})
	if err != nil {
		t.Fatal(err)
	}
	d.wantTypes("repository.registered", "artifact.parsed", "scan.completed", "scan.completed", "repository.retired")
}

// retire retires a repository.
func retire(t *testing.T, r *recorder.Recorder, retired domain.RepositoryRetired) (eventstore.Position, error) {
	t.Helper()
	return r.Change(t.Context(), recorder.Change{
		ID: uuid.Must(uuid.NewV7()), Repository: retired.Repository.ID, Actor: retired.Actor, Reason: retired.Reason,
		Decide: func(s domain.State) ([]domain.Event, error) { return domain.RetireRepository(s, retired) },
	})
}

func isNotChanged(err error) bool {
	_, ok := errors.AsType[*domain.NotChangedError](err)
	return ok
}
