// Package config says where the log and the tables are, and opens, creates and upgrades them there.
//
// [Settings] name a home folder and the addresses of a log and of tables on servers. Each kind of log is one entry of
// logDrivers, each kind of tables one of tablesDrivers: the schemes of its addresses, how an address is checked, how the
// log or the tables are opened, and how their schema is created and upgraded. Nothing else knows the kinds.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	logpostgres "github.com/gxpledger/gxpledger/eventstore/postgres"
	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
)

// DefaultHome is the home folder when nobody names one. It is in the current folder, which usually is that of a
// repository: see [Settings.CheckHome].
const DefaultHome = ".gxpledger"

// Bounds of [Settings.Lease]: a process must be able to renew its lease three times.
const (
	shortestLease = 100 * time.Millisecond
	longestLease  = 10 * time.Minute
)

// Settings say where the log and the tables are. The zero value is a log and tables in SQLite files in [DefaultHome].
type Settings struct {
	// Home is the folder of the SQLite files and of the spool. Defaults to [DefaultHome].
	Home string
	// Log is the address of the log. Defaults to a SQLite file in the home.
	Log Address
	// Tables is the address of the tables. Defaults to a SQLite file in the home.
	Tables Address
	// Lease is for how long a process that died keeps others from writing the tables, from 100 ms to 10 minutes. 0 stands
	// for the default of package projections.
	Lease time.Duration
	// RolePrefix begins the names of the roles on PostgreSQL, such as "lims_" for lims_gxp_writer. Everybody who uses a log or
	// tables gives the same. Defaults to nothing.
	RolePrefix string
}

func checkLease(ttl time.Duration) error {
	if ttl < shortestLease || ttl > longestLease {
		return leaseError(fmt.Sprintf("the lease is %s", ttl))
	}
	return nil
}

func leaseError(problem string) error {
	remedy := fmt.Sprintf("want a duration from %s to %s, such as 10s", shortestLease, longestLease)
	return &Error{Setting: Lease, Problem: problem, Remedy: remedy, Err: ErrInvalid}
}

// Check reports settings that nothing can be opened with, without opening anything: an [*Error] that wraps [ErrInvalid].
func (s Settings) Check() error {
	var lease error
	if s.Lease != 0 {
		lease = checkLease(s.Lease)
	}
	_, log := pick(Log, s.Log, logDrivers())
	_, tables := pick(Tables, s.Tables, tablesDrivers())
	return errors.Join(log, tables, lease, s.checkRolePrefix())
}

var rolePrefix = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]{0,39})?$`)

func (s Settings) checkRolePrefix() error {
	if rolePrefix.MatchString(s.RolePrefix) && !strings.HasPrefix(s.RolePrefix, "pg_") {
		return nil
	}
	return &Error{
		Setting: RolePrefix, Problem: fmt.Sprintf("the prefix of roles is %q", s.RolePrefix),
		Remedy: "want at most 40 letters, digits, _ and -, not beginning with pg_ or a digit", Err: ErrInvalid,
	}
}

// logNamespace says whose a log on PostgreSQL is.
func (s Settings) logNamespace() logpostgres.Namespace {
	return logpostgres.Namespace{Owner: s.RolePrefix + logpostgres.DefaultOwner, Writer: s.RolePrefix + LogWriter}
}

// tablesNamespace returns the address of the server of the tables, and where they are in its database and whose.
func (s Settings) tablesNamespace() (string, tablespostgres.Namespace) {
	address, namespace := s.Tables.namespace()
	return address, withRoles(namespace, s.RolePrefix)
}

func withRoles(namespace tablespostgres.Namespace, prefix string) tablespostgres.Namespace {
	namespace.Owner, namespace.Writer, namespace.Reader = prefix+tablespostgres.DefaultOwner, prefix+TablesWriter, prefix+TablesReader
	return namespace
}

// HomeFolder returns the path of the home.
func (s Settings) HomeFolder() string { return cmp.Or(s.Home, DefaultHome) }

// The files of a home.
const (
	logFile    = "log.db"
	tablesFile = "tables.db"
	spoolDir   = "spool"
)

// LogFile returns the path of the log in the home, whether or not that is the one to use.
func (s Settings) LogFile() string { return filepath.Join(s.HomeFolder(), logFile) }

// TablesFile returns the path of the tables in the home, whether or not those are the ones to use.
func (s Settings) TablesFile() string { return filepath.Join(s.HomeFolder(), tablesFile) }

// SpoolFolder returns the path of the folder for failures of scans that the log could not take.
func (s Settings) SpoolFolder() string { return filepath.Join(s.HomeFolder(), spoolDir) }

// LogName names the log to people: a path, or an address without passwords.
func (s Settings) LogName() string { return cmp.Or(s.Log.String(), s.LogFile()) }

// SpooledLogName names the log in the spool: its address without passwords, or the name of its file in the home, which
// may be moved together with the spool.
func (s Settings) SpooledLogName() string { return cmp.Or(s.Log.String(), logFile) }

// TablesName names the tables to people: the home, or a schema and an address without passwords.
func (s Settings) TablesName() string {
	if s.Tables.Local() {
		return s.HomeFolder()
	}
	_, namespace := s.Tables.namespace()
	return "schema " + cmp.Or(namespace.Schema, tablespostgres.DefaultSchema) + " at " + s.Tables.String()
}

// WithLog returns the settings with the log at an address, or with sqlite:FOLDER in the home FOLDER.
func (s Settings) WithLog(address string) (Settings, error) {
	folder, local := strings.CutPrefix(address, "sqlite:")
	if !local {
		s.Log = Address(address)
		_, err := pick(Log, s.Log, logDrivers())
		return s, err
	}
	if s.Home, s.Log = strings.TrimPrefix(folder, "//"), ""; s.Home == "" {
		return s, &Error{Setting: Log, Err: ErrInvalid, Problem: "the address names no folder", Remedy: "want sqlite:FOLDER, the home of the log"}
	}
	return s, nil
}
