package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/transfer"
)

// copyTo copies the log of the fixture's home to an address.
func (d *fixture) copyTo(address string, more ...string) result {
	d.t.Helper()
	args := []string{"log", "copy", "--from", "sqlite:" + d.home, "--to", address, "--reason", "a larger house", "--actor", "mover"}
	return d.bare(d.t.Context(), append(args, more...)...)
}

// copied is what log copy --json says.
func (r result) copied() transfer.Result {
	r.t.Helper()
	var c transfer.Result
	if err := json.Unmarshal([]byte(r.wantCode(0).stdout), &c); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// digests are the rows and fingerprints of all tables but those that show acts.
func (d *fixture) digests(more ...string) map[string]string {
	d.t.Helper()
	var v struct {
		Tables []struct {
			Projection string            `json:"projection"`
			Tables     []json.RawMessage `json:"tables"`
		} `json:"tables"`
	}
	if err := json.Unmarshal([]byte(d.run(append([]string{"verify", "--json"}, more...)...).wantCode(0).stdout), &v); err != nil {
		d.t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range v.Tables {
		for _, table := range p.Tables {
			all[p.Projection] += string(table) + "\n"
		}
	}
	delete(all, "audit") // holds the act
	if len(all) < 2 {
		d.t.Fatalf("tables of %d projections are compared", len(all))
	}
	return all
}

func TestACopiedLogIsUsedInPlaceOfTheOriginal(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	moved := newFixture(t)
	moved.now = d.now
	first := d.copyTo("sqlite:" + moved.home)
	again := d.copyTo("sqlite:"+moved.home, "--json").copied()
	ids := []string{again.FromLog.String(), "FROM-ID", again.ToLog.String(), "TO-ID", d.home, ".gxpledger", moved.home, "/srv/gxp"}
	first.wantCode(0).golden("log_copy.txt", ids...)
	d.copyTo("sqlite:"+moved.home).wantCode(0).golden("log_copy_again.txt", ids...)
	if !again.Repeated || again.Written != 0 || again.Events != 21 || again.Action != 22 {
		t.Errorf("again it says %+v", again)
	}
	if want, got := d.digests(), moved.digests(); !reflect.DeepEqual(got, want) {
		t.Errorf("tables of the copy are\n%v\nwant\n%v", got, want)
	}
	moved.run("audit", "--json").wantCode(0).has("log.copied")
	moved.scan(r, "--links", "flag").wantCode(0) // the copy is used from now on
	moved.verify(0)
	if after := d.copyTo("sqlite:"+moved.home, "--json").copied(); !after.Repeated {
		t.Errorf("a copy that is in use is copied to again: %+v", after)
	}
}

// The home stays and the log moves to a server: its tables are of the source until they are rebuilt.
func TestTablesFollowALogThatMovesToPostgreSQL(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	want := d.digests()
	server := made(t)
	d.copyTo(server).wantCode(0).has("--adopt-log --reason TEXT --log postgres://")
	d.run("show", "requirements", "--log", server).wantCode(1).says("--adopt-log")
	d.run("projections", "rebuild", "--all", "--adopt-log", "--reason", "moved", "--log", server).wantCode(0)
	d.run("verify", "--log", server).wantCode(0)
	if got := d.digests("--log", server); !reflect.DeepEqual(got, want) {
		t.Errorf("tables of the copy are\n%v\nwant\n%v", got, want)
	}
	back := newFixture(t)
	result := back.bare(t.Context(), "log", "copy", "--from", server, "--to", "sqlite:"+back.home, "--reason", "back", "--json").copied()
	if want := uint64(21 + 1 + 3); result.Events != want { // the records, the act, and the rebuilding of three projections
		t.Errorf("the way back is %+v, want %d events", result, want)
	}
	back.verify(0)
}

func TestAnInterruptedCopyIsResumed(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	to := "sqlite:" + filepath.Join(t.TempDir(), "home")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	d.bare(ctx, "log", "copy", "--from", "sqlite:"+d.home, "--to", to, "--reason", "x").wantCode(1).
		says("the copy was interrupted", "resumes the copy")
	if c := d.copyTo(to, "--json").copied(); c.Repeated || c.Events != 21 {
		t.Errorf("it says %+v", c)
	}
}

func TestACopyTellsWhatTheOriginalHasLost(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.tamper("log.db", "DELETE FROM contents WHERE rowid IN (SELECT rowid FROM contents LIMIT 1)")
	d.copyTo("sqlite:" + filepath.Join(t.TempDir(), "home")).wantCode(3).has("the source does not hold it either")
}

func TestCopyingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	other, r := newFixture(t), newRepo(t).commit("Another history")
	other.scan(r).wantCode(0)
	to := "sqlite:" + filepath.Join(t.TempDir(), "home")
	d.copyTo("sqlite:"+other.home).wantCode(1).says("holds other events: at its position 1", "copy to a new, empty log")
	d.copyTo("sqlite:" + d.home).wantCode(1).says("both are the log")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--to", to, "--reason", "x"}, 2, "the flag --from is required"},
		{[]string{"--from", to, "--reason", "x"}, 2, "the flag --to is required"},
		{[]string{"--from", to, "--to", "sqlite:", "--reason", "x"}, 2, "--to: the address names no folder"},
		{[]string{"--from", "/srv/log.db", "--to", to, "--reason", "x"}, 2, "--from: this is a path, not an address"},
		{[]string{"--from", to, "--to", to}, 2, "--reason is required"},
		{[]string{"--from", to, "--to", to, "--reason", "x", "more"}, 2, "takes no arguments"},
		{[]string{"--from", to, "--to", "sqlite:" + d.home, "--reason", "x"}, 1, "there is no log in"},
	} {
		d.bare(t.Context(), append([]string{"log", "copy"}, c.args...)...).wantCode(c.code).says(c.says)
	}
	if _, err := os.Stat(strings.TrimPrefix(to, "sqlite:")); !os.IsNotExist(err) {
		t.Errorf("a home was made: %v", err)
	}
	d.bare(t.Context(), "log", "copy", "--help").golden("help_log_copy.txt")
}

func TestCopyingShowsNoPassword(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	wrong := withPassword(t, made(t), "nobody-here", password)
	d.keepsSecret(d.copyTo(wrong, "--verbose")).wantCode(1).says("password authentication failed")
	args := []string{"log", "copy", "--from", wrong, "--to", "sqlite:" + d.home, "--reason", "x"}
	d.keepsSecret(d.bare(t.Context(), args...)).wantCode(1).says("password authentication failed")
	d.keepsSecret(d.bare(t.Context(), slices.Concat(args[:3], []string{"mysql://a:s3cret@h/d"}, args[4:])...)).wantCode(2)
}

func TestWhatIsWholeOfADamagedLogIsCopied(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.tamper("log.db", "UPDATE chunks SET checksum = zeroblob(32) WHERE last = (SELECT max(last) FROM chunks)")
	moved := newFixture(t)
	moved.now = d.now
	failed := d.copyTo("sqlite:" + moved.home).wantCode(1)
	found := regexp.MustCompile(`the last whole batch before it ends at position (\d+)`).FindStringSubmatch(failed.stderr)
	if found == nil {
		t.Fatalf("the error names no position: %s", failed.stderr)
	}
	d.copyTo("sqlite:"+moved.home, "--until", "1").wantCode(1)
	d.copyTo("sqlite:"+moved.home, "--until", found[1]).wantCode(0).has("were left out")
	copied := d.copyTo("sqlite:"+moved.home, "--until", found[1], "--json").copied()
	if fmt.Sprint(copied.Until) != found[1] || copied.Last.From != copied.Until || !copied.Repeated {
		t.Errorf("it says %+v, want the events up to position %s", copied, found[1])
	}
	moved.verify(0)
	d.copyTo("sqlite:"+moved.home, "--until", "0").wantCode(2)
}
