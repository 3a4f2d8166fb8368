package projections

import (
	"reflect"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Event is a record with its decoded form.
type Event struct {
	eventstore.Record
	Event domain.Event
}

// Projection builds the tables that it alone writes.
type Projection struct {
	Name string // lower case, letters and underscores
	// Version grows whenever Tables or Apply change what the rows look like. A build belongs to one version.
	Version int
	Tables  []Table // parents before children
	// Handles has one value, the zero one, of each type of event that Apply wants, in whatever version it is stored; the
	// others are passed over. Events are chosen by what they decode to: a new stored version reaches Apply at once.
	Handles []domain.Event
	// Apply adds to rows what the events of page mean, in order. It is pure and total: an error is a faulty event and
	// stops this projection. It keeps no reference to page or rows.
	Apply func(page []Event, rows *Rows) error
}

// Wants reports whether Handles has the type of e.
func (p Projection) Wants(e domain.Event) bool {
	return slices.ContainsFunc(p.Handles, func(h domain.Event) bool { return reflect.TypeOf(h) == reflect.TypeOf(e) })
}

// ColumnType is what a column holds, in both databases.
type ColumnType int

// The column types.
const (
	Text      ColumnType = iota + 1 // string
	Integer                         // int64 or int
	Boolean                         // bool; 0 or 1 in SQLite
	Timestamp                       // time.Time; in SQLite text, UTC, "2006-01-02T15:04:05.000000Z"
	JSON                            // json.RawMessage or []byte; text in SQLite
)

// Column is one column of a table.
type Column struct {
	Name string
	Type ColumnType
	Null bool   // NULL is allowed; Apply passes nil
	Doc  string // one sentence for the catalogue
	// OneOf is all that a text may be, beside NULL where that is allowed; nil for anything. The databases refuse another.
	OneOf []string
	// AtLeast is the smallest that an integer may be; nil for anything. The databases refuse a smaller one.
	AtLeast *int64
}

// ForeignKey is checked by the database at the end of each page.
type ForeignKey struct {
	Columns []string
	Table   string // of the same projection
	Targets []string
}

// Index is built after a fresh build has been filled.
type Index struct {
	Columns []string
	Unique  bool
	// Words makes it a full-text index over the words of Columns together, which are texts; "fields.description" is the
	// member description of the JSON column fields. A database that finds words by reading every row does without.
	Words bool
}

// Table is a table of a projection. Readers see it under Name, a view over the active build.
type Table struct {
	Name    string
	Doc     string // one sentence for the catalogue
	Columns []Column
	Key     []string // primary key, a prefix of Columns, in an order that grows with the log where it can
	Foreign []ForeignKey
	Indexes []Index
	// AppendOnly makes the database refuse UPDATE and DELETE on the table (I10).
	AppendOnly bool
}

// OpKind is what an operation does.
type OpKind int

// The operations.
const (
	// OpInsert adds a row. Its key is new: a row with the same key is an error.
	OpInsert OpKind = iota + 1
	// OpUpsert adds a row or replaces the one with its key.
	OpUpsert
	// OpUpdate sets the columns named in Set of the row with the key Key. A missing row is an error.
	OpUpdate
	// OpDelete removes every row whose key begins with the values Key. No such row is no error.
	OpDelete
)

// Op is one operation on one table.
type Op struct {
	Kind  OpKind
	Table string
	Row   []any    // OpInsert, OpUpsert: a value for each column, in the order of the table
	Key   []any    // OpUpdate: the whole key; OpDelete: a prefix of it, at least one value
	Set   []string // OpUpdate: columns, none of them of the key
	To    []any    // OpUpdate: their values
}

// Rows collects the operations of a page. The database applies them in the order in which they were added. Values are
// nil, string, int, int64, bool, time.Time, []byte or json.RawMessage, as the column's type says. See [Column.Check].
type Rows struct {
	ops []Op
}

// Insert adds a row whose key is new.
func (r *Rows) Insert(table string, row ...any) {
	r.ops = append(r.ops, Op{Kind: OpInsert, Table: table, Row: row})
}

// Upsert adds a row or replaces the one with its key.
func (r *Rows) Upsert(table string, row ...any) {
	r.ops = append(r.ops, Op{Kind: OpUpsert, Table: table, Row: row})
}

// Update sets columns of one row.
func (r *Rows) Update(table string, key []any, set []string, to ...any) {
	r.ops = append(r.ops, Op{Kind: OpUpdate, Table: table, Key: key, Set: set, To: to})
}

// Delete removes every row whose key begins with prefix.
func (r *Rows) Delete(table string, prefix ...any) {
	r.ops = append(r.ops, Op{Kind: OpDelete, Table: table, Key: prefix})
}

// Ops returns what was added, in order. The slice is valid until the next call of a method of r.
func (r *Rows) Ops() []Op { return r.ops }

// Reset empties r for the next page and keeps its memory.
func (r *Rows) Reset() { r.ops = r.ops[:0] }
