package kurrent_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// begun leaves a log as one who made it and was killed before the second look.
func begun(f *esdbtest.Fake, prefix string) {
	f.Put(prefix+"gxpledger-log", 0, "log.created.v1", []byte(`{"id":"`+uuid.NewString()+`"}`), nil)
}

// The later of two logs, one inside the other, whose maker was killed before it gave it up, harms nobody: the other goes on, and whoever
// opens the later one gives it up.
func TestALogWhoseMakerWasKilledGivesWay(t *testing.T) {
	t.Parallel()
	for name, prefixes := range map[string][2]string{"inside": {"a-", "a-b-"}, "around": {"a-b-", "a-"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, url := strict(t)
			used, later := url+"&streamPrefix="+prefixes[0], url+"&streamPrefix="+prefixes[1]
			log := open(t, used, unsaid())
			mustAppend(t, log, batch("repository-1", 0, 2))
			begun(f, prefixes[1])
			mustAppend(t, log, batch("repository-1", 1, 2))
			for range 2 {
				for _, log := range []*kurrent.Log{log, open(t, used, unsaid())} {
					if n := len(readAll(t, log)); n != 4 {
						t.Errorf("read %d records", n)
					}
					for _, fault := range examine(t, log) { // a warning
						if !strings.HasPrefix(fault, string(eventstore.WarningForeign)) {
							t.Errorf("found %q", fault)
						}
					}
				}
				_, err := kurrent.Open(within(t), later, unsaid())
				if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "given up") {
					t.Errorf("the later log: error is %v, want that it was given up", err)
				}
			}
			mustAppend(t, log, batch("repository-1", 2, 2))
		})
	}
}

// A log that was begun and not used is used by who opens it next, if nothing is in its way.
func TestALogWhoseMakerWasKilledIsUsed(t *testing.T) {
	t.Parallel()
	f, url := strict(t)
	begun(f, "a-")
	log := open(t, url+"&streamPrefix=a-", unsaid())
	mustAppend(t, log, batch("repository-1", 0, 2))
	begun(f, "a-b-")
	if n := len(readAll(t, log)); n != 2 {
		t.Errorf("read %d records", n)
	}
	f.PutBatch("a-b-engine", 0, 1, 0) // one that was used is no such log
	var last error
	for _, err := range open(t, url+"&streamPrefix=a-", unsaid()).Read(within(t), 0, eventstore.Filter{}) {
		last = err
	}
	if !errors.Is(last, eventstore.ErrCorrupt) {
		t.Errorf("error is %v, want ErrCorrupt", last)
	}
}
