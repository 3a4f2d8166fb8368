package migrations

import "fmt"

// NewerError says that a newer binary has migrated the database. Nothing was changed. Use that binary, or a later one.
type NewerError struct {
	Set   string // name of the set
	Found int    // the last migration that the database holds
	Known int    // the last one that this binary knows
}

// Error says what was found, what is known and what to do.
func (e *NewerError) Error() string {
	return fmt.Sprintf("database is at migration %d of %s, this binary knows only %d: use the newer gxpledger that migrated it",
		e.Found, e.Set, e.Known)
}

// ChangedError says that a migration was applied in another wording than this binary has. Nothing was changed.
type ChangedError struct {
	Set       string
	Version   int
	Name      string
	Applied   string // checksum that the database holds
	Available string // checksum of the migration in this binary
}

// Error names the migration.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("migration %04d_%s of %s differs from the one that was applied to this database (checksum %.12s, applied %.12s): "+
		"the binary or the database was altered, restore the one that is wrong", e.Version, e.Name, e.Set, e.Available, e.Applied)
}

// ForeignError says that the database is not one that the set belongs to. Nothing was changed.
type ForeignError struct {
	Set  string // name of the set
	Held string // name of the set that the database belongs to, "" when nothing of gxpledger made it
}

// Error says whose the database is.
func (e *ForeignError) Error() string {
	if e.Held == "" {
		return fmt.Sprintf("database holds tables that gxpledger did not make, want an empty or a %s database", e.Set)
	}
	return fmt.Sprintf("database is of %s, want one of %s: check which file is meant", e.Held, e.Set)
}

// RightsError says that the connected user lacks a right that Up needs. Nothing was changed.
type RightsError struct {
	User string // that is connected
	Text string // what it may not do
	SQL  string // gives the user the right
}

// Error says what is missing and what to do.
func (e *RightsError) Error() string {
	return fmt.Sprintf("user %s lacks a right: %s: run it as a superuser, or let one run: %s", e.User, e.Text, e.SQL)
}
