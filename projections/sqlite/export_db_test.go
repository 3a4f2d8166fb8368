package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func TestAnExportIsOneFileThatDescribesItself(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "kept.db")
	db, err := sqlite.OpenExport(t.Context(), path, sqlite.Options{Now: time.Now})
	must(t, err)
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	origin := projections.Origin{
		Log: uuid.MustParse("00000000-0000-4000-8000-000000000001"), Position: 7, RecordedAt: at, Head: 9, Given: "scan:1'--", MadeAt: at, MadeBy: "a test",
	}
	must(t, db.WriteOrigin(t.Context(), origin))
	if err := db.WriteOrigin(t.Context(), origin); err == nil {
		t.Error("the origin was written twice")
	}
	must(t, db.Close())
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("closed, there are %v, %v; want one file", files, err)
	}
	kept, err := sqlite.IsExport(t.Context(), path)
	if err != nil || !kept {
		t.Errorf("kept: %v, %v", kept, err)
	}
	reader, err := sqlite.OpenReadOnly(t.Context(), path)
	must(t, err)
	defer func() { must(t, reader.Close()) }()
	var got string
	must(t, reader.QueryRowContext(t.Context(),
		"SELECT log_id || ' ' || position || ' ' || recorded_at || ' ' || log_head || ' ' || as_of || ' ' || made_at || ' ' || made_by FROM about").Scan(&got))
	if want := "00000000-0000-4000-8000-000000000001 7 2026-03-01T12:00:00.123456Z 9 scan:1'-- 2026-03-01T12:00:00.123456Z a test"; got != want {
		t.Errorf("about says %s, want %s", got, want)
	}
}

func TestOtherFilesAreNotExports(t *testing.T) {
	t.Parallel()
	if kept, err := sqlite.IsExport(t.Context(), open(t).Path()); err != nil || kept {
		t.Errorf("live tables: %v, %v", kept, err)
	}
	path := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(path, []byte("no database at all, but long enough to be looked at as one: "+t.Name()), 0o600))
	if kept, err := sqlite.IsExport(t.Context(), path); err == nil || kept {
		t.Errorf("a text: %v, %v", kept, err)
	}
	if kept, err := sqlite.IsExport(t.Context(), path+".none"); err == nil || kept {
		t.Errorf("no file: %v, %v", kept, err)
	}
}
