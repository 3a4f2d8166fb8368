// Package pgtest gives tests a real PostgreSQL server.
//
// [Start] returns a database of its own to each test. The server is a throw-away cluster in a temporary folder, made from
// the newest server binaries that are installed (/usr/lib/postgresql/*/bin, or PATH), once for each test binary. It keeps
// PostgreSQL's own durability (fsync on), listens on the loopback device at a free port with a random password, and is
// stopped and removed when the test binary ends, however it ends. When the tests run as root, which PostgreSQL refuses,
// it runs as the user postgres, or nobody.
//
// With GXPLEDGER_TEST_POSTGRES_URL set, Start makes its databases on that server instead; the user in the URL needs the
// right to create databases and roles. Tests that kill the server, [NewCluster], always start one of their own, and a
// standby of it, [Cluster.Standby].
package pgtest
