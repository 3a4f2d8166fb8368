package doctor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/internal/doctor"
)

func TestEachRuleSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	never := time.Time{}
	projection := func(state, retrying string) doctor.Finding {
		return doctor.Projections([]doctor.Projection{{Name: "audit", State: state, Lag: 7, Retrying: retrying}})[0]
	}
	for _, c := range []struct {
		got  doctor.Finding
		want doctor.State
		says string
	}{
		{doctor.Space("/h", 99*mib, 0), doctor.Bad, "99 MiB are free for /h"},
		{doctor.Space("/h", 100*mib, 0), doctor.Warning, "make room"},
		{doctor.Space("/h", 5*gib, 6*gib), doctor.Warning, "a rebuild or a backup may need as much again"},
		{doctor.Space("/h", 5*gib, 5*gib), doctor.Good, ""},
		{doctor.Access("/h", []string{"/h/log.db can be written by other users", "x"}, nil), doctor.Bad, "other users (and 1 more)"},
		{doctor.Access("/h", nil, []string{"/h/log.db"}), doctor.Warning, "/h/log.db can be read by other users"},
		{doctor.Access("/h", nil, nil), doctor.Good, ""},
		{doctor.Clock(now, now.Add(61*time.Second), never), doctor.Bad, "that of the database at 2026-03-01T12:01:01Z"},
		{doctor.Clock(now, now.Add(-61*time.Second), never), doctor.Bad, "synchronise the clocks"},
		{doctor.Clock(now, now.Add(time.Minute), never), doctor.Good, "agree"},
		{doctor.Clock(now, never, now.Add(2*time.Minute)), doctor.Bad, "the last event was recorded at 2026-03-01T12:02:00Z"},
		{doctor.Clock(now, never, now.Add(-time.Hour)), doctor.Good, "not behind the last event"},
		{doctor.Clock(now, never, never), doctor.Good, ""},
		{doctor.Guards([]string{"trigger x: it is gone"}), doctor.Bad, "trigger x: it is gone"},
		{doctor.Guards(nil), doctor.Good, ""},
		{doctor.Schema("log", 1, 2, true, nil), doctor.Bad, "lacks 2 of 3 migrations"},
		{doctor.Schema("log", 3, 0, false, nil), doctor.Bad, "gxpledger migrate up"},
		{doctor.Schema("log", 3, 0, true, []string{"others may connect"}), doctor.Warning, "others may connect"},
		{doctor.Schema("log", 3, 0, true, nil), doctor.Good, "3 migrations"},
		{doctor.Spool(0, never), doctor.Good, ""},
		{doctor.Spool(2, now), doctor.Warning, "2 failures of scans wait to be recorded, the oldest since 2026-03-01T12:00:00Z"},
		{doctor.Verified(now, never, 0, 0), doctor.Warning, "--verify-every"},
		{doctor.Verified(now, now, 1, 1), doctor.Bad, "found 1 faults"},
		{doctor.Verified(now, now, 0, 1), doctor.Unknown, "could not make 1 checks"},
		{doctor.Verified(now, now.AddDate(0, 0, -31), 0, 0), doctor.Warning, "ended at 2026-01-29"},
		{doctor.Verified(now, now, 0, 0), doctor.Good, ""},
		{doctor.Keys(0, 1), doctor.Warning, "keys trust"},
		{doctor.Keys(2, 1), doctor.Good, "evidence keys in force: 2, revoked: 1"},
		{projection("live", ""), doctor.Good, ""},
		{projection("catching-up", ""), doctor.Good, "7 positions behind"},
		{projection("live", "disk full"), doctor.Warning, "tried again: disk full"},
		{projection("paused", ""), doctor.Warning, "projections resume audit"},
		{projection("absent", ""), doctor.Warning, "makes them"},
		{projection("stalled", ""), doctor.Bad, "projections status"},
		{projection("faulted", "x"), doctor.Bad, "projections status"},
		{projection("mismatched", ""), doctor.Bad, "projections status"},
		{projection("something new", ""), doctor.Unknown, "projections status"},
		{doctor.CannotTell("disk", errors.New("no answer"), "look"), doctor.Unknown, "no answer"},
	} {
		if c.got.State != c.want || !strings.Contains(c.got.Text+" "+c.got.Remedy, c.says) || c.got.Check == "" || c.got.Text == "" || (c.got.State == doctor.Good) != (c.got.Remedy == "") {
			t.Errorf("%+v, want %s and %q", c.got, c.want, c.says)
		}
	}
}

func TestUnknownIsNotHealthy(t *testing.T) {
	t.Parallel()
	for state, want := range map[doctor.State]bool{doctor.Good: true, doctor.Warning: true, doctor.Bad: false, doctor.Unknown: false, "": false} {
		if got := doctor.Healthy([]doctor.Finding{{State: doctor.Good}, {State: state}}); got != want {
			t.Errorf("%q: healthy is %t", state, got)
		}
	}
}
