// Package migrations holds the numbered SQL that makes and changes the databases, and applies it.
//
// Migrations go forward only: a log that was written is never made older. A file is named NNNN_name.sql, numbered from
// 0001 without a gap, and is never edited once it was released, since every database remembers the checksum of what was
// applied to it. All that a database lacks is applied in one transaction, so that a crash leaves it as it was.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

//go:embed sqlite
var files embed.FS

var fileName = regexp.MustCompile(`^([0-9]{4})_([a-z0-9_]+)\.sql$`)

// Migration is one numbered step.
type Migration struct {
	Version  int    // 1, 2, 3 and so on
	Name     string // what the file is called, without number and ending
	SQL      string // one or more statements, lines ended by a single newline
	Checksum string // SHA-256 of SQL, 64 lower-case hexadecimal digits
}

// Set is every migration of one database, in order. The zero value is empty and applies nothing.
type Set struct {
	name       string
	migrations []Migration
}

// SQLiteLog returns the migrations of the embedded log.
func SQLiteLog() (Set, error) { return Load(files, "sqlite/log") }

// SQLiteTables returns the migrations of what the SQLite tables need before any projection has built one.
func SQLiteTables() (Set, error) { return Load(files, "sqlite/tables") }

// SQLiteCursors returns the migrations of the embedded store of cursors.
func SQLiteCursors() (Set, error) { return Load(files, "sqlite/cursors") }

// Load reads a set from folder, whose name becomes the name of the set and is recorded in each database that it is
// applied to. Names that do not fit, gaps, duplicates, empty files and an empty folder are errors.
func Load(files fs.FS, folder string) (Set, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return Set{}, fmt.Errorf("cannot load migrations: %w", err)
	}
	if len(entries) == 0 {
		return Set{}, fmt.Errorf("load migrations: %s holds none", folder)
	}
	set := Set{name: folder}
	for i, entry := range entries { // sorted by name, which begins with the number
		m, err := load(files, path.Join(folder, entry.Name()))
		if err != nil {
			return Set{}, fmt.Errorf("cannot load migrations: %w", err)
		}
		if m.Version != i+1 {
			return Set{}, fmt.Errorf("load migrations: %s/%s: want number %04d here, there is a gap or a duplicate", folder, entry.Name(), i+1)
		}
		set.migrations = append(set.migrations, m)
	}
	return set, nil
}

func load(files fs.FS, name string) (Migration, error) {
	parts := fileName.FindStringSubmatch(path.Base(name))
	if parts == nil {
		return Migration{}, fmt.Errorf("%s: want a name like 0001_create.sql", name)
	}
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return Migration{}, err
	}
	// A checkout on Windows may have turned the newlines: the checksum must not depend on it.
	sql := strings.ReplaceAll(string(raw), "\r\n", "\n")
	if strings.TrimSpace(sql) == "" {
		return Migration{}, fmt.Errorf("%s: %w", name, errEmpty)
	}
	version, err := strconv.Atoi(parts[1])
	if err != nil {
		return Migration{}, fmt.Errorf("%s: %w", name, err)
	}
	sum := sha256.Sum256([]byte(sql))
	return Migration{Version: version, Name: parts[2], SQL: sql, Checksum: hex.EncodeToString(sum[:])}, nil
}

var errEmpty = errors.New("file is empty")

// Name names the set, such as "sqlite/log".
func (s Set) Name() string { return s.name }

// Version is the number of the last migration, 0 for the zero value.
func (s Set) Version() int { return len(s.migrations) }

// Migrations returns the steps in order. The caller owns the slice.
func (s Set) Migrations() []Migration { return append([]Migration(nil), s.migrations...) }

// Status is how far a database is.
type Status struct {
	Schema         string      // that holds what migrations made; "" where a database has no schemas
	Applied        []Migration // in order
	Missing        []Migration // in order
	Owner          string      // of the schema; "" when there is none
	Writer, Reader Role
	Access         []AccessProblem // that an administrator should know of
}

// Role is a role of a server that migrations give rights to.
type Role struct {
	Name  string // "" for none
	Ready bool   // it exists and has its rights
}
