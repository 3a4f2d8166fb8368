package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// names checks that verify finds faults, and names one with each code, place and text.
func (d *fixture) names(faults ...[3]string) {
	d.t.Helper()
	v := d.verify(3)
	for _, want := range faults {
		found := false
		for _, f := range v.Faults {
			found = found || f.Code == want[0] && strings.Contains(f.Where, want[1]) && strings.Contains(f.Text, want[2]) && f.Remedy != ""
		}
		if !found {
			text, _ := json.Marshal(v.Faults) //nolint:errchkjson // texts
			d.t.Errorf("verify names %s\nwant %q", text, want)
		}
	}
	if screen := d.run("verify").wantCode(3).stdout; !strings.Contains(screen, faults[0][1]) || !strings.Contains(screen, "found.") {
		d.t.Errorf("the screen is\n%s", screen)
	}
}

// What keeps a log on PostgreSQL append-only is looked at where no reading of it shows a fault (I10).
func TestVerifyNamesWhatGuardsALogOnPostgreSQLNoMore(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = made(t)
	d.scan(r).wantCode(0)
	d.verify(0)
	execute(t, d.env["GXPLEDGER_LOG"], "ALTER TABLE gxp_log.events DISABLE TRIGGER events_refuses", "DROP TRIGGER head_forward ON gxp_log.head",
		"GRANT UPDATE ON gxp_log.contents TO gxp_log_writer", "ALTER TABLE gxp_log.events DROP CONSTRAINT events_id")
	d.names(
		[3]string{"guard", "trigger events_refuses on events", "it is disabled"},
		[3]string{"guard", "trigger head_forward on head", "it is gone"},
		[3]string{"guard", "table contents", "role gxp_log_writer may UPDATE it"},
		[3]string{"guard", "role gxp_log_writer", "it may append and has the right to UPDATE contents"},
		[3]string{"guard", "constraint events_id on events", "it is gone"},
	)
	execute(t, d.env["GXPLEDGER_LOG"], "UPDATE gxp_log.head SET position = 3")
	d.run("scans").wantCode(1).says("log is corrupt", "the counter row is at 3, the last event at 4") // no command continues with it
	d.scan(r).wantCode(1).says("log is corrupt")
	d.names(
		[3]string{"file", "table head", "it says that the log ends at position 3, and the last event is at 4"},
		[3]string{"guard", "trigger head_forward on head", "it is gone"},
	)
	execute(t, d.env["GXPLEDGER_LOG"], "DROP TRIGGER head_refuses ON gxp_log.head", "DELETE FROM gxp_log.head")
	d.names([3]string{"unreadable", "the log", "the counter row, is gone"})
	execute(t, d.env["GXPLEDGER_LOG"], "DROP TABLE gxp_log.events CASCADE")
	d.names([3]string{"unreadable", "the log", "does not exist"})
}

// What an administrator of an event store does to streams is not seen by reading $all.
func TestVerifyNamesWhatWasDoneToStreamsOfAnEventStoreDB(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	f := esdbtest.StartFake(t)
	d.env["GXPLEDGER_LOG"] = f.URL()
	d.scan(r).wantCode(0)
	d.verify(0)
	stream := ""
	for _, e := range f.Of("") {
		if name := string(e.GetStreamIdentifier().GetStreamName()); strings.HasPrefix(name, "gxpledger.repository-") {
			stream = name
		}
	}
	f.Settings(stream, `{"$maxAge":3600,"$acl":{"$d":"$all"}}`)
	d.names([3]string{"guard", stream, "what is older than 3600 seconds"}, [3]string{"guard", stream, "access rules of its own"})
	f.Settings("gxpledger.gxpledger-log", `{"$tb":9223372036854775807}`)
	f.Forget("gxpledger.gxpledger-log", 1)
	d.run("scans").wantCode(1).says("log is corrupt")
	d.names([3]string{"unreadable", "the log", "tampered"})
}
