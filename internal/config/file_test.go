package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/internal/config"
)

func noFlag(string) ([]string, bool) { return nil, false }

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { value, ok := env[name]; return value, ok }
}

// resolve returns the settings of an environment and the text of a file.
func resolve(t *testing.T, env map[string]string, text string) (config.Settings, []config.Value, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.ReadFile(path)
	if err != nil {
		return config.Settings{}, nil, err
	}
	values, err := config.Resolve(config.Inputs{Flag: noFlag, Variable: lookup(env), File: file})
	if err != nil {
		return config.Settings{}, nil, err
	}
	settings, err := config.NewSettings(values)
	return settings, values, err
}

func TestTheEnvironmentIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want config.Settings
		says string
	}{
		{nil, config.Settings{}, ""},
		{map[string]string{"GXPLEDGER_HOME": "\t\u200b"}, config.Settings{}, ""},
		{map[string]string{"GXPLEDGER_HOME": "/srv/gxp", "GXPLEDGER_LEASE": "3s"}, config.Settings{Home: "/srv/gxp", Lease: 3 * time.Second}, ""},
		{map[string]string{"GXPLEDGER_LOG": "esdb://h", "GXPLEDGER_DB": "postgres://h"}, config.Settings{Log: "esdb://h", Tables: "postgres://h"}, ""},
		{map[string]string{"GXPLEDGER_LEASE": "soon", "GXPLEDGER_HOME": "x"}, config.Settings{Home: "x"}, `GXPLEDGER_LEASE is "soon": want a duration from 100ms`},
		{map[string]string{"GXPLEDGER_LEASE": "1ns"}, config.Settings{}, "GXPLEDGER_LEASE"},
		{map[string]string{"GXPLEDGER_VERBOSE": "perhaps"}, config.Settings{}, `GXPLEDGER_VERBOSE is "perhaps": want true or false`},
		{map[string]string{"GXPLEDGER_SERVE_ESDB": "here"}, config.Settings{}, `GXPLEDGER_SERVE_ESDB is "here": want HOST:PORT`},
	} {
		values, err := config.Resolve(config.Inputs{Flag: noFlag, Variable: lookup(c.env)})
		got, failure := config.NewSettings(values)
		if got != c.want || failure != nil || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %+v, %v, %v", c.env, got, err, failure)
		}
	}
}

func TestAConfigurationFileIsRead(t *testing.T) {
	t.Parallel()
	got, values, err := resolve(t, map[string]string{"GXPLEDGER_DB": "postgres://other/db"}, "home: data\nlog:\n  url: 'esdb://ada@host'\ntables: {lease: 3s}\nlogging:\n# none\n"+
		"serve:\n  writable: [a-, '']\n  tls-cert: /etc/c.pem\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.Log != "esdb://ada@host" || got.Tables != "postgres://other/db" || got.Lease != 3*time.Second || !filepath.IsAbs(got.Home) || filepath.Base(got.Home) != "data" {
		t.Errorf("settings are %+v", got)
	}
	shown := map[string]string{}
	for _, v := range values {
		shown[v.Key] = strings.Join(v.Texts, "|") + " " + filepath.Base(v.Source.String())
	}
	for key, want := range map[string]string{
		"serve.writable": "a-| c.yaml:8", "serve.tls-cert": "/etc/c.pem c.yaml:9", "tables.url": "postgres://other/db GXPLEDGER_DB", "wait": "30s default", "serve.esdb": " default",
	} {
		if shown[key] != want {
			t.Errorf("%s is %q, want %q", key, shown[key], want)
		}
	}
}

// TestAWrongFileIsRefusedAtItsLine: with the nearest name, or where the setting is, and without repeating a password.
func TestAWrongFileIsRefusedAtItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"wait: 3s\nserv:\n  esdb: x":           `c.yaml:2: there is no setting "serv": did you mean serve?`,
		"serve:\n  esbd: x":                    `c.yaml:2: there is no setting "serve.esbd": did you mean serve.esdb?`,
		"lease: 3s":                            "did you mean tables.lease?",
		"db: postgres://h/d":                   "did you mean tables.url?",
		"GXPLEDGER_LOG: esdb://h":              "did you mean log.url?",
		"zzzzzzzz: 1":                          "gxpledger config print lists all",
		"links: flag":                          "c.yaml:1: links is never read from a file: policies and settings of repositories are recorded in the log",
		"policies:\n  duplicates: update":      "gxpledger repository set",
		"evidence_key: k.pem":                  "keys that verify evidence are recorded in the log",
		"log:\n  password: s3cret":             "c.yaml:2: log.password is never read from a file: set GXPLEDGER_LOG_PASSWORD",
		"log:\n  url: postgres://a:s3cret@h/d": "c.yaml:2: log.url holds a password: leave it out, and name a file that holds it with log.password-file",
		"tables:\n  url: postgres://a@h/d?sslpassword=s3cret": "tables.url holds a password",
		"log:\n  url: mysql://h":                              "log.url is not an address that can be used: cannot open mysql addresses",
		"log:\n  url: log.db":                                 "log.url is not an address that can be used",
		"log: esdb://h":                                       "c.yaml:1: log holds no settings: write KEY: VALUE",
		"- a":                                                 "c.yaml:1: the file holds no settings",
		"text":                                                "the file holds no settings",
		"wait: 3s\nwait: 4s":                                  "c.yaml:2: wait is in line 1 already",
		"wait: soon":                                          `c.yaml:1: wait is "soon": want a duration`,
		"wait:":                                               "wait is empty",
		"wait: [3s]":                                          "wait is not a duration: write wait: 30s",
		"tables: {lease: 1h}":                                 "want a duration from 100ms to 10m0s",
		"logging: {verbose: perhaps}":                         "want true or false",
		"serve: {esdb: here}":                                 "want HOST:PORT",
		"serve: {writable: [[a]]}":                            "is not a list: write serve.writable: [orders-]",
		"wait: &a 3s":                                         "anchors and aliases are not accepted",
		"log: &a {}\ntables: *a":                              "anchors and aliases are not accepted",
		"wait: !!str 3s":                                      "tags and merge keys are not accepted",
		"<<: {wait: 3s}":                                      "tags and merge keys are not accepted",
		"wait: 3s\n---\nwait: 4s":                             "a second YAML document begins here",
		"wait: [":                                             "this is not YAML that can be read",
		"[a, b]: 1":                                           "this key is not a text",
		strings.Repeat("[", 5000):                             "this is not YAML that can be read",
		strings.Repeat("# a long comment\n", 5000): "it is larger than 65536 bytes",
	} {
		_, _, err := resolve(t, nil, text)
		wrong, ok := errors.AsType[*config.Error](err)
		if !ok || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.60q: error is %v, want %q", text, err, want)
		} else if !errors.Is(err, config.ErrInvalid) && !strings.Contains(want, "larger") {
			t.Errorf("%.60q: %+v is no wrong usage", text, wrong)
		}
	}
}

// yamlOf is a file with one setting. A password of a file is for an address of the same file, which is in it then.
func yamlOf(d config.Definition, value string) string {
	section, name, nested := strings.Cut(d.Key, ".")
	if !nested {
		return fmt.Sprintf("%s: %q\n", d.Key, value)
	}
	text := fmt.Sprintf("%s:\n  %s: %q\n", section, name, value)
	if name == "password-file" {
		text += "  url: postgres://a@h/d\n"
	}
	return text
}

// TestEverySettingIsTakenFromFlagThenEnvironmentThenFile: for every one, whatever else sets it.
func TestEverySettingIsTakenFromFlagThenEnvironmentThenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	rapid.Check(t, func(rt *rapid.T) {
		d := rapid.SampledFrom(config.Definitions()).Draw(rt, "setting")
		sample := map[config.Form][3]string{
			config.Text: {"a", "b", "c"}, config.URL: {"postgres://a@h/d", "postgres://b@h/d", "postgres://c@h/d"}, config.File: {"/a", "/b", "/c"},
			config.Listener: {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, config.Duration: {"120s", "121s", "122s"}, config.Switch: {"true", "true", "true"},
			config.List: {"a", "b", "c"},
		}[d.Form]
		byFlag, byVariable, byFile := d.Flag != "" && rapid.Bool().Draw(rt, "flag"), rapid.Bool().Draw(rt, "variable"), !d.Secret && rapid.Bool().Draw(rt, "file")
		in := config.Inputs{Flag: noFlag, Variable: lookup(nil)}
		want, text := config.FromDefault, d.Default
		if byFile {
			if err := os.WriteFile(path, []byte(yamlOf(d, sample[0])), 0o600); err != nil {
				rt.Fatal(err)
			}
			var err error
			if in.File, err = config.ReadFile(path); err != nil {
				rt.Fatal(err)
			}
			want, text = config.FromFile, sample[0]
		}
		if byVariable {
			in.Variable = lookup(map[string]string{d.Variable: sample[1]})
			want, text = config.FromVariable, sample[1]
		}
		if byFlag {
			in.Flag = func(name string) ([]string, bool) { return []string{sample[2]}, name == d.Flag }
			want, text = config.FromFlag, sample[2]
		}
		values, err := config.Resolve(in)
		if err != nil {
			rt.Fatal(err)
		}
		got := values[slices.IndexFunc(values, func(v config.Value) bool { return v.Key == d.Key })]
		if got.Source.Origin != want || strings.Join(got.Texts, "|") != text {
			rt.Fatalf("%s is %q from %s, want %q from %d", d.Key, got.Texts, got.Source, text, want)
		}
		if d.Secret && want != config.FromDefault && strings.Contains(got.Shown(), text) && got.Shown() != "xxxxx" {
			rt.Fatalf("%s shows %q", d.Key, got.Shown())
		}
	})
}

func TestPasswordsAreKeptApartFromTheFile(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const url = "log:\n  url: postgres://ada@h,i/d\n"
	for _, c := range []struct {
		env  map[string]string
		yaml string
		want config.Address
		says string
	}{
		{nil, url + "  password-file: " + file("p@ss\r\n"), "postgres://ada:p%40ss@h,i/d", ""},
		{map[string]string{"GXPLEDGER_LOG_PASSWORD": "env"}, url, "postgres://ada:env@h,i/d", ""},
		{map[string]string{"GXPLEDGER_LOG_PASSWORD_FILE": file("of the environment")}, url + "  password-file: " + file("x"), "postgres://ada:of%20the%20environment@h,i/d", ""},
		{map[string]string{"GXPLEDGER_LOG_PASSWORD": "env"}, url + "  password-file: " + file("x"), "postgres://ada:env@h,i/d", ""},
		// A password of the file is for the server that the file names, and for no other.
		{map[string]string{"GXPLEDGER_LOG": "postgres://ada@elsewhere/d"}, url + "  password-file: " + file("x"), "postgres://ada@elsewhere/d", ""},
		{map[string]string{"GXPLEDGER_LOG_PASSWORD": "env"}, "", "", ""}, // nor for none
		{map[string]string{"GXPLEDGER_LOG_PASSWORD": "env", "GXPLEDGER_LOG_PASSWORD_FILE": "x"}, url, "", "give one of them"},
		{map[string]string{"GXPLEDGER_LOG_PASSWORD": "s3cret", "GXPLEDGER_LOG": "esdb://a:s3cret@h"}, "", "", "the address has one"},
		{map[string]string{"GXPLEDGER_LOG_PASSWORD": "s3cret"}, "log:\n  url: esdb://h", "", "the address names no user"},
		{nil, url + "  password-file: " + file(""), "", "it is empty"},
		{nil, url + "  password-file: " + file("s3cret\nanother\n"), "", "it holds more than a line"},
		{nil, url + "  password-file: missing", "", "no such file"},
	} {
		got, _, err := resolve(t, c.env, c.yaml)
		switch {
		case c.says == "" && (err != nil || got.Log != c.want):
			t.Errorf("%v %q: %q, %v", c.env, c.yaml, string(got.Log), err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%v %q: error is %v, want %q", c.env, c.yaml, err, c.says)
		}
	}
}

// TestAFileInAHomeThatNobodyNamedNamesNoServer: a repository could carry it. In one that was named it may, but for the home itself.
func TestAFileInAHomeThatNobodyNamedNamesNoServer(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	home := filepath.Join(here, config.DefaultHome)
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, d := range config.Definitions() {
		if d.Secret {
			continue
		}
		value := map[config.Form]string{
			config.Text: "a", config.URL: "postgres://a@h/d", config.File: "/a", config.Listener: "127.0.0.1:1", config.Duration: "2m", config.Switch: "true", config.List: "a",
		}[d.Form]
		if err := os.WriteFile(filepath.Join(home, config.FileName), []byte(yamlOf(d, value)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, implicit := config.Settings{}.FindFile(t.Context())
		_, named := config.Settings{Home: home}.FindFile(t.Context())
		server := strings.Contains(d.Key, "url") || strings.Contains(d.Key, "serve") || strings.Contains(d.Key, "password") || d.Key == "projections.metrics" || d.Key == "role-prefix"
		if (implicit != nil) != (server || d.Key == "home") || (named != nil) != (d.Key == "home") {
			t.Errorf("%s: in a home that nobody named: %v; in one that was: %v", d.Key, implicit, named)
		}
		if server && !strings.Contains(implicit.Error(), "a home that nobody named, since a repository could carry it") {
			t.Errorf("%s: %v", d.Key, implicit)
		}
	}
}

// TestGoldenManual: docs/configuration.md and the JSON Schema are made from the table of settings.
func TestGoldenManual(t *testing.T) {
	t.Parallel()
	const manual, schemaFile, begin, end = "../../docs/configuration.md", "../../docs/gxpledger.schema.json", "<!-- settings -->\n", "<!-- end of settings -->"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, both := strings.Cut(rest, end)
	if !ok || !both {
		t.Fatal("docs/configuration.md has no place for the settings")
	}
	schema, err := config.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	schema = append(schema, '\n')
	want := before + begin + config.Manual() + end + after
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := errors.Join(os.WriteFile(manual, []byte(want), 0o600), os.WriteFile(schemaFile, schema, 0o600)); err != nil {
			t.Fatal(err)
		}
		return
	}
	stored, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(stored, schema) || want != string(text) {
		t.Errorf("docs/configuration.md or docs/gxpledger.schema.json is stale (%v): UPDATE_GOLDEN=1 go test ./internal/config", err)
	}
	if !json.Valid(schema) || strings.Contains(string(schema), `"password"`) {
		t.Errorf("the schema is %s", schema)
	}
	for _, d := range config.Definitions() {
		if name := d.Key[strings.LastIndex(d.Key, ".")+1:]; !d.Secret && !strings.Contains(string(schema), `"`+name+`":`) {
			t.Errorf("the schema lacks %s", d.Key)
		}
	}
}
