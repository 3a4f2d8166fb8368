package postgres_test

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// checkedLog is a log of two batches whose schema and roles no other test has: roles belong to the whole server.
type checkedLog struct {
	url       string // as a superuser
	as        string // as the user that records
	namespace postgres.Namespace
	writer    string // that user
}

// newCheckedLog makes a log in a schema of its own of the database at url.
func newCheckedLog(t *testing.T, url string, n int) checkedLog {
	t.Helper()
	name := fmt.Sprintf("%s_%d", strings.TrimPrefix(mustParse(t, url).Path, "/gxpledger_test_"), n)
	e := checkedLog{url: url, writer: "user_" + name, namespace: postgres.Namespace{
		Schema: fmt.Sprint("log_", n), Owner: "owner_" + name, Writer: "writer_" + name,
	}}
	if err := postgres.Up(within(t), url, e.namespace); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, url)
	exec(t, admin, "CREATE USER "+e.writer+" PASSWORD 'secret' IN ROLE "+e.namespace.Writer)
	t.Cleanup(func() { drop(t, url, e.writer, e.namespace.Owner, e.namespace.Writer) })
	u := mustParse(t, url)
	u.User = neturl.UserPassword(e.writer, "secret")
	e.as = u.String()
	log := open(t, e.as, e.inSchema)
	mustAppend(t, log, after("s", mustAppend(t, log, start("s", 3)), 3))
	return e
}

func (e checkedLog) inSchema(o *postgres.Options) { o.Schema = e.namespace.Schema }

// fill puts the names of e into a text: %log is the schema, %owner, %writer and %user the roles.
func (e checkedLog) fill(text string) string {
	return strings.NewReplacer("%log", e.namespace.Schema, "%owner", e.namespace.Owner, "%writer", e.namespace.Writer, "%user", e.writer).Replace(text)
}

// drop drops roles and all that is theirs.
func drop(t *testing.T, url string, roles ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, role := range roles {
		if _, err := conn.PgConn().Exec(ctx, fmt.Sprintf("DROP OWNED BY %s CASCADE; DROP ROLE %[1]s", role)).ReadAll(); err != nil {
			t.Error(err)
		}
	}
}

// faultsFound returns what CheckIntegrity finds, for a user.
func (e checkedLog) faultsFound(t *testing.T, as string) string {
	t.Helper()
	log := open(t, as, e.inSchema, func(o *postgres.Options) { o.Inspect = true })
	var found strings.Builder
	err := log.CheckIntegrity(within(t), func(f eventstore.Fault) { fmt.Fprintf(&found, "%s %s: %s\n", f.Code, f.Where, f.Text) })
	if err != nil {
		t.Fatal(err)
	}
	return found.String()
}

// hiddenRows is a change after which the log cannot be opened but by a superuser, from whom nothing is hidden.
const hiddenRows = "rows that are hidden"

func (e checkedLog) refusesHiddenRows(t *testing.T) {
	t.Helper()
	log, err := postgres.Open(within(t), e.as, postgres.Options{Now: time.Now, Inspect: true, Schema: e.namespace.Schema})
	if err == nil {
		_ = log.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "row level security of table "+e.namespace.Schema+".events would hide rows") {
		t.Errorf("opened with %v, want an error that names the table with row level security", err)
	}
}

// What no reading of the events would show: guards that are gone or that guard nothing, and rights that would let somebody
// do what no guard allows (I10); indexes and constraints that keep ids and revisions apart (I4); a counter row that would
// give positions twice (I3).
func TestCheckIntegrityFindsWhatReadingDoesNot(t *testing.T) {
	t.Parallel()
	url, n := pgtest.Start(t), 0
	for name, c := range map[string]struct {
		change []string // see checkedLog.fill
		want   []string // a part of each fault
	}{
		"nothing":                      {nil, nil},
		"a trigger that was dropped":   {[]string{"DROP TRIGGER events_refuses ON %log.events"}, []string{"guard trigger events_refuses on events: it is gone"}},
		"a trigger that was disabled":  {[]string{"ALTER TABLE %log.events DISABLE TRIGGER events_refuses"}, []string{"guard trigger events_refuses on events: it is not what gxpledger made: it is disabled"}},
		"a trigger that sleeps":        {[]string{"ALTER TABLE %log.head ENABLE TRIGGER head_forward"}, []string{"head_forward on head: it is not what gxpledger made: it is not for replicas"}},
		"a trigger that guards little": {[]string{"DROP TRIGGER contents_refuses ON %log.contents", "CREATE TRIGGER contents_refuses BEFORE DELETE ON %log.contents FOR EACH STATEMENT EXECUTE FUNCTION %log.refuse()", "ALTER TABLE %log.contents ENABLE ALWAYS TRIGGER contents_refuses"}, []string{"guard trigger contents_refuses on contents: it is not what gxpledger made: it is always: CREATE TRIGGER contents_refuses BEFORE DELETE ON contents"}},
		"a function that lets pass": {
			[]string{"CREATE OR REPLACE FUNCTION %log.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN NULL; END $$"},
			[]string{"guard function refuse(): it is not what gxpledger made: it is returns trigger, plpgsql, search_path=pg_catalog, pg_temp: BEGIN RETURN NULL; END"},
		},
		"a trigger that acts on its own": {
			[]string{"CREATE FUNCTION public.sly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.data := '{}'; RETURN NEW; END $$", "CREATE TRIGGER sly BEFORE INSERT ON %log.events FOR EACH ROW EXECUTE FUNCTION public.sly()"},
			[]string{"guard trigger sly on events: gxpledger did not make it: not for replicas: CREATE TRIGGER sly BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION public.sly()"},
		},
		"a rule instead of rows":  {[]string{"CREATE RULE sly AS ON INSERT TO %log.contents DO INSTEAD NOTHING"}, []string{"guard rule sly on contents: gxpledger did not make it"}},
		hiddenRows:                {[]string{"ALTER TABLE %log.events ENABLE ROW LEVEL SECURITY", "CREATE POLICY few ON %log.events USING (true)"}, []string{"guard table events: it is not what gxpledger made: it is permanent, row security", "guard policy few on events: gxpledger did not make it"}},
		"a table that is lost":    {[]string{"ALTER TABLE %log.contents SET UNLOGGED"}, []string{"guard table contents: it is not what gxpledger made: it is unlogged"}},
		"rows of another table":   {[]string{"CREATE TABLE public.more () INHERITS (%log.events)"}, []string{"guard table that goes with events: gxpledger did not make it: public.more"}},
		"ids that may repeat":     {[]string{"ALTER TABLE %log.events DROP CONSTRAINT events_id"}, []string{"guard constraint events_id on events: it is gone", "guard index events_id: it is gone"}},
		"a check that is gone":    {[]string{"ALTER TABLE %log.events DROP CONSTRAINT events_position_check"}, []string{"guard constraint events_position_check on events: it is gone"}},
		"an index that is broken": {[]string{"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '%log.events_id'::regclass"}, []string{"guard index events_id: it is not what gxpledger made: it is CREATE UNIQUE INDEX events_id ON events USING btree (id), not valid"}},
		"a column that takes all": {[]string{"ALTER TABLE %log.events ALTER COLUMN data DROP NOT NULL"}, []string{"guard column events.data: it is not what gxpledger made: it is bytea, want bytea, not null"}},
		"another column":          {[]string{"ALTER TABLE %log.events ADD COLUMN note text"}, []string{"guard column events.note: gxpledger did not make it"}},
		"another table":           {[]string{"CREATE TABLE %log.mine (x int)"}, []string{"guard column mine.x: gxpledger did not make it", "guard table mine: gxpledger did not make it: permanent, owned by postgres"}},
		"another owner":           {[]string{"ALTER TABLE %log.contents OWNER TO %user"}, []string{"guard table contents: it is not what gxpledger made: it is permanent, owned by %user", "role %user: it may append and has the right to DELETE contents, TRUNCATE contents, UPDATE contents"}},
		"another view":            {[]string{"CREATE OR REPLACE VIEW %log.readable_events AS SELECT e.position, s.name AS stream, b.revision, e.type, b.recorded_at, b.meta, b.first AS batch_index, b.size AS batch_size, convert_from(e.data, 'UTF8') AS data, e.id FROM %log.batches b, %log.streams s, %log.events e WHERE e.type <> 'scan.failed.v1'"}, []string{"guard view readable_events: it is not what gxpledger made"}},

		"a right to update":       {[]string{"GRANT UPDATE ON %log.events TO %writer"}, []string{"guard table events: role %writer may UPDATE it", "guard role %user: it may append and has the right to UPDATE events", "guard role %writer: it may append and has the right to UPDATE events"}},
		"a right to a column":     {[]string{"GRANT UPDATE (one) ON %log.head TO %writer"}, []string{"guard column head.one: role %writer may UPDATE it"}},
		"rights of everybody":     {[]string{"GRANT DELETE, INSERT ON %log.contents TO PUBLIC"}, []string{"guard table contents: everybody may DELETE it", "guard table contents: everybody may INSERT it", "guard role %user: it may append and has the right to DELETE contents", "guard role %writer"}},
		"a right to make":         {[]string{"GRANT CREATE ON SCHEMA %log TO %user"}, []string{"guard schema %log: role %user may CREATE it"}},
		"a right to read":         {[]string{"GRANT SELECT ON ALL TABLES IN SCHEMA %log TO PUBLIC"}, nil},
		"a member of the owner":   {[]string{"GRANT %owner TO %user"}, []string{"guard role %user: it may append and is the owner of the log, or may take that role"}},
		"a writer that is owner":  {[]string{"GRANT %owner TO %writer"}, []string{"guard role %user: it may append and is the owner of the log, or may take that role", "guard role %writer: it may append and is the owner of the log, or may take that role"}},
		"a superuser that writes": {[]string{"ALTER ROLE %user SUPERUSER"}, []string{"guard role %user: it may append and is a superuser"}},
		"a role for all data":     {[]string{"GRANT pg_write_all_data TO %user"}, []string{"guard role %user: it may append and has the right to DELETE batches, UPDATE batches, DELETE contents"}},
		"nobody who may append":   {[]string{"REVOKE INSERT ON %log.events FROM %writer"}, []string{"guard schema %log: no role may append but the owner"}},

		"a counter that is behind":  {[]string{"ALTER TABLE %log.head DISABLE TRIGGER head_forward", "UPDATE %log.head SET position = 3"}, []string{"guard trigger head_forward", "file table head: it says that the log ends at position 3, and the last event is at 6"}},
		"a counter that is ahead":   {[]string{"UPDATE %log.head SET position = 7"}, []string{"file table head: it says that the log ends at position 7, and the last event is at 6"}},
		"another time of the last":  {[]string{"UPDATE %log.head SET recorded_at = recorded_at + interval '1 hour'"}, []string{"file table head: it says that the last batch was recorded at"}},
		"another number of streams": {[]string{"UPDATE %log.head SET streams = 5"}, []string{"file table head: it says that the last stream is number 5, and that is number 1"}},
		"a table that is not there": {[]string{"DROP TABLE %log.contents CASCADE"}, []string{"column contents.bytes: it is gone", "table contents: it is gone", "trigger contents_refuses on contents: it is gone", more}},
		"two counters":              {[]string{"ALTER TABLE %log.head DROP CONSTRAINT head_one_check", "INSERT INTO %log.head SELECT 2, position, recorded_at, streams FROM %log.head"}, []string{"head_one_check on head: it is gone", "file table head: it has 2 rows, want one"}},
	} {
		n++
		number := n
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newCheckedLog(t, url, number)
			admin := connect(t, e.url)
			for _, change := range c.change {
				exec(t, admin, e.fill(change))
			}
			for user, as := range map[string]string{"the superuser": e.url, "the user that records": e.as} {
				if name == hiddenRows && as == e.as {
					e.refusesHiddenRows(t)
					continue
				}
				found := e.faultsFound(t, as)
				want := slices.DeleteFunc(slices.Clone(c.want), func(part string) bool { return part == more })
				if n := strings.Count(found, "\n"); n != len(want) && len(want) == len(c.want) {
					t.Errorf("%s finds %s\nwant %d faults", user, found, len(want))
				}
				for _, part := range want {
					if part = e.fill(part); !strings.Contains(found, part) {
						t.Errorf("%s finds %s\nwant %s", user, found, part)
					}
				}
			}
		})
	}
}

// more stands for faults that follow from others.
const more = "..."

// A user who owns all of it, where nobody could make roles, can take the guards away, and is told so.
func TestCheckIntegrityOfALogWithoutRoles(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	as, name := ordinary(t, url)
	if err := postgres.Up(within(t), as, postgres.Namespace{Owner: "nobody_" + name, Writer: "nothing_" + name}); err != nil {
		t.Fatal(err)
	}
	text := checkedLog{}.faultsFound(t, as)
	for _, want := range []string{"no role may append but the owner", "role " + name + ": it may append and is the owner of the log, or may take that role"} {
		if !strings.Contains(text, want) {
			t.Errorf("found %s\nwant %s", text, want)
		}
	}
}

// Verify, which reads all of a log that contradicts itself, needs it open. Nothing is appended to it.
func TestALogThatContradictsItselfIsOpenedToInspect(t *testing.T) {
	t.Parallel()
	url := made(t)
	last := mustAppend(t, open(t, url), start("s", 3))
	exec(t, connect(t, url), "UPDATE gxp_log.head SET position = 5")
	log := open(t, url, func(o *postgres.Options) { o.Inspect = true })
	if _, err := log.Append(within(t), after("s", last, 1)); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("error of an append is %v, want ErrCorrupt", err)
	}
	var found []string
	_, err := verify.Run(within(t), log, verify.Watch{Fault: func(f eventstore.Fault) { found = append(found, f.Where+": "+f.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(found, "\n"); !strings.Contains(text, "position 4") || !strings.Contains(text, "table head: it says that the log ends at position 5") {
		t.Errorf("found %s", text)
	}
}
