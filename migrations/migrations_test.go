package migrations_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gxpledger/gxpledger/migrations"
)

func TestLoadReadsInOrderAndSumsTheText(t *testing.T) {
	t.Parallel()
	unix := fstest.MapFS{
		"db/0002_second.sql": {Data: []byte("CREATE TABLE b (x);\nCREATE TABLE c (x);\n")},
		"db/0001_first.sql":  {Data: []byte("CREATE TABLE a (x);\n")},
	}
	windows := fstest.MapFS{
		"db/0001_first.sql":  {Data: []byte("CREATE TABLE a (x);\r\n")},
		"db/0002_second.sql": {Data: []byte("CREATE TABLE b (x);\r\nCREATE TABLE c (x);\r\n")},
	}
	set, err := migrations.Load(unix, "db")
	if err != nil {
		t.Fatal(err)
	}
	if set.Name() != "db" || set.Version() != 2 {
		t.Errorf("set %q has version %d, want db and 2", set.Name(), set.Version())
	}
	steps := set.Migrations()
	if steps[0].Name != "first" || steps[1].Name != "second" || steps[1].Version != 2 {
		t.Errorf("steps are %+v", steps)
	}
	other, err := migrations.Load(windows, "db")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range other.Migrations() {
		if m.Checksum != steps[i].Checksum {
			t.Errorf("step %d: the checksum depends on how lines end", m.Version)
		}
	}
}

func TestLoadRefusesInvalidMigrations(t *testing.T) {
	t.Parallel()
	sql := &fstest.MapFile{Data: []byte("CREATE TABLE a (x);")}
	for name, test := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"a gap":         {fstest.MapFS{"db/0001_a.sql": sql, "db/0003_b.sql": sql}, "want number 0002"},
		"a late start":  {fstest.MapFS{"db/0002_a.sql": sql}, "want number 0001"},
		"a duplicate":   {fstest.MapFS{"db/0001_a.sql": sql, "db/0001_b.sql": sql}, "want number 0002"},
		"an odd name":   {fstest.MapFS{"db/1-a.sql": sql}, "want a name like"},
		"an empty file": {fstest.MapFS{"db/0001_a.sql": {Data: []byte(" \n")}}, "file is empty"},
		"no folder":     {fstest.MapFS{"other/0001_a.sql": sql}, "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := migrations.Load(test.files, "db")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestEmbeddedLogSetLoads(t *testing.T) {
	t.Parallel()
	set, err := migrations.SQLiteLog()
	if err != nil {
		t.Fatal(err)
	}
	if set.Version() < 1 || set.Name() != "sqlite/log" {
		t.Errorf("set %q has version %d", set.Name(), set.Version())
	}
}
