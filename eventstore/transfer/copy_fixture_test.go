package transfer_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
)

// copyLog copies from to to, as somebody else would later.
func copyLog(t *testing.T, from transfer.Source, to transfer.Target) (transfer.Result, error) {
	t.Helper()
	order := transfer.Request{Action: uuid.Must(uuid.NewV7()), Actor: "mover", Reason: "a larger house", At: clock()}
	return transfer.Copy(t.Context(), from, to, order, nil)
}

func mustCopy(t *testing.T, from transfer.Source, to transfer.Target) transfer.Result {
	t.Helper()
	copied, err := copyLog(t, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

func recordsOf(t *testing.T, log eventstore.Reader) []eventstore.Record {
	t.Helper()
	var all []eventstore.Record
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func contentsOf(t *testing.T, log eventstore.ContentStore) map[string]string {
	t.Helper()
	all := map[string]string{}
	for hash, err := range log.ContentHashes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		data, err := log.Content(t.Context(), hash)
		if err != nil {
			t.Fatal(err)
		}
		all[hash] = string(data)
	}
	return all
}

// wantCopy checks that to is from and one admin action, which says from where it came.
func wantCopy(t *testing.T, from, to eventstore.Log, copied transfer.Result) {
	t.Helper()
	want, got := recordsOf(t, from), recordsOf(t, to)
	if len(got) != len(want)+1 {
		t.Fatalf("the copy has %d events, want %d and the act", len(got), len(want))
	}
	for i, w := range want {
		if !reflect.DeepEqual(got[i], w) {
			t.Fatalf("event %d of the copy is\n %+v\nwant\n %+v", i, got[i], w)
		}
	}
	if want, got := contentsOf(t, from), contentsOf(t, to); !reflect.DeepEqual(got, want) {
		t.Errorf("%d contents, want %d, the same", len(got), len(want))
	}
	last := got[len(got)-1]
	action, ok := decoded(t, last).(domain.AdminActed)
	arguments := map[string]string{
		"from_log": from.ID().String(), "from_head": fmt.Sprint(len(want)), "to_log": to.ID().String(),
	}
	if !ok || action.Action != "log.copied" || action.Actor != "mover" || action.Reason != "a larger house" || action.Outcome != "succeeded" ||
		!reflect.DeepEqual(action.Arguments, arguments) || last.Stream != eventstore.EngineStream {
		t.Errorf("the act is %+v in stream %s", action, last.Stream)
	}
	if copied.FromLog != from.ID() || copied.ToLog != to.ID() || copied.Events != uint64(len(want)) || copied.Action != last.Position ||
		int(copied.Last.From) != len(want) || copied.Last.From != copied.Last.To || len(copied.Lost) != 0 {
		t.Errorf("it says %+v", copied)
	}
}

func newSQLite(t *testing.T) eventstore.Log {
	t.Helper()
	log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func newPostgres(t *testing.T) eventstore.Log {
	t.Helper()
	url := pgtest.Start(t)
	if err := postgres.Up(t.Context(), url, postgres.Namespace{}); err != nil {
		t.Fatal(err)
	}
	log, err := postgres.Open(t.Context(), url, postgres.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func newMemory(*testing.T) eventstore.Log { return memory.New(time.Now) }

func decoded(t *testing.T, r eventstore.Record) domain.Event {
	t.Helper()
	e, err := eventstore.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var errLost = fmt.Errorf("%w: connection reset", eventstore.ErrTransient)

func text(saying string) eventstore.Blob {
	sum := sha256.Sum256([]byte(saying))
	return eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: []byte(saying)}
}

// naming is a batch that rejects one file for each of sayings, and stores it.
func naming(t *testing.T, stream eventstore.StreamID, expected eventstore.Expected, sayings ...string) eventstore.Batch {
	t.Helper()
	b := eventstoretest.NewBatch(stream, expected, "writer", 0, len(sayings))
	for i, saying := range sayings {
		blob := text(saying)
		rejected := domain.ArtifactRejected{Path: saying, Rejection: domain.Rejection{Content: domain.Content{SHA256: blob.SHA256, Size: int64(i%2) * int64(len(saying))}}}
		var err error
		if b.Events[i].Type, b.Events[i].Data, err = eventstore.Encode(rejected); err != nil {
			t.Fatal(err)
		}
		b.Contents = append(b.Contents, blob)
	}
	return b
}

// writeHistory appends n random batches to log: several streams and sizes, contents that several events name, contents
// that none names, other attempts, times that stand still and leap.
func writeHistory(t *testing.T, log eventstore.Appender, r *rand.Rand, n int) {
	t.Helper()
	streams := []eventstore.StreamID{"repository-a", "repository-b", eventstore.EngineStream}
	ends := map[eventstore.StreamID]eventstore.Expected{}
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range n {
		stream := streams[r.IntN(len(streams))]
		if ends[stream].IsZero() {
			ends[stream] = eventstore.NoStream()
		}
		b := eventstoretest.NewBatch(stream, ends[stream], "w", i, 1+r.IntN(5))
		if r.IntN(2) == 0 {
			b = naming(t, stream, ends[stream], fmt.Sprint("file ", r.IntN(6)), fmt.Sprint("file ", i))
		}
		if r.IntN(4) == 0 {
			b.Contents = append(b.Contents, text(fmt.Sprint("loose ", r.IntN(3))))
		}
		at = at.Add(time.Duration(r.IntN(3)) * 7 * time.Hour)
		b.RecordedAt, b.Meta.Attempt, b.Meta.TraceState = at, 1+r.IntN(3), fmt.Sprint("t=", i)
		appended, err := log.Append(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		ends[stream] = eventstore.AtRevision(appended.LastRevision)
	}
}

func mustAppend(t *testing.T, log eventstore.Appender, b eventstore.Batch) {
	t.Helper()
	if _, err := log.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}
