package kurrent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// examine says what Examine finds.
func examine(t *testing.T, log *kurrent.Log) []string {
	t.Helper()
	var found []string
	err := log.CheckIntegrity(within(t), func(f eventstore.Fault) {
		if f.Remedy == "" || f.Position == 0 {
			t.Errorf("fault %+v does not say where it is or what to do", f)
		}
		found = append(found, fmt.Sprintf("%s %s: %s", f.Code, f.Where, f.Text))
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What no reading of $all shows: an event store goes on sending what was cut or deleted until it is scavenged, and nobody
// reads the streams alone.
func TestExamineFindsWhatAnAdministratorDid(t *testing.T) {
	t.Parallel()
	kept := blob("kept").SHA256
	for name, c := range map[string]struct {
		spoil func(f *esdbtest.Fake)
		want  []string
	}{
		"nothing": {func(*esdbtest.Fake) {}, nil},
		"what is not of the log": {func(f *esdbtest.Fake) {
			f.Settings("orders-1", `{"$maxCount":1}`)
			f.Settings("$settings", `{"$userStreamAcl":{"$d":"$admins"}}`)
			f.Bury("orders-2")
		}, nil},
		"settings that do nothing": {func(f *esdbtest.Fake) { f.Settings("mine-s", `{"owner":"ada","$cacheControl":3}`) }, nil},
		"settings that were taken back": {func(f *esdbtest.Fake) {
			f.Settings("mine-s", `{"$maxCount":1}`)
			f.Settings("mine-s", `{}`)
		}, nil},
		"a limit of events":  {func(f *esdbtest.Fake) { f.Settings("mine-s", `{"$maxCount":1}`) }, []string{`guard stream "mine-s": it is cut to its last 1 events`}},
		"a limit of age":     {func(f *esdbtest.Fake) { f.Settings("mine-s", `{"$maxAge":60}`) }, []string{`guard stream "mine-s": what is older than 60 seconds`}},
		"a truncated stream": {func(f *esdbtest.Fake) { f.Settings("mine-s", `{"$tb":2}`) }, []string{`guard stream "mine-s": what is before its revision 2`}},
		"a deleted stream": {
			func(f *esdbtest.Fake) { f.Settings("mine-s", `{"$tb":9223372036854775807}`) },
			[]string{`guard stream "mine-s": it was deleted ($tb)`},
		},
		"a tombstoned stream": {func(f *esdbtest.Fake) { f.Bury("mine-t") }, []string{`guard stream "mine-t": it was deleted for ever`}},
		"access rules": {
			func(f *esdbtest.Fake) { f.Settings("mine-s", `{"$acl":{"$w":"$all"}}`) },
			[]string{`guard stream "mine-s": it has access rules of its own: {"$w":"$all"}`},
		},
		"settings that cannot be read": {func(f *esdbtest.Fake) { f.Settings("mine-s", `{`) }, []string{`guard stream "mine-s": it has settings that cannot be read`}},
		"a content that is cut": {
			func(f *esdbtest.Fake) { f.Settings("mine-content-"+kept, `{"$maxAge":1}`) },
			[]string{`guard stream "mine-content-` + kept + `": what is older than 1 seconds`},
		},
		"the log's own stream": {
			func(f *esdbtest.Fake) { f.Settings("mine-gxpledger-log", `{"$maxCount":5}`) },
			[]string{`guard stream "mine-gxpledger-log": it is cut to its last 5 events`},
		},
		"several": {func(f *esdbtest.Fake) {
			f.Settings("mine-t", `{"$maxCount":1,"$maxAge":2}`)
			f.Settings("mine-s", `{"$tb":1}`)
		}, []string{`stream "mine-s"`, `stream "mine-t": what is older`, `stream "mine-t": it is cut`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := esdbtest.StartFake(t)
			o := options()
			o.Prefix, o.NoPrefix = "mine-", false
			log := open(t, f.URL(), o)
			b := batch("s", 0, 3)
			b.Contents = []eventstore.Blob{blob("kept")}
			mustAppend(t, log, b)
			mustAppend(t, log, batch("t", 0, 3))
			c.spoil(f)
			found := examine(t, log)
			if len(found) != len(c.want) {
				t.Fatalf("found %q, want %d faults", found, len(c.want))
			}
			for i, part := range c.want {
				if !strings.Contains(found[i], part) {
					t.Errorf("found %q, want %q", found[i], part)
				}
			}
		})
	}
}

// A server of package esdbserver has no settings, and nothing to find.
func TestExamineOfOurServer(t *testing.T) {
	t.Parallel()
	log := open(t, newMemory(t).URL(), options())
	mustAppend(t, log, batch("s", 0, 3))
	if found := examine(t, log); len(found) != 0 {
		t.Errorf("found %q", found)
	}
}
