package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/verify/verifytest"
)

// Somebody with all rights gets around the triggers. Every reader says so, and where.
func TestReadersFindWhatWasForged(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]struct{ sql, want string }{
		"an event is gone":            {"DELETE FROM gxp_log.events WHERE position = 5", "position 5"},
		"the last event is gone":      {"DELETE FROM gxp_log.events WHERE position = 9", "position 9"},
		"a batch is gone":             {"DELETE FROM gxp_log.batches WHERE first = 4", ""},
		"a stream is gone":            {"DELETE FROM gxp_log.streams", ""},
		"other data":                  {`UPDATE gxp_log.events SET data = '\x7b7d' WHERE position = 5`, "position 5"},
		"another type":                {"UPDATE gxp_log.events SET type = 'x' WHERE position = 5", "position 5"},
		"another id":                  {"UPDATE gxp_log.events SET id = gen_random_uuid() WHERE position = 5", "position 5"},
		"another time":                {"UPDATE gxp_log.batches SET recorded_at = recorded_at + interval '1 us' WHERE first = 4", "position 4"},
		"another actor":               {`UPDATE gxp_log.batches SET meta = replace(meta, '"w"', '"v"') WHERE first = 4`, "position 4"},
		"metadata that is not JSON":   {"UPDATE gxp_log.batches SET meta = '{' WHERE first = 4", "position 4"},
		"another revision":            {"UPDATE gxp_log.batches SET revision = 100 WHERE first = 7", ""},
		"two events change places":    {"UPDATE gxp_log.events SET position = CASE position WHEN 4 THEN 104 ELSE 4 END WHERE position IN (4, 5); UPDATE gxp_log.events SET position = 5 WHERE position = 104", "position 4"},
		"another stream has its name": {"UPDATE gxp_log.streams SET name = 't'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := made(t)
			log := open(t, url)
			last := mustAppend(t, log, start("s", 3))
			last = mustAppend(t, log, after("s", last, 3))
			mustAppend(t, log, after("s", last, 3))
			forger := connect(t, url)
			for _, table := range []string{"events", "batches", "streams"} {
				exec(t, forger, "ALTER TABLE gxp_log."+table+" DISABLE TRIGGER ALL")
			}
			for statement := range strings.SplitSeq(forge.sql, "; ") {
				exec(t, forger, statement)
			}
			found := false
			for kind, read := range map[string]func() error{
				"forwards":  func() error { return lastError(log.Read(within(t), 0, eventstore.Filter{})) },
				"backwards": func() error { return lastError(log.ReadBackwards(within(t), 0, eventstore.Filter{})) },
				"one type": func() error {
					return lastError(log.Read(within(t), 0, eventstore.Filter{Types: []string{"x", "test.type0.v1", "test.type1.v1"}}))
				},
			} {
				err := read()
				if !errors.Is(err, eventstore.ErrCorrupt) {
					t.Errorf("%s: error is %v, want ErrCorrupt", kind, err)
					continue
				}
				found = found || strings.Contains(err.Error(), forge.want)
			}
			if !found {
				t.Errorf("no error names %s", forge.want)
			}
		})
	}
}

func lastError(seq func(func(eventstore.Record, error) bool)) error {
	var last error
	for _, err := range seq {
		last = err
	}
	return last
}

func TestOpenFindsACounterThatIsNotTheLastEvent(t *testing.T) {
	t.Parallel()
	url := made(t)
	mustAppend(t, open(t, url), start("s", 3))
	exec(t, connect(t, url), "UPDATE gxp_log.head SET position = 5")
	_, err := postgres.Open(within(t), url, postgres.Options{Now: time.Now})
	if !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("error is %v, want ErrCorrupt", err)
	}
}

// Rows that nobody appended are where the next event would: the append is refused, not renumbered.
func TestAppendRefusesToWriteOverForgedRows(t *testing.T) {
	t.Parallel()
	url := made(t)
	log := open(t, url)
	last := mustAppend(t, log, start("s", 1))
	exec(t, connect(t, url), "INSERT INTO gxp_log.events SELECT 2, $1, type, data, checksum FROM gxp_log.events", uuid.New())
	if _, err := log.Append(within(t), after("s", last, 1)); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("error is %v, want ErrCorrupt", err)
	}
}

func TestContentsAreChecked(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"other bytes":          `UPDATE gxp_log.contents SET bytes = '\x00', encoding = 0, size = 1`,
		"another size":         "UPDATE gxp_log.contents SET size = size + 1",
		"a size beyond reason": "UPDATE gxp_log.contents SET size = 1::bigint << 50",
		"a broken frame":       `UPDATE gxp_log.contents SET bytes = '\x28b52ffd', encoding = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := made(t)
			log := open(t, url)
			batch := start("s", 1)
			batch.Contents = []eventstore.Blob{blob(strings.Repeat("a", 1000))}
			mustAppend(t, log, batch)
			forger := connect(t, url)
			exec(t, forger, "ALTER TABLE gxp_log.contents DISABLE TRIGGER ALL")
			exec(t, forger, forge)
			if _, err := log.Content(within(t), batch.Contents[0].SHA256); !errors.Is(err, eventstore.ErrCorrupt) {
				t.Errorf("error is %v, want ErrCorrupt", err)
			}
		})
	}
}

// Whoever makes checksums and guards again cannot change one thing alone.
func TestWhatABatchTellsTwiceIsCompared(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, func(t *testing.T) eventstore.Log {
		t.Helper()
		return open(t, made(t))
	})
}
