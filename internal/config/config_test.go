package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections/query"
)

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// TestNoPasswordIsShown: whatever the password and the kind of address, and however it is formatted.
func TestNoPasswordIsShown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringMatching(`Zq7[ -~äß€]{1,16}`).Draw(t, "password")
		scheme := rapid.SampledFrom([]string{"postgres", "postgresql", "esdb", "esdb+discover", "mysql", "kurrentdb"}).Draw(t, "scheme")
		address := config.Address(scheme + "://" + rapid.SampledFrom([]string{
			url.UserPassword("ada", password).String() + "@zz/9",
			"ada@zz/9?password=" + url.QueryEscape(password), "ada@zz/9?sslmode=disable&sslpassword=" + url.QueryEscape(password),
			"ada@zz/9?oauth_client_secret=" + url.QueryEscape(password),
		}).Draw(t, "place"))
		shown := []string{address.String(), fmt.Sprint(address), fmt.Sprintf("%q %#v %+v", address, address, config.Settings{Log: address})}
		if text, err := json.Marshal([]config.Address{address}); err == nil {
			shown = append(shown, string(text))
		}
		cause := fmt.Errorf("dial %s as %s: %w", string(address), password, os.ErrPermission)
		redacted := address.RedactError(cause)
		if !errors.Is(redacted, os.ErrPermission) {
			t.Fatal("the cause of a redacted error is lost")
		}
		shown = append(shown, redacted.Error(), address.Redact(cause.Error()))
		for _, err := range []error{config.Settings{Log: address}.Check(), config.Settings{Tables: address}.Check()} {
			if err != nil {
				shown = append(shown, err.Error())
			}
		}
		for _, text := range shown {
			if strings.Contains(text, "Zq7") { // its beginning, which nothing else holds
				t.Fatalf("%q shows the password %q", text, password)
			}
		}
	})
}

// TestAnAmbiguousAddressIsHiddenWhole: whoever mistyped an address may have mistyped where its password ends.
func TestAnAmbiguousAddressIsHiddenWhole(t *testing.T) {
	t.Parallel()
	for _, address := range []config.Address{
		"postgres://ada:12/s3cret@host/gxp", "postgres://ada:12?s3cret@host/gxp", "postgres://ada:12#s3cret@host/gxp",
		"postgres://ada:s3cret%zz@host/gxp", "postgres://ada:s3 cret@host/gxp", "esdb://ada:s3cret@host:port",
	} {
		err := config.Settings{Log: address}.Check()
		if shown := address.String(); !errors.Is(err, config.ErrInvalid) || strings.Contains(err.Error()+shown, "s3") {
			t.Errorf("%q is shown as %q, and refused with %v", string(address), shown, err)
		}
	}
}

func TestAddressesThatNothingCanBeAtAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings config.Settings
		setting  config.Setting
		want     string // "" for an address that is taken
	}{
		{config.Settings{}, 0, ""},
		{config.Settings{Log: "postgres://ada@host/gxp", Tables: "postgres://ada@host/gxp?schema=reviews"}, 0, ""},
		{config.Settings{Log: "POSTGRESQL://ada@host/gxp"}, 0, ""},
		{config.Settings{Log: "esdb+discover://ada:secret@host"}, 0, ""},
		{config.Settings{Log: "mysql://host/gxp"}, config.Log, "cannot open mysql addresses: want postgres://USER@HOST/DATABASE or esdb://USER:PASSWORD@HOST"},
		{config.Settings{Log: "kdb+discover://host"}, config.Log, "cannot open kdb+discover addresses: write esdb+discover:// instead"},
		{config.Settings{Log: "esdb://host/path"}, config.Log, "path"},
		{config.Settings{Log: "log.db"}, config.Log, "this is a path, not an address"},
		{config.Settings{Log: " "}, config.Log, "not an address"},
		{config.Settings{Tables: "esdb://host"}, config.Tables, "cannot open esdb addresses: want postgres://USER@HOST/DATABASE?schema=NAME"},
		{config.Settings{Lease: time.Hour}, config.Lease, "the lease is 1h0m0s: want a duration from 100ms to 10m0s"},
	} {
		err := c.settings.Check()
		wrong, ok := errors.AsType[*config.Error](err)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c.settings, err)
		case c.want != "" && (!ok || wrong.Setting != c.setting || !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: error is %v, want one of setting %d with %q", c.settings, err, c.setting, c.want)
		}
	}
}

// TestALogInAHome: it is created when it is opened for appending alone, and one that was lost is not replaced.
func TestALogInAHome(t *testing.T) {
	t.Parallel()
	s := config.Settings{Home: filepath.Join(t.TempDir(), "home")}
	options := config.Options{Now: now}
	for _, access := range []config.Access{config.ToRead, config.ToVerify} {
		if _, err := s.OpenLog(t.Context(), access, options); !errors.Is(err, config.ErrNoLog) {
			t.Fatalf("error is %v, want ErrNoLog", err)
		}
	}
	schema, err := s.LogSchema(options)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := schema.Status(t.Context()); err != nil || len(status.Applied) != 0 || len(status.Missing) == 0 {
		t.Fatalf("status is %+v, %v", status, err)
	}
	if plan, err := schema.Plan(t.Context()); err != nil || !strings.Contains(plan, "CREATE TABLE") {
		t.Fatalf("plan is %q, %v", plan, err)
	}
	if err := schema.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err := schema.Status(t.Context()); err != nil || len(status.Applied) == 0 || len(status.Missing) != 0 {
		t.Fatalf("status is %+v, %v", status, err)
	}
	log, err := s.OpenLog(t.Context(), config.ToRead, options)
	if err != nil {
		t.Fatal(err)
	}
	if got := log.Features(); !got.DensePositions {
		t.Errorf("features are %+v", got)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if tables, err := s.TablesSchema(); tables != nil || err != nil {
		t.Errorf("tables in the home have the schema %v, %v", tables, err)
	}
	db, err := s.OpenTables(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for is, lose := range map[string]func(string) error{
		"is missing": os.Remove, "is empty": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		if err := lose(s.LogFile()); err != nil {
			t.Fatal(err)
		}
		for _, access := range []config.Access{config.ToAppend, config.ToRead} {
			if _, err := s.OpenLog(t.Context(), access, options); !errors.Is(err, config.ErrLogLost) || !strings.Contains(err.Error(), is) {
				t.Errorf("error is %v, want ErrLogLost and that the log %s", err, is)
			}
		}
	}
}

// TestAServerThatCannotBeReachedIsNamed: without the password, with what to do, and with an error to match.
func TestAServerThatCannotBeReachedIsNamed(t *testing.T) {
	t.Parallel()
	s := config.Settings{
		Home: t.TempDir(), Tables: "postgres://ada:s3cret@127.0.0.1:1/gxp?schema=reviews", Log: "esdb://ada:s3cret@127.0.0.1:1?tls=true",
	}
	options := config.Options{Now: now, Wait: time.Millisecond}
	_, logErr := s.OpenLog(t.Context(), config.ToRead, options)
	_, tablesErr := s.OpenTables(t.Context(), options)
	schema, err := s.TablesSchema()
	if err != nil {
		t.Fatal(err)
	}
	_, statusErr := schema.Status(t.Context())
	s.Log = "postgres://ada:s3cret@127.0.0.1:1/gxp"
	_, postgresErr := s.OpenLog(t.Context(), config.ToAppend, options)
	for _, c := range []struct {
		err     error
		setting config.Setting
		want    string
	}{
		{logErr, config.Log, "cannot use the log at esdb://ada:xxxxx@127.0.0.1:1"},
		{postgresErr, config.Log, "cannot use the log at postgres://ada:xxxxx@127.0.0.1:1/gxp: "},
		{tablesErr, config.Tables, "cannot use the tables at postgres://ada:xxxxx@127.0.0.1:1/gxp?schema=reviews: "},
		{statusErr, config.Tables, "cannot use the tables at postgres://ada:xxxxx@127.0.0.1:1/gxp?schema=reviews: "},
	} {
		wrong, ok := errors.AsType[*config.Error](c.err)
		if !ok || wrong.Setting != c.setting || !strings.HasPrefix(wrong.Problem, c.want) || !strings.Contains(wrong.Remedy, "can be reached") ||
			strings.Contains(c.err.Error(), "s3cret") {
			t.Errorf("error is %v, want %q", c.err, c.want)
		}
	}
	if !errors.Is(logErr, eventstore.ErrTransient) {
		t.Errorf("%v does not match ErrTransient", logErr)
	}
	if s.TablesName() != "schema reviews at postgres://ada:xxxxx@127.0.0.1:1/gxp?schema=reviews" || s.Dialect() != query.Postgres {
		t.Errorf("tables are named %q", s.TablesName())
	}
}

func TestALogIsNamedByAddressOrFolder(t *testing.T) {
	t.Parallel()
	base := config.Settings{Home: "home", Log: "esdb://host"}
	for address, want := range map[string]string{
		"sqlite:folder": filepath.Join("folder", "log.db"), "sqlite:///srv/gxp": "/srv/gxp/log.db",
		"postgres://ada@host/gxp": "postgres://ada@host/gxp", "sqlite:": "", "folder": "", "mysql://host": "",
	} {
		got, err := base.WithLog(address)
		if (err == nil) != (want != "") || err == nil && got.LogName() != want || err != nil && !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: %q, %v", address, got.LogName(), err)
		}
	}
}

// TestNoTextOpensAnythingElse: whatever an address is, it opens what it names, or nothing: never the files in the home.
func TestNoTextOpensAnythingElse(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	schemes := rapid.SampledFrom([]string{"", " ", "://", "postgres:", "esdb:", "file://", "sqlite://", "mysql://"})
	rapid.Check(t, func(rt *rapid.T) {
		address := config.Address(schemes.Draw(rt, "scheme") + rapid.StringMatching(`[ -.0-~]{0,12}`).Draw(rt, "rest"))
		if address == "" {
			return
		}
		s := config.Settings{Home: home, Log: address, Tables: address}
		_, logErr := s.OpenLog(t.Context(), config.ToAppend, config.Options{Now: now})
		_, tablesErr := s.OpenTables(t.Context(), config.Options{Now: now})
		_, schemaErr := s.LogSchema(config.Options{Now: now})
		refused := []error{logErr, tablesErr, schemaErr, s.Check()}
		if config.IsAddress(string(address)) { // other targets of an export are files
			_, err := config.CreateExport(t.Context(), string(address), config.ExportOptions{Now: now})
			refused = append(refused, err)
		}
		for _, err := range refused {
			if !errors.Is(err, config.ErrInvalid) {
				rt.Fatalf("%q: error is %v, want ErrInvalid", string(address), err)
			}
		}
	})
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("the home holds %v, %v", left, err)
	}
}
