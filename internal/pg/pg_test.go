package pg_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/internal/pg"
)

func database(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

func execute(t *testing.T, address, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also while a test cleans up
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	config, err := pg.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pg.Connect(t.Context(), config.ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// shown returns the values that are in force, of those parameters that the server knows.
func shown(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	var names []string
	for _, p := range pg.Parameters() {
		names = append(names, p.Name)
	}
	rows, err := conn.Query(t.Context(), "SELECT name, current_setting(name) FROM unnest($1::text[]) AS name WHERE current_setting(name, true) IS NOT NULL", names)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		out[name] = value
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryParameterIsPinnedWhateverGivesAnotherValue(t *testing.T) {
	t.Parallel()
	if list := pg.Parameters(); len(list) != len(pgtest.Hostile()) {
		t.Errorf("%d parameters are pinned, and %d are tried", len(list), len(pgtest.Hostile()))
	}
	for way, give := range pgtest.SettingOverrides() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			admin, plain := pgtest.Start(t), pgtest.Start(t)
			pgtest.Trap(t, plain)
			want := shown(t, connect(t, plain))
			for _, p := range pg.Parameters() {
				if _, known := want[p.Name]; !known {
					continue // a newer server knows it
				}
				if want[p.Name] == pgtest.Hostile()[p.Name] {
					t.Errorf("%s is %q, which is not what is needed", p.Name, want[p.Name])
				}
				address := give(t, admin, plain, map[string]string{p.Name: pgtest.Hostile()[p.Name]})
				if got := shown(t, connect(t, address)); !maps.Equal(got, want) {
					t.Errorf("with another %s, the parameters are\n%v\nwant\n%v", p.Name, got, want)
				}
				pgtest.ResetSettings(t, admin, plain)
			}
		})
	}
}

// TestAStricterValueIsKept: what is acknowledged may also wait until standbys show it.
func TestAStricterValueIsKept(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.With(pgtest.Start(t), "options="+pgtest.Escape("-c synchronous_commit=remote_apply")))
	if got := shown(t, conn)["synchronous_commit"]; got != "remote_apply" {
		t.Errorf("synchronous_commit is %q", got)
	}
}

// TestTheAddressDoesNotChooseHowStatementsAreRun: some modes cannot send what the program sends.
func TestTheAddressDoesNotChooseHowStatementsAreRun(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{
		"default_query_exec_mode=exec", "default_query_exec_mode=simple_protocol", "default_query_exec_mode=describe_exec",
		"statement_cache_capacity=0&description_cache_capacity=0",
	} {
		config, err := pg.Parse("postgres://u:secret@h/d?" + parameters)
		if err != nil {
			t.Fatal(err)
		}
		c := config.ConnConfig
		if c.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement || c.StatementCacheCapacity == 0 || c.DescriptionCacheCapacity == 0 {
			t.Errorf("%s: mode %s, caches of %d and %d", parameters, c.DefaultQueryExecMode, c.StatementCacheCapacity, c.DescriptionCacheCapacity)
		}
	}
	if _, err := pg.Parse("postgres://u:secret@h:port/d"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error is %v, want one without the password", err)
	}
}

// TestAReadOnlyDefaultDoesNotHideThePrimary: an address that asks for a server that takes writes finds one.
func TestAReadOnlyDefaultDoesNotHideThePrimary(t *testing.T) {
	t.Parallel()
	admin, address := pgtest.Start(t), pgtest.Start(t)
	execute(t, admin, "ALTER DATABASE "+database(t, address)+" SET default_transaction_read_only = on")
	connect(t, pgtest.With(address, "target_session_attrs=read-write"))
}

// TestAParameterThatOnlyASuperuserMayPinIsReported: what cannot be pinned is refused, with what to do.
func TestAParameterThatOnlyASuperuserMayPinIsReported(t *testing.T) {
	t.Parallel()
	admin, address := pgtest.Start(t), pgtest.Start(t)
	user := "plain_" + database(t, address)
	execute(t, admin, "CREATE ROLE "+user+" LOGIN PASSWORD 'only-for-this-test'")
	t.Cleanup(func() { execute(t, admin, "DROP ROLE "+user) })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "only-for-this-test")
	connect(t, u.String())
	execute(t, admin, "ALTER ROLE "+user+" SET session_replication_role = replica")
	config, err := pg.Parse(u.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pg.Connect(t.Context(), config.ConnConfig); err == nil ||
		!strings.Contains(err.Error(), "session_replication_role") || !strings.Contains(err.Error(), "reset it with ALTER ROLE") {
		t.Errorf("error is %v", err)
	}
}

// TestAPoolerThatRefusesParametersIsNoHindrance: poolers take few parameters at the start of a session. The others are set
// as soon as it is there.
func TestAPoolerThatRefusesParametersIsNoHindrance(t *testing.T) {
	t.Parallel()
	admin, plain := pgtest.Start(t), pgtest.Start(t)
	execute(t, admin, "ALTER DATABASE "+database(t, plain)+" SET default_transaction_isolation = serializable")
	execute(t, admin, "ALTER DATABASE "+database(t, plain)+" SET statement_timeout = 1000")
	want := shown(t, connect(t, plain))
	config, err := pg.Parse(pooled(t, plain))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for range 2 { // that the pooler refuses is found out once
		conn, err := pg.Acquire(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		if got := shown(t, conn.Conn()); !maps.Equal(got, want) {
			t.Errorf("behind a pooler, the parameters are\n%v\nwant\n%v", got, want)
		}
	}
}

// pooled returns the address of something that refuses start-up parameters as PgBouncer does, and passes on all else.
func pooled(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	server := u.Host
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { pass(context.WithoutCancel(t.Context()), client, server) })
		}
	})
	u.Host = listener.Addr().String()
	return u.String()
}

// pass serves one client of a pooler.
func pass(ctx context.Context, client net.Conn, server string) {
	defer func() { _ = client.Close() }()
	backend := pgproto3.NewBackend(client, client)
	message, err := backend.ReceiveStartupMessage()
	startup, ok := message.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	for name := range startup.Parameters {
		if !slices.Contains([]string{"user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings"}, name) {
			backend.Send(&pgproto3.ErrorResponse{
				Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name,
			})
			_ = backend.Flush()
			return
		}
	}
	upstream, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	first, err := startup.Encode(nil)
	if err != nil {
		return
	}
	if _, err := upstream.Write(first); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
}
