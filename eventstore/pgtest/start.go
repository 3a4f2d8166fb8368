package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// EnvURL names the variable with the address of a server to use instead of a throw-away one.
const EnvURL = "GXPLEDGER_TEST_POSTGRES_URL"

// shared is the cluster of this test binary. Nobody stops it but the end of the process.
var shared = sync.OnceValues(func() (*Cluster, error) { return newCluster(nil) })

// Start returns the URL of an empty database that is tb's alone, for a user who may do everything in it. It is dropped
// when tb ends. The first call of a test binary starts the server, which takes a second or two.
func Start(tb testing.TB) string {
	tb.Helper()
	if server := os.Getenv(EnvURL); server != "" {
		return database(tb, server)
	}
	c, err := shared()
	if err != nil {
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	return c.Database(tb)
}

// database makes a database on the server of admin and returns its URL.
func database(tb testing.TB, admin string) string {
	tb.Helper()
	name := "gxpledger_test_" + strings.ToLower(rand.Text())
	if err := administer(admin, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		tb.Fatalf("make a database: %v", err)
	}
	tb.Cleanup(func() {
		if err := administer(admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the database: %v", err)
		}
	})
	u, err := url.Parse(admin)
	if err != nil {
		tb.Fatalf("%s: want a URL", EnvURL)
	}
	u.Path = "/" + name
	return u.String()
}

// With returns address with a parameter, such as "schema=gxp", added.
func With(address, parameter string) string {
	if strings.Contains(address, "?") {
		return address + "&" + parameter
	}
	return address + "?" + parameter
}

// administer runs one statement on the server of admin.
func administer(admin, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the statement was answered or not
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
