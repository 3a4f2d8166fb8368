package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Origin says where the value of a setting comes from. A greater one goes before a smaller one.
type Origin int

// Where values come from.
const (
	FromDefault Origin = iota
	FromFile
	FromVariable
	FromFlag
)

// Source is where the value of a setting was set.
type Source struct {
	Origin Origin
	Name   string // of the flag, the variable or the file
	Line   int    // in the file
}

// String names the place.
func (s Source) String() string {
	switch s.Origin {
	case FromFlag:
		return "--" + s.Name
	case FromVariable:
		return s.Name
	case FromFile:
		return fmt.Sprintf("%s:%d", s.Name, s.Line)
	case FromDefault:
	}
	return "default"
}

// Value is the value of a setting that is in force. It may hold a password: show [Value.Shown].
type Value struct {
	Definition

	Texts  []string // one, but for lists; none where nothing is set and there is no default
	Source Source
}

// Shown returns the value without passwords.
func (v Value) Shown() string {
	text := strings.Join(v.Texts, ", ")
	switch {
	case text == "":
		return ""
	case v.Secret:
		return hidden
	case v.Form == URL:
		return Address(text).String()
	}
	return text
}

func (v Value) text() string {
	if len(v.Texts) == 0 {
		return ""
	}
	return v.Texts[0]
}

// invalid is the error about a setting. The value is part of the problem only where it cannot be a secret.
func (v Value) invalid(problem, remedy string) error {
	where := v.Source.String()
	if v.Source.Origin == FromFile {
		where += ": " + v.Key
	}
	return &Error{Setting: Configured, Problem: where + " " + problem, Remedy: remedy, Err: ErrInvalid}
}

// Inputs are what settings are taken from: flags go before variables of the environment, those before the file.
type Inputs struct {
	// Flag returns the texts that a flag was given, and whether it was.
	Flag func(name string) ([]string, bool)
	// Variable looks up a variable of the environment. A blank one counts as not set.
	Variable func(name string) (string, bool)
	// File is the configuration file that was read; the zero value for none.
	File FileValues
}

// Resolve returns the values in force, of every setting, in the order of [Definitions]. Errors are an [*Error] that wraps [ErrInvalid]; the
// values that can be used are returned with them.
func Resolve(in Inputs) ([]Value, error) {
	var values []Value
	var errs []error
	for _, d := range Definitions() {
		v := in.resolve(d)
		if err := v.check(); err != nil {
			errs = append(errs, err)
			v.Texts = nil
		}
		values = append(values, v)
	}
	dropOrphans(values)
	return values, errors.Join(errs...)
}

func (in Inputs) resolve(d Definition) Value {
	v := Value{Definition: d}
	if texts, given := in.Flag(d.Flag); d.Flag != "" && given {
		v.Texts, v.Source = texts, Source{Origin: FromFlag, Name: d.Flag}
		return v
	}
	if text, _ := in.Variable(d.Variable); !isBlank(text) {
		v.Texts, v.Source = []string{text}, Source{Origin: FromVariable, Name: d.Variable}
		if d.Form == List {
			v.Texts = nil
			for item := range strings.SplitSeq(text, ",") {
				v.Texts = append(v.Texts, strings.TrimSpace(item))
			}
		}
		return v
	}
	if found, ok := in.File.values[d.Key]; ok {
		return found
	}
	if d.Default != "" {
		v.Texts = []string{d.Default}
	}
	return v
}

// check refuses a value of a wrong form. Those of flags, the commands check.
func (v Value) check() error {
	if v.Source.Origin != FromVariable {
		return nil
	}
	if v.Form == List && slices.Contains(v.Texts, "") {
		return v.invalid("has an empty item", "give each item between two commas a value")
	}
	if want := v.want(v.text()); want != "" {
		return v.invalid(fmt.Sprintf("is %q", v.text()), want)
	}
	return nil
}

// dropOrphans forgets a password of the file for an address that is not of the file: it belongs to another server.
func dropOrphans(values []Value) {
	byKey := map[string]*Value{}
	for i := range values {
		byKey[values[i].Key] = &values[i]
	}
	for password, address := range map[string]string{keyLogPasswordFile: keyLog, keyTablesPasswordFile: keyTables} {
		if p := byKey[password]; p.Source.Origin == FromFile && byKey[address].Source.Origin != FromFile {
			*p = Value{Definition: p.Definition}
		}
	}
}

// NewSettings returns what resolved values say of where the log and the tables are. It reads the files of passwords.
// Errors are an [*Error] that wraps [ErrInvalid]; the other settings are returned with them.
func NewSettings(values []Value) (Settings, error) {
	byKey := map[string]Value{}
	for _, v := range values {
		byKey[v.Key] = v
	}
	s := Settings{Log: Address(byKey[keyLog].text()), Tables: Address(byKey[keyTables].text()), RolePrefix: byKey[keyRolePrefix].text()}
	if home := byKey[keyHome]; home.Source.Origin != FromDefault {
		s.Home = home.text()
	}
	if lease := byKey[keyLease]; lease.Source.Origin != FromDefault {
		s.Lease, _ = time.ParseDuration(lease.text()) // it was checked
	}
	var logErr, tablesErr error
	s.Log, logErr = withPassword(s.Log, byKey[keyLogPassword], byKey[keyLogPasswordFile])
	s.Tables, tablesErr = withPassword(s.Tables, byKey[keyTablesPassword], byKey[keyTablesPasswordFile])
	return s, errors.Join(logErr, tablesErr)
}

// withPassword returns an address with a password that is kept apart from it. One for no server is not used.
func withPassword(at Address, password, file Value) (Address, error) {
	u, wrong := at.parse()
	if at.Local() || wrong != nil || len(password.Texts)+len(file.Texts) == 0 {
		return at, nil //nolint:nilerr // Check says what is wrong with the address
	}
	given, secret := password, password.text()
	if len(password.Texts) > 0 && len(file.Texts) > 0 && password.Source.Origin == file.Source.Origin {
		return at, file.invalid("names a file, and "+password.Variable+" is set too", "give one of them")
	}
	if file.Source.Origin > password.Source.Origin {
		given = file
		var err error
		if secret, err = readPassword(file.text()); err != nil {
			return at, file.invalid(fmt.Sprintf("names the file %s, which cannot be used (%v)", file.text(), err), "write the password into it, on one line")
		}
	}
	if _, set := u.User.Password(); set {
		return at, given.invalid("gives a password, and the address has one", "give one of them")
	}
	if u.User.Username() == "" {
		return at, given.invalid("gives a password, and the address names no user", "write USER@ before the host")
	}
	u.User = url.UserPassword(u.User.Username(), secret)
	return Address(u.String()), nil
}

// readPassword reads a file with one line.
func readPassword(path string) (string, error) {
	const most = 4096
	file, err := os.Open(path) //nolint:gosec // the operator named it
	if err != nil {
		return "", withoutPath(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", withoutPath(err)
	case text == "":
		return "", errors.New("it is empty")
	case len(data) > most || strings.ContainsAny(text, "\r\n"):
		return "", errors.New("it holds more than a line")
	}
	return text, nil
}

func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
