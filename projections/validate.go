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
var reserved = regexp.MustCompile(`^(sqlite|pg|projection|build|schema|kept|catalogue)_|^catalogue$`)

// The longest names: with what is put behind them, such as a build's number, a database must not cut them.
const (
	longestTable  = 40
	longestColumn = 63
)

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

// word is what a closed set may hold. Words go into SQL as they are.
var word = regexp.MustCompile(`^[A-Za-z0-9_.]+$`)

func odd(text string) bool { return !word.MatchString(text) }

// faults are those of what the column of a table may hold.
func (c Column) faults(table string) []error {
	var faults []error
	if c.Type < Text || c.Type > JSON {
		faults = append(faults, fmt.Errorf("table %s: column %q: unknown type %d", table, c.Name, c.Type))
	}
	if c.OneOf != nil && c.Type != Text || c.AtLeast != nil && c.Type != Integer || slices.ContainsFunc(c.OneOf, odd) {
		faults = append(faults, fmt.Errorf("table %s: column %q: a closed set is of plain words of a text, a smallest value of an integer", table, c.Name))
	}
	return faults
}

func (t Table) faults() []error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("table %s: "+format, append([]any{t.Name}, args...)...))
	}
	if !identifier.MatchString(t.Name) || reserved.MatchString(t.Name) || len(t.Name) > longestTable {
		fault("the name is not allowed")
	}
	seen := map[string]bool{}
	for _, c := range t.Columns {
		if !identifier.MatchString(c.Name) || len(c.Name) > longestColumn || seen[c.Name] {
			fault("column %q: the name is not allowed or used twice", c.Name)
		}
		faults = append(faults, c.faults(t.Name)...)
		seen[c.Name] = true
	}
	if len(t.Key) == 0 || len(t.Key) > len(t.Columns) {
		fault("a key of one or more columns is required")
		return faults
	}
	for i, name := range t.Key {
		if c := t.Columns[i]; c.Name != name || c.Null || c.Type == JSON {
			fault("key column %q: want the columns that the table begins with, without NULL and JSON", name)
		}
	}
	for _, index := range t.Indexes {
		if err := t.indexFault(index); err != "" {
			fault("index over %s: %s", strings.Join(index.Columns, ", "), err)
		}
	}
	return faults
}

// indexFault says what is wrong with an index, "" when nothing is.
func (t Table) indexFault(index Index) string {
	if len(index.Columns) == 0 {
		return "want a column"
	}
	for _, name := range index.Columns {
		name, member, nested := strings.Cut(name, ".")
		i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
		switch {
		case i < 0:
			return "unknown column"
		case !index.Words && (nested || t.Columns[i].Type == JSON):
			return "JSON has no order"
		case index.Words && (nested != (t.Columns[i].Type == JSON) || nested && !identifier.MatchString(member)):
			return "want texts, or members of JSON"
		case index.Words && t.Columns[i].Type != Text && t.Columns[i].Type != JSON || index.Words && index.Unique:
			return "words are of texts, and not unique"
		}
	}
	return ""
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
