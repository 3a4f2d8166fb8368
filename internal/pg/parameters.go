package pg

// stage says when a parameter can be set first.
type stage int

const (
	// afterwards: the server may not know it, or keeps it from those who are no superuser. It is set when the session is
	// there, if the server knows it and it has another value.
	afterwards stage = iota
	// everywhere: it starts every session. Poolers take it too.
	everywhere
	// atStart: it starts a session unless a pooler refuses it. It may end or refuse the first statement.
	atStart
)

// Parameter is a run-time parameter of a session whose value correctness needs.
type Parameter struct {
	Name, Value string
	// Keep is another value that is left as it is: it is stricter.
	Keep string
	// Why says what goes wrong with another value.
	Why string

	stage stage
}

// Parameters returns the run-time parameters that are the same on every connection. It is the only list of them. Pools
// change few of them for themselves, after it.
//
// A parameter belongs here if another value changes what is stored or read, which statements are allowed, when they end,
// or how names are resolved. Those that change nothing but plans, cost and logs do not.
func Parameters() []Parameter {
	return []Parameter{
		{Name: "client_encoding", Value: "UTF8", stage: everywhere, Why: "text is converted, and other bytes are stored or read than were sent"},
		{Name: "standard_conforming_strings", Value: "on", stage: everywhere, Why: "backslashes in literals become escapes"},
		{Name: "DateStyle", Value: "ISO, MDY", stage: everywhere, Why: "dates as text are written and read in another order"},
		{Name: "TimeZone", Value: "UTC", stage: everywhere, Why: "times as text depend on a place"},
		{Name: "IntervalStyle", Value: "postgres", Why: "durations as text have another form"},
		{Name: "extra_float_digits", Value: "1", Why: "numbers as text lose digits"},
		{Name: "bytea_output", Value: "hex", Why: "bytes as text have another form"},
		{Name: "array_nulls", Value: "on", Why: "NULL in an array as text becomes a word"},
		{Name: "transform_null_equals", Value: "off", Why: "comparisons with NULL change their meaning"},
		{Name: "quote_all_identifiers", Value: "off", Why: "`verify` compares definitions of another form, and reports them"},

		{Name: "default_transaction_isolation", Value: "read committed", stage: atStart, Why: "appends fail, and a hot standby answers no query"},
		{Name: "default_transaction_read_only", Value: "off", stage: atStart, Why: "nothing can be written"},
		{Name: "default_transaction_deferrable", Value: "off", Why: "reads wait for other transactions"},

		{Name: "statement_timeout", Value: "0", stage: atStart, Why: "migrations, rebuilds and exports are cut short"},
		{Name: "lock_timeout", Value: "0", stage: atStart, Why: "processes that migrate at the same time fail instead of waiting for each other"},
		{Name: "idle_in_transaction_session_timeout", Value: "0", stage: atStart, Why: "reads whose rows are being worked on are cut short"},
		{Name: "idle_session_timeout", Value: "0", stage: atStart, Why: "connections that wait for news or hold a lock are closed"},
		{Name: "transaction_timeout", Value: "0", Why: "migrations, rebuilds and exports are cut short"},
		{Name: "tcp_user_timeout", Value: "0", Why: "a slow network counts as a lost one"},
		// The server notices soon that a client is gone.
		{Name: "tcp_keepalives_idle", Value: "5", Why: "locks of a client that vanished are held for hours"},
		{Name: "tcp_keepalives_interval", Value: "2", Why: "locks of a client that vanished are held for hours"},
		{Name: "tcp_keepalives_count", Value: "3", Why: "locks of a client that vanished are held for hours"},

		{Name: "search_path", Value: "", Why: "unqualified names mean objects of somebody else"},
		{Name: "row_security", Value: "off", Why: "policies of row level security hide rows without a word, where now they are an error"},
		{Name: "restrict_nonsystem_relation_kind", Value: "", Why: "views cannot be read"},
		{Name: "session_replication_role", Value: "origin", Why: "references between tables are not checked"},
		{Name: "synchronous_commit", Value: "on", Keep: "remote_apply", Why: "what was acknowledged may not be on disk"},
		{Name: "default_tablespace", Value: "", Why: "tables are created elsewhere"},
		{Name: "default_table_access_method", Value: "heap", Why: "tables are created in an untested format"},
	}
}
