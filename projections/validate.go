package projections

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// identifier is what a projection, table or column may be called. Names go into SQL as they are.
var identifier = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// reserved begins the names of what the database keeps for itself.
var reserved = regexp.MustCompile(`^(sqlite|pg|projection|build|schema)_|^catalogue$`)

// Validate reports every fault of the definition: names, keys, references. The error wraps [ErrInvalid].
func (p Projection) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !identifier.MatchString(p.Name) {
		fault("name %q: want lower case letters, digits and single underscores", p.Name)
	}
	if p.Version < 1 {
		fault("version %d: counts from 1", p.Version)
	}
	if len(p.Tables) == 0 || len(p.Handles) == 0 || p.Apply == nil {
		fault("tables, handles and apply are required")
	}
	known := make(map[string]Table, len(p.Tables))
	for _, t := range p.Tables {
		if _, twice := known[t.Name]; twice {
			fault("table %s: defined twice", t.Name)
		}
		faults = append(faults, t.faults()...)
		known[t.Name] = t
		faults = append(faults, t.foreignFaults(known)...)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: projection %q: %w", ErrInvalid, p.Name, errors.Join(faults...))
	}
	return nil
}

func (t Table) faults() []error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("table %s: "+format, append([]any{t.Name}, args...)...))
	}
	if !identifier.MatchString(t.Name) || reserved.MatchString(t.Name) {
		fault("the name is not allowed")
	}
	seen := map[string]bool{}
	for _, c := range t.Columns {
		if !identifier.MatchString(c.Name) || seen[c.Name] {
			fault("column %q: the name is not allowed or used twice", c.Name)
		}
		if c.Type < Text || c.Type > JSON {
			fault("column %q: unknown type %d", c.Name, c.Type)
		}
		seen[c.Name] = true
	}
	if len(t.Key) == 0 || len(t.Key) > len(t.Columns) {
		fault("a key of one or more columns is required")
		return faults
	}
	for i, name := range t.Key {
		if c := t.Columns[i]; c.Name != name || c.Null {
			fault("key column %q: want the columns that the table begins with, without NULL", name)
		}
	}
	for _, index := range t.Indexes {
		if len(index.Columns) == 0 || !all(index.Columns, seen) {
			fault("index over %s: unknown column", strings.Join(index.Columns, ", "))
		}
	}
	return faults
}

// foreignFaults looks into the tables up to t alone, so that parents come before children.
func (t Table) foreignFaults(known map[string]Table) []error {
	var faults []error
	for _, f := range t.Foreign {
		parent, ok := known[f.Table]
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("table %s: references %s, which is not before it in this projection", t.Name, f.Table))
		case len(f.Columns) == 0 || len(f.Columns) != len(f.Targets):
			faults = append(faults, fmt.Errorf("table %s: reference to %s: as many targets as columns are required", t.Name, f.Table))
		case !all(f.Columns, t.names()) || !parent.unique(f.Targets):
			faults = append(faults, fmt.Errorf("table %s: reference to %s: want columns of the table and a key of %s", t.Name, f.Table, f.Table))
		}
	}
	return faults
}

// unique reports whether columns are the key of t or have a unique index.
func (t Table) unique(columns []string) bool {
	same := func(i Index) bool { return i.Unique && slices.Equal(i.Columns, columns) }
	return slices.Equal(t.Key, columns) || slices.ContainsFunc(t.Indexes, same)
}

func (t Table) names() map[string]bool {
	names := make(map[string]bool, len(t.Columns))
	for _, c := range t.Columns {
		names[c.Name] = true
	}
	return names
}

func all(names []string, known map[string]bool) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !known[n] })
}
