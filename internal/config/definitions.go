package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Form says what a value of a setting looks like.
type Form int

// The forms of values.
const (
	Text     Form = iota
	URL           // an [Address]
	File          // a path; relative ones in a configuration file start at its folder
	Listener      // HOST:PORT
	Duration      // such as 30s
	Switch        // true or false
	List          // texts; in a variable of the environment separated by commas
)

// Definition is one setting: where it may be set, and what it takes. Flags, names of variables, keys of the configuration
// file, its JSON Schema and docs/configuration.md are all made from [Definitions].
type Definition struct {
	// Key is the name of the setting. It is a key of the configuration file, unless Secret is set.
	Key string
	// Variable is the variable of the environment.
	Variable string
	// Flag is the flag of the command line; "" for none.
	Flag string
	// Command has the flag; "" for every command.
	Command string
	Form    Form
	// About is a noun phrase, for help. The name of the value is in backquotes.
	About string
	// Default is the value that stands for none; "" for none.
	Default string
	// Secret is never shown and not read from a file.
	Secret bool
	// Server is refused in a file that nobody named, in the home that nobody named: it says where to connect to or listen at.
	Server bool
	// Named is read from a file that is named with --config alone.
	Named bool
	// least and most bound a [Duration].
	least, most time.Duration
}

// FileName is the name of the configuration file in a home.
const FileName = "gxpledger.yaml"

// The keys of settings that are not bound to one command.
const (
	keyHome, keyLog, keyTables, keyLease, keyRolePrefix = "home", "log.url", "tables.url", "tables.lease", "role-prefix"
	keyLogPassword, keyLogPasswordFile                  = "log.password", "log.password-file"
	keyTablesPassword, keyTablesPasswordFile            = "tables.password", "tables.password-file"
)

// Definitions returns every setting, in the order of the documentation. A new one is an entry here, and where its flag is made.
func Definitions() []Definition {
	return slices.Concat(storeDefinitions(), serverDefinitions())
}

func storeDefinitions() []Definition {
	const forever = 100 * 365 * 24 * time.Hour
	return []Definition{
		{Key: keyHome, Variable: "GXPLEDGER_HOME", Flag: "home", Form: File, Default: DefaultHome, Named: true, About: "`FOLDER` of the log and the tables"},
		{Key: keyLog, Variable: "GXPLEDGER_LOG", Flag: "log", Form: URL, Server: true, About: "`URL` of the log, " + LogForms() + ", instead of the SQLite file in the home"},
		{Key: keyLogPassword, Variable: "GXPLEDGER_LOG_PASSWORD", Secret: true, Server: true, About: "password for the user that the URL of the log names"},
		{
			Key: keyLogPasswordFile, Variable: "GXPLEDGER_LOG_PASSWORD_FILE", Form: File, Server: true,
			About: "`FILE` that holds that password; its last line end is not part of it",
		},
		{Key: keyTables, Variable: "GXPLEDGER_DB", Flag: "db", Form: URL, Server: true, About: "`URL` of the tables, " + TablesForms() + ", instead of the SQLite file in the home"},
		{Key: keyTablesPassword, Variable: "GXPLEDGER_DB_PASSWORD", Secret: true, Server: true, About: "password for the user that the URL of the tables names"},
		{
			Key: keyTablesPasswordFile, Variable: "GXPLEDGER_DB_PASSWORD_FILE", Form: File, Server: true,
			About: "`FILE` that holds that password; its last line end is not part of it",
		},
		{
			Key: keyLease, Variable: "GXPLEDGER_LEASE", Form: Duration, least: shortestLease, most: longestLease, Default: "10s",
			About: "`TIME` for which a process that died keeps others from writing the tables",
		},
		{Key: keyRolePrefix, Variable: "GXPLEDGER_ROLE_PREFIX", Flag: "role-prefix", Server: true, About: "`PREFIX` of the roles on PostgreSQL"},
		{Key: "repository", Variable: "GXPLEDGER_REPOSITORY", Flag: "repository", About: "`NAME` or id of the one repository that commands with --repository show"},
		{
			Key: "wait", Variable: "GXPLEDGER_WAIT", Flag: "wait", Form: Duration, least: 1, most: forever, Default: DefaultWait.String(),
			About: "longest total `TIME` to wait for a log that cannot answer, and for processes that write the tables",
		},
		{
			Key: "logging.level", Variable: "GXPLEDGER_LOG_LEVEL", Flag: "log-level",
			About: "`LEVEL` of the log on standard error: off, error, warn, info (a line for each operation) or debug (default off; warn for serve; info with --log-format)",
		},
		{
			Key: "logging.format", Variable: "GXPLEDGER_LOG_FORMAT", Flag: "log-format",
			About: "`FORM` of the log on standard error: text, or json, which notes are in, too (default text)",
		},
		{Key: "logging.verbose", Variable: "GXPLEDGER_VERBOSE", Flag: "verbose", Form: Switch, Default: "false", About: "the same as --log-level debug"},
	}
}

func serverDefinitions() []Definition {
	const serve, run, day = "serve", "projections run", 24 * time.Hour
	return []Definition{
		{
			Key: "serve.http", Variable: "GXPLEDGER_SERVE_HTTP", Flag: "http", Command: serve, Form: Listener, Server: true,
			About: "`ADDRESS` to answer HTTP at, such as 127.0.0.1:8080; port 0 takes a free one",
		},
		{
			Key: "serve.scan-every", Variable: "GXPLEDGER_SERVE_SCAN_EVERY", Flag: "scan-every", Command: serve, Form: Duration, Server: true, least: time.Minute, most: 365 * day,
			About: "`DURATION` from one scan of each repository with a main line to the next, such as 1h; needs --http",
		},
		{
			Key: "serve.push-secret-file", Variable: "GXPLEDGER_SERVE_PUSH_SECRET_FILE", Flag: "push-secret-file", Command: serve, Form: File, Server: true,
			About: "`FILE` with the secret of webhooks that GitHub, GitLab, Gitea or Forgejo send to /v1/push; needs --http",
		},
		{
			Key: "serve.esdb", Variable: "GXPLEDGER_SERVE_ESDB", Flag: "esdb", Command: serve, Form: Listener, Server: true,
			About: "`ADDRESS` to listen at, such as 127.0.0.1:2113; port 0 takes a free one",
		},
		{
			Key: "serve.advertise", Variable: "GXPLEDGER_SERVE_ADVERTISE", Flag: "advertise", Command: serve, Form: Listener, Server: true,
			About: "`HOST:PORT` that clients are told to connect to, such as ledger.example.com:2113",
		},
		{
			Key: "serve.writable", Variable: "GXPLEDGER_SERVE_WRITABLE", Flag: "esdb-writable", Command: serve, Form: List, Server: true,
			About: "`PREFIX` of streams that clients may append to; repeatable",
		},
		{
			Key: "serve.tls-cert", Variable: "GXPLEDGER_SERVE_TLS_CERT", Flag: "tls-cert", Command: serve, Form: File, Server: true,
			About: "`FILE` with the server's certificate chain (PEM)",
		},
		{
			Key: "serve.tls-key", Variable: "GXPLEDGER_SERVE_TLS_KEY", Flag: "tls-key", Command: serve, Form: File, Server: true,
			About: "`FILE` with the certificate's private key (PEM)",
		},
		{
			Key: "serve.metrics", Variable: "GXPLEDGER_SERVE_METRICS", Flag: "metrics", Command: serve, Form: Listener, Server: true,
			About: "loopback `ADDRESS` to serve metrics at, such as 127.0.0.1:9465; port 0 takes a free one",
		},
		{
			Key: "serve.basic-auth-file", Variable: "GXPLEDGER_SERVE_BASIC_AUTH_FILE", Flag: "basic-auth-file", Command: serve, Form: File, Server: true,
			About: "`FILE` of users, one USER:HASH a line, with bcrypt hashes as htpasswd -B writes them; needs TLS",
		},
		{
			Key: "projections.metrics", Variable: "GXPLEDGER_PROJECTIONS_METRICS", Flag: "metrics", Command: run, Form: Listener, Server: true,
			About: "loopback `ADDRESS` to serve metrics at, such as 127.0.0.1:9464; port 0 takes a free one",
		},
		{
			Key: "projections.verify-every", Variable: "GXPLEDGER_PROJECTIONS_VERIFY_EVERY", Flag: "verify-every", Command: run, Form: Duration,
			least: time.Minute, most: 10 * 365 * day, About: "`DURATION` from the end of a verification in the background to the next, such as 24h",
		},
	}
}

// The flag and the variable that name a configuration file.
const (
	FileFlag     = "config"
	FileVariable = "GXPLEDGER_CONFIG"
)

// Define returns the setting with a key.
func Define(key string) Definition {
	for _, d := range Definitions() {
		if d.Key == key {
			return d
		}
	}
	panic("no setting " + key) //nolint:forbidigo // a key is a constant of the program
}

// Usage is the help of the flag.
func (d Definition) Usage() string { return fmt.Sprintf("%s (environment: %s)", d.About, d.Variable) }

// Phrase is About without the marks around the name of the value.
func (d Definition) Phrase() string { return strings.ReplaceAll(d.About, "`", "") }

// want returns what a value should be, "" for one that is fine.
func (d Definition) want(text string) string {
	switch d.Form {
	case Duration:
		if t, err := time.ParseDuration(text); err == nil && d.least <= t && t <= d.most {
			return ""
		}
		if d.Key == keyLease {
			return fmt.Sprintf("want a duration from %s to %s, such as 10s", d.least, d.most)
		}
		return fmt.Sprintf("want a duration of %s or more, such as %s", max(d.least, time.Second), orDefault(d.Default, "24h"))
	case Switch:
		if _, err := strconv.ParseBool(text); err != nil {
			return "want true or false"
		}
	case Listener:
		if _, _, err := net.SplitHostPort(text); err != nil {
			return "want HOST:PORT, such as 127.0.0.1:2113"
		}
	case Text, URL, File, List:
	}
	return ""
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// isBlank reports whether a text shows nothing.
func isBlank(text string) bool {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }) == ""
}
