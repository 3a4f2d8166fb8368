package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/verify/verifytest"
)

// raw opens the file of a log as any SQLite tool does.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// tampered is a closed log of 5 batches of 100 events in the streams s-0 to s-4, and its file without the
// triggers that would refuse what a test is about to do.
func tampered(t *testing.T) (path string, db *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	for i := range 5 {
		b := eventstoretest.NewBatch(eventstore.StreamID(fmt.Sprintf("s-%d", i)), eventstore.NoStream(), "w", i, 100)
		if _, err := log.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	db = raw(t, path)
	for _, table := range []string{"chunks", "streams", "contents", "event_ids", "log"} {
		for _, kind := range []string{"_no_update", "_no_delete"} {
			exec(t, db, "DROP TRIGGER "+table+kind)
		}
	}
	return path, db
}

// SHA-256 of "hello", and of 100,000 times "a".
const (
	helloHash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	manyHash  = "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee"
)

// The database itself refuses whoever comes with another tool (I10).
func TestTheFileRefusesToForget(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	b := eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 100)
	b.Contents = []eventstore.Blob{{SHA256: helloHash, Bytes: []byte("hello")}}
	if _, err := log.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	columns := "size, stream, last_revision, batch_first, batch_size, recorded_at, meta, ids, types, lengths, data, checksum"
	for _, statement := range []string{
		"UPDATE chunks SET data = x'00'",
		"UPDATE chunks SET recorded_at = 0 WHERE last = 64",
		"DELETE FROM chunks",
		"DELETE FROM chunks WHERE last = 100",
		"INSERT OR REPLACE INTO chunks SELECT * FROM chunks",
		"INSERT INTO chunks SELECT * FROM chunks WHERE last = 100 ON CONFLICT DO UPDATE SET data = x'00'",
		"INSERT OR REPLACE INTO chunks (last, " + columns + ") SELECT last + size, " + columns + " FROM chunks WHERE last = 100",
		"INSERT INTO chunks (last, " + columns + ") SELECT last + size + 1, " + columns + " FROM chunks WHERE last = 100",
		"UPDATE streams SET name = 'other'",
		"DELETE FROM streams",
		"INSERT OR REPLACE INTO streams (id, name) VALUES (1, 'other')",
		"INSERT OR REPLACE INTO streams (id, name) VALUES (9, 's')",
		"UPDATE event_ids SET batch = 7",
		"DELETE FROM event_ids",
		"UPDATE contents SET bytes = x'00'",
		"DELETE FROM contents",
		"INSERT OR REPLACE INTO contents SELECT sha256, 1, 0, x'00' FROM contents",
		"UPDATE log SET id = randomblob(16)",
		"DELETE FROM log",
		"INSERT OR REPLACE INTO log VALUES (1, randomblob(16), 0)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: error is %v, want a refusal", statement, err)
		}
	}
	n := 0
	for _, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 100 {
		t.Errorf("the log holds %d events, want 100", n)
	}
}

// firstFault reads seq to its end and returns the error that ends it.
func firstFault(seq iter.Seq2[eventstore.Record, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever is changed behind the log's back is found by whoever reads it, and named.
func TestAChangedRowIsCorrupt(t *testing.T) {
	t.Parallel()
	// Batch 3 of 100 events is at positions 201 to 300, in chunks that end at 264 and 300.
	for name, change := range map[string]string{
		"a byte of the data":          "UPDATE chunks SET data = CAST(replace(CAST(data AS TEXT), '\"index\":70', '\"index\":71') AS BLOB) WHERE last = 300",
		"a byte of an id":             "UPDATE chunks SET ids = unhex('FF' || substr(hex(ids), 3)) WHERE last = 300",
		"a type":                      "UPDATE chunks SET types = replace(types, 'type1', 'type9') WHERE last = 300",
		"a length":                    "UPDATE chunks SET lengths = replace(lengths, '[', '[1') WHERE last = 300",
		"the actor":                   "UPDATE chunks SET meta = replace(meta, '\"w\"', '\"x\"') WHERE last = 300",
		"the time":                    "UPDATE chunks SET recorded_at = recorded_at + 1 WHERE last = 300",
		"the size of the batch":       "UPDATE chunks SET batch_size = 36 WHERE last = 300",
		"the beginning of the batch":  "UPDATE chunks SET batch_first = 265 WHERE last = 300",
		"the checksum":                "UPDATE chunks SET checksum = zeroblob(32) WHERE last = 300",
		"the stream":                  "UPDATE chunks SET stream = 1, last_revision = 199 WHERE last = 300",
		"the revision":                "UPDATE chunks SET last_revision = 100 WHERE last = 300",
		"the name of the stream":      "UPDATE streams SET name = 's-9' WHERE name = 's-2'",
		"the whole chunk":             "UPDATE chunks SET size = 1, ids = substr(ids, 1, 16), types = '[]', lengths = '[]' WHERE last = 300",
		"the chunk is gone":           "DELETE FROM chunks WHERE last = 300",
		"the batch is gone":           "DELETE FROM chunks WHERE last IN (264, 300)",
		"the stream is gone":          "DELETE FROM streams WHERE name = 's-2'",
		"the chunk stands elsewhere":  "UPDATE chunks SET last = 1000 WHERE last = 300",
		"the checksum of another":     "UPDATE chunks SET checksum = (SELECT checksum FROM chunks WHERE last = 264) WHERE last = 300",
		"the data and ids of another": "UPDATE chunks SET (size, ids, types, lengths, data, checksum) = (SELECT size, ids, types, lengths, data, checksum FROM chunks WHERE last = 400) WHERE last = 300",
		"an unreadable metadata":      "UPDATE chunks SET meta = '{' WHERE last = 300",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, db := tampered(t)
			exec(t, db, change)
			log := open(t, path)
			for scan, seq := range map[string]iter.Seq2[eventstore.Record, error]{
				"Read":          log.Read(t.Context(), 0, eventstore.Filter{}),
				"ReadBackwards": log.ReadBackwards(t.Context(), 0, eventstore.Filter{}),
				"Read filtered": log.Read(t.Context(), 0, eventstore.Filter{StreamPrefix: "s-4"}),
			} {
				err := firstFault(seq)
				if !errors.Is(err, eventstore.ErrCorrupt) || !place.MatchString(err.Error()) {
					t.Errorf("%s: error is %v, want ErrCorrupt of positions 201 to 300", scan, err)
				}
			}
			if err := firstFault(log.Read(t.Context(), 400, eventstore.Filter{})); err != nil && !strings.Contains(name, "elsewhere") {
				t.Errorf("what is sound is not readable: %v", err)
			}
		})
	}
}

// place is one of the positions 201 to 300, or of 965 to 1000, where one of the changes puts the chunk.
var place = regexp.MustCompile(`positions? (2[0-9][0-9]|300|9[6-9][0-9])\b`)

func TestAMissingRevisionIsCorrupt(t *testing.T) {
	t.Parallel()
	path, db := tampered(t)
	exec(t, db, "DELETE FROM chunks WHERE last = 264") // the first 64 of 100 events of s-2
	log := open(t, path)
	for name, seq := range map[string]iter.Seq2[eventstore.Record, error]{
		"ReadStream":          log.ReadStream(t.Context(), "s-2", 0),
		"ReadStreamBackwards": log.ReadStreamBackwards(t.Context(), "s-2"),
	} {
		err := firstFault(seq)
		if !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), `stream "s-2": revision`) {
			t.Errorf("%s: error is %v, want ErrCorrupt of stream s-2", name, err)
		}
	}
}

func TestAChangedContentIsCorrupt(t *testing.T) {
	t.Parallel()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := encoder.EncodeAll(make([]byte, 64<<20), nil)
	other := encoder.EncodeAll([]byte(strings.Repeat("b", 100_000)), nil)
	if err := encoder.Close(); err != nil {
		t.Fatal(err)
	}
	packed := "WHERE sha256 = (SELECT sha256 FROM contents WHERE encoding = 1)"
	for name, change := range map[string]func(t *testing.T, db *sql.DB){
		"a flipped byte": func(t *testing.T, db *sql.DB) {
			t.Helper()
			exec(t, db, "UPDATE contents SET bytes = x'00' || substr(bytes, 2)")
		},
		"cut off": func(t *testing.T, db *sql.DB) {
			t.Helper()
			exec(t, db, "UPDATE contents SET bytes = substr(bytes, 1, 3)")
		},
		"empty":    func(t *testing.T, db *sql.DB) { t.Helper(); exec(t, db, "UPDATE contents SET bytes = x''") },
		"the size": func(t *testing.T, db *sql.DB) { t.Helper(); exec(t, db, "UPDATE contents SET size = size + 1") },
		"the encoding": func(t *testing.T, db *sql.DB) {
			t.Helper()
			exec(t, db, "UPDATE contents SET encoding = 1 - encoding")
		},
		"another content": func(t *testing.T, db *sql.DB) {
			t.Helper()
			exec(t, db, "UPDATE contents SET bytes = ? "+packed, other)
			exec(t, db, "UPDATE contents SET bytes = CAST('jello' AS BLOB) WHERE encoding = 0")
		},
		"a bomb": func(t *testing.T, db *sql.DB) {
			t.Helper()
			exec(t, db, "UPDATE contents SET bytes = ?, encoding = 1", bomb)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log.db")
			log := open(t, path)
			b := eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 1)
			b.Contents = []eventstore.Blob{{SHA256: helloHash, Bytes: []byte("hello")}, {SHA256: manyHash, Bytes: bytes.Repeat([]byte("a"), 100_000)}}
			if _, err := log.Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			db := raw(t, path)
			exec(t, db, "DROP TRIGGER contents_no_update")
			change(t, db)
			for _, hash := range []string{helloHash, manyHash} {
				if _, err := log.Content(t.Context(), hash); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), hash) {
					t.Errorf("error is %v, want ErrCorrupt of %s", err, hash)
				}
			}
		})
	}
}

// People read a log with the tools that they have.
func TestAnyToolShowsTheEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	b := eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 100)
	if _, err := log.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	rows, err := raw(t, path).QueryContext(t.Context(), `SELECT position, stream, revision, type, recorded_at,
		json_extract(meta, '$.actor'), batch_index, batch_size, data, id FROM readable_events ORDER BY position`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var want []eventstore.Record
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	n := 0
	for ; rows.Next(); n++ {
		var r eventstore.Record
		var at, id string
		if err := rows.Scan(&r.Position, &r.Stream, &r.Revision, &r.Type, &at, &r.Meta.Actor, &r.Meta.Index, &r.Meta.Size,
			&r.Data, &id); err != nil {
			t.Fatal(err)
		}
		w := want[n]
		if r.Position != w.Position || r.Stream != w.Stream || r.Revision != w.Revision || r.Type != w.Type ||
			at != w.RecordedAt.Format("2006-01-02T15:04:05.000000Z") || r.Meta.Actor != "w" || r.Meta.Index != w.Meta.Index ||
			r.Meta.Size != w.Meta.Size || !bytes.Equal(r.Data, w.Data) || id != strings.ReplaceAll(w.ID.String(), "-", "") {
			t.Errorf("row %d shows %+v at %s with id %s, want %+v", n, r, at, id, w)
		}
	}
	if err := rows.Err(); err != nil || n != 100 {
		t.Errorf("%d rows, %v, want 100", n, err)
	}
}

// Whoever makes checksums, chunks and guards again cannot change one thing alone.
func TestWhatABatchTellsTwiceIsCompared(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, func(t *testing.T) eventstore.Log {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "log.db"))
	})
}
