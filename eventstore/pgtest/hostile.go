package pgtest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Hostile returns values of run-time parameters with which something would go wrong.
func Hostile() map[string]string {
	return map[string]string{
		"client_encoding": "LATIN1", "standard_conforming_strings": "off", "DateStyle": "German", "TimeZone": "Asia/Kathmandu",
		"IntervalStyle": "sql_standard", "extra_float_digits": "-15", "bytea_output": "escape", "array_nulls": "off",
		"transform_null_equals": "on", "quote_all_identifiers": "on",
		"default_transaction_isolation": "serializable", "default_transaction_read_only": "on", "default_transaction_deferrable": "on",
		"statement_timeout": "20", "lock_timeout": "20", "idle_in_transaction_session_timeout": "20", "idle_session_timeout": "20",
		"transaction_timeout": "20", "tcp_user_timeout": "20",
		"tcp_keepalives_idle": "7200", "tcp_keepalives_interval": "75", "tcp_keepalives_count": "9",
		"search_path": "trap, pg_catalog", "row_security": "on", "restrict_nonsystem_relation_kind": "view", "session_replication_role": "replica",
		"synchronous_commit": "off", "default_tablespace": "pg_default", "default_table_access_method": "trap",
	}
}

// Trap makes what some hostile values name in the database at address: an access method, and a schema with operators with wrong results.
func Trap(tb testing.TB, address string) {
	tb.Helper()
	for _, s := range []string{
		"CREATE ACCESS METHOD trap TYPE TABLE HANDLER heap_tableam_handler",
		"CREATE SCHEMA trap",
		"CREATE FUNCTION trap.different(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
		"CREATE OPERATOR trap.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.different)",
		"CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.different)",
	} {
		change(tb, address, s)
	}
}

// SettingOverrides returns how somebody gives every session in the database at address other settings, by name. Each returns the address
// to connect to. What is changed at the server is changed from another database, admin.
func SettingOverrides() map[string]func(tb testing.TB, admin, address string, settings map[string]string) string {
	alter := func(what string) func(tb testing.TB, admin, address string, settings map[string]string) string {
		return func(tb testing.TB, admin, address string, settings map[string]string) string {
			tb.Helper()
			for name, value := range settings {
				if value = "'" + value + "'"; name == "search_path" {
					value = strings.Trim(value, "'") // a list
				}
				change(tb, admin, fmt.Sprintf("ALTER "+what+" SET %s = %s", databaseOf(tb, address), name, value))
			}
			return address
		}
	}
	return map[string]func(tb testing.TB, admin, address string, settings map[string]string) string{
		"role":     alter("ROLE CURRENT_USER IN DATABASE %s"),
		"database": alter("DATABASE %s"),
		"parameter": func(tb testing.TB, _, address string, settings map[string]string) string {
			tb.Helper()
			for name, value := range settings {
				address = With(address, strings.ToUpper(name)+"="+Escape(value))
			}
			return address
		},
		"options": func(tb testing.TB, _, address string, settings map[string]string) string {
			tb.Helper()
			return With(address, "options="+Escape(Switches(settings)))
		},
	}
}

// Switches returns settings as PGOPTIONS takes them.
func Switches(settings map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		out = append(out, "-c "+name+"="+strings.ReplaceAll(settings[name], " ", `\ `))
	}
	return strings.Join(out, " ")
}

// ResetSettings takes back what the ways changed at the server.
func ResetSettings(tb testing.TB, admin, address string) {
	tb.Helper()
	change(tb, admin, "ALTER ROLE CURRENT_USER IN DATABASE "+databaseOf(tb, address)+" RESET ALL")
	change(tb, admin, "ALTER DATABASE "+databaseOf(tb, address)+" RESET ALL")
}

// Escape escapes a value for an address. A plus sign would stay one.
func Escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

func databaseOf(tb testing.TB, address string) string {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

func change(tb testing.TB, address, statement string) {
	tb.Helper()
	if err := administer(address, statement); err != nil {
		tb.Fatal(err)
	}
}
