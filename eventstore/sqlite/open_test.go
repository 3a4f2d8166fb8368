package sqlite_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

func TestOpenMakesAFileForItsOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a log?with#odd%20name.db")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("the file has the mode %o, want 600", mode)
	}
}

// Whoever sets them in an order that SQLite does not heed gets pages of 4 KiB, without a word.
func TestANewLogHasLargePages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	open(t, path)
	head := make([]byte, 20)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := io.ReadFull(file, head); err != nil {
		t.Fatal(err)
	}
	if size := binary.BigEndian.Uint16(head[16:]); size != 16<<10 {
		t.Errorf("pages have %d bytes, want 16 KiB", size)
	}
	if head[18] != 2 || head[19] != 2 {
		t.Errorf("the file is of the versions %d and %d, want 2 and 2: WAL mode", head[18], head[19])
	}
}

func TestOpenRefusesWhatIsNoLog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"a text": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(strings.Repeat("This is no database.\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a SQLite database"},
		"a folder": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "unable to open"},
		"another database": {func(t *testing.T, path string) {
			t.Helper()
			exec(t, raw(t, path), "CREATE TABLE recipes (x)")
		}, "gxpledger did not make"},
		"a log of a newer gxpledger": {func(t *testing.T, path string) {
			t.Helper()
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			exec(t, raw(t, path), "INSERT INTO schema_migrations VALUES (99, 'sqlite/log', 'future', 'x', 'x')")
		}, "use the newer gxpledger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log.db")
			test.make(t, path)
			for kind, opener := range openers() {
				log, err := opener(t.Context(), path, sqlite.Options{Now: time.Now})
				if err == nil || log != nil || !strings.Contains(err.Error(), path) {
					t.Fatalf("%s: error is %v, want one that names the file", kind, err)
				}
				if kind == "Open" && !strings.Contains(err.Error(), test.want) {
					t.Errorf("error is %v, want one with %q", err, test.want)
				}
			}
		})
	}
}

func openers() map[string]func(context.Context, string, sqlite.Options) (*sqlite.Log, error) {
	return map[string]func(context.Context, string, sqlite.Options) (*sqlite.Log, error){
		"Open": sqlite.Open, "OpenReadOnly": sqlite.OpenReadOnly,
	}
}

func TestOpenRefusesABadPlaceAndBadOptions(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing", "log.db")
	for kind, opener := range openers() {
		if _, err := opener(t.Context(), missing, sqlite.Options{Now: time.Now}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: error is %v, want fs.ErrNotExist", kind, err)
		}
		for _, options := range []sqlite.Options{
			{}, {Now: time.Now, Poll: -1}, {Now: time.Now, BusyTimeout: -1}, {Now: time.Now, CheckpointBytes: -1},
		} {
			if _, err := opener(t.Context(), filepath.Join(t.TempDir(), "l"), options); !errors.Is(err, eventstore.ErrInvalid) {
				t.Errorf("%s %+v: error is %v, want ErrInvalid", kind, options, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "log.db")
	if _, err := sqlite.OpenReadOnly(t.Context(), path, sqlite.Options{Now: time.Now}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opening for reading made a file")
	}
}

func TestOpenReadOnlyRefusesALogThatMustBeMigrated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	exec(t, raw(t, path), "PRAGMA journal_mode = WAL") // a new file that somebody is about to make a log
	_, err := sqlite.OpenReadOnly(t.Context(), path, sqlite.Options{Now: time.Now})
	for _, part := range []string{"holds no log", "another process is creating the log", "restore the log from a backup", "which file is meant"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want %q in it", err, part)
		}
	}
	for _, part := range []string{"lacks 1 of 3 migrations", "upgrades it", "an older copy has replaced it", "restore the log from a backup"} {
		if err := sqlite.Incomplete(1, 3); !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want %q in it", err, part)
		}
	}
}

func openReadOnly(t *testing.T, path string) *sqlite.Log {
	t.Helper()
	log, err := sqlite.OpenReadOnly(t.Context(), path, sqlite.Options{Now: time.Now, Poll: 5 * time.Millisecond})
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

func appendTo(t *testing.T, log eventstore.Appender, stream eventstore.StreamID, size int) eventstore.Appended {
	t.Helper()
	appended, err := log.Append(t.Context(), eventstoretest.NewBatch(stream, eventstore.NoStream(), "w", 0, size))
	if err != nil {
		t.Fatal(err)
	}
	return appended
}

func TestReadOnlyFollowsWhoeverWrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	writer := open(t, path)
	appendTo(t, writer, "s-0", 3)
	reader := openReadOnly(t, path)
	if reader.ID() != writer.ID() {
		t.Errorf("the reader's id is %s, the writer's %s", reader.ID(), writer.ID())
	}
	n := 0
	for r, err := range reader.Subscribe(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; r.EndsBatch() && n < 30 {
			appendTo(t, writer, eventstore.StreamID(fmt.Sprintf("s-%d", n)), 3)
		}
		if n == 30 {
			break
		}
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	writer := open(t, path)
	appendTo(t, writer, "s", 100)
	file, wal := bytesOf(t, path), bytesOf(t, path+"-wal")
	reader := openReadOnly(t, path)
	for name, err := range map[string]error{
		"Append": second(reader.Append(t.Context(), eventstoretest.NewBatch("t", eventstore.NoStream(), "w", 0, 1))),
		"SaveSnapshot": reader.SaveSnapshot(t.Context(), eventstore.Snapshot{
			Stream: "s", EventID: uuid.New(), Version: 1, Data: []byte("x"),
		}),
	} {
		if !errors.Is(err, sqlite.ErrReadOnly) || !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrReadOnly", name, err)
		}
	}
	if err := firstFault(reader.Read(t.Context(), 0, eventstore.Filter{})); err != nil {
		t.Error(err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if bytesOf(t, path) != file || bytesOf(t, path+"-wal") != wal {
		t.Error("a log that was opened for reading changed its file")
	}
}

func second[A any](_ A, err error) error { return err }

// bytesOf reads a file of a log. It is not for a file that this process then goes on to write: closing it drops locks.
func bytesOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTimesNeverFall(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 1999) }
	var now time.Time
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	for _, step := range []struct{ clock, want int64 }{{200, 200}, {100, 200}, {300, 300}, {299, 300}} {
		now = at(step.clock)
		appended := appendTo(t, log, eventstore.StreamID(uuid.NewString()), 2)
		for r, err := range log.Read(t.Context(), appended.First-1, eventstore.Filter{}) {
			if err != nil || !r.RecordedAt.Equal(at(step.want).Truncate(time.Microsecond)) {
				t.Errorf("at %d recorded at %s, %v, want %d", step.clock, r.RecordedAt, err, step.want)
			}
		}
	}
}

// lockOut keeps every writer waiting until the test ends or release is called.
func lockOut(t *testing.T, path string) (release func()) {
	t.Helper()
	conn, err := raw(t, path).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABusyFileIsTransient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	release := lockOut(t, path)
	b := eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 2)
	if _, err := log.Append(t.Context(), b); !errors.Is(err, eventstore.ErrTransient) {
		t.Errorf("error is %v, want ErrTransient", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := log.Append(ctx, b); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want that of the context", err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != 0 {
		t.Errorf("readers wait for writers: %d, %v", head, err)
	}
	release()
	if appended, err := log.Append(t.Context(), b); err != nil || appended.Repeated {
		t.Errorf("append after the lock: %+v, %v", appended, err)
	}
}

// The write-ahead log does not grow for ever, however busily this process appends: what was moved into the file becomes
// more than the write-ahead log can hold.
func TestTheWriteAheadLogIsMovedInTheBackground(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, CheckpointBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	for i := 0; size(t, path) < 2*size(t, path+"-wal"); i++ {
		if i == 3000 {
			t.Fatalf("the file has %d bytes, the write-ahead log %d", size(t, path), size(t, path+"-wal"))
		}
		appendTo(t, log, eventstore.StreamID(uuid.NewString()), 100)
	}
	if err := firstFault(log.Read(t.Context(), 0, eventstore.Filter{})); err != nil {
		t.Error(err)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// An append of the same handle wakes a subscription; it does not wait for the next look at the file.
func TestAnAppendWakesTheSubscriptionsOfItsHandle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, Poll: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	appendTo(t, log, "s-0", 3)
	n := 0
	for r, err := range log.Subscribe(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 12 {
			break
		}
		if r.EndsBatch() {
			stream := eventstore.StreamID(fmt.Sprintf("s-%d", n))
			arrived := make(chan struct{})
			go func() { // while the subscription waits, or is about to
				close(arrived)
				appendTo(t, log, stream, 3)
			}()
			<-arrived
		}
	}
}
