package cli

import (
	"cmp"
	"net/url"
	"strings"

	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
)

// tablesURL says where the tables are: the flag --db. The zero value is the SQLite file of the home. Whatever shows it,
// shows it without its passwords.
type tablesURL struct{ logURL }

// tablesAddress is what --db takes.
const tablesAddress = "postgres://USER@HOST:PORT/DATABASE?schema=NAME"

// schemaParameter is the parameter of the address that names the schema. It is ours, not the server's.
const schemaParameter = "schema"

// check refuses an address that no tables can be opened at, before anything is done.
func (t *tablesURL) check() error {
	if t.local() {
		return nil
	}
	u, err := t.parse()
	switch {
	case err != nil:
		return usage("%s", strings.NewReplacer("--log", "--db", addresses, tablesAddress).Replace(err.Error()))
	case u.Scheme == "":
		return usage("--db takes an address, not a path: want %s; the SQLite tables are chosen with --home FOLDER", tablesAddress)
	case t.kind() != logPostgres:
		return usage("--db cannot open %s addresses: want %s, or leave it out for the SQLite tables of --home", u.Scheme, tablesAddress)
	}
	return nil
}

// place returns the address of the server, and where the tables are in its database. What is not ours stays as it is written:
// a server reads an address with stricter rules than a browser.
func (t *tablesURL) place() (string, tablespostgres.Place) {
	var place tablespostgres.Place
	address, parameters, _ := strings.Cut(t.text, "?")
	var others []string
	for parameter := range strings.SplitSeq(parameters, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if name != schemaParameter {
			others = append(others, parameter)
		} else if schema, err := url.QueryUnescape(value); err == nil {
			place.Schema = schema
		}
	}
	if rest := strings.Join(others, "&"); rest != "" {
		address += "?" + rest
	}
	return address, place
}

// schema returns the schema of the tables.
func (t *tablesURL) schema() string {
	_, place := t.place()
	return cmp.Or(place.Schema, tablespostgres.DefaultSchema)
}
