package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// serving is a serve command on its way.
type serving struct {
	t      *testing.T
	line   string // the first of its output
	screen *bufio.Reader
	stderr *bytes.Buffer
	cancel context.CancelFunc
	code   chan int
}

// serve starts a server on the home of the fixture and waits until it listens. It is stopped when the test ends.
func (d *fixture) serve(args ...string) *serving {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.t.Context()))
	read, write := io.Pipe()
	s := &serving{t: d.t, screen: bufio.NewReader(read), stderr: &bytes.Buffer{}, cancel: cancel, code: make(chan int, 1)}
	now := d.now()
	system := cli.System{
		Silence: time.Hour, // a loaded machine is no other process
		Stdin:   strings.NewReader(""), Stdout: write, Stderr: s.stderr, Now: func() time.Time { return now },
		Env: func(name string) (string, bool) { value, ok := d.env[name]; return value, ok },
	}
	if !slices.Contains(args, "--http") {
		args = append([]string{"--esdb", "127.0.0.1:0"}, args...)
	}
	args = append([]string{"serve", "--home", d.home}, args...)
	go func() {
		s.code <- system.Run(ctx, args)
		_ = write.Close()
	}()
	d.t.Cleanup(func() {
		cancel()
		_ = read.Close()
	})
	var err error
	if s.line, err = s.screen.ReadString('\n'); err != nil {
		d.t.Fatalf("the server said nothing: exit code %d\n%s", <-s.code, s.stderr)
	}
	return s
}

// stop stops the server as a signal does, and checks that it ends well and has said no more.
func (s *serving) stop() {
	s.t.Helper()
	if said := s.warned(); said != "" {
		s.t.Errorf("standard error %q, want silence", said)
	}
}

// refused stops the server likewise, and checks that it told of n appends that were refused, and of nothing else.
func (s *serving) refused(n int) {
	s.t.Helper()
	said := s.warned()
	if lines, told := strings.Count(said, "\n"), strings.Count(said, `level=warning msg="append refused"`); lines != n || told != n {
		s.t.Errorf("standard error %q, want %d refused appends", said, n)
	}
}

// warned stops the server likewise, and returns what it wrote to standard error.
func (s *serving) warned() string {
	s.t.Helper()
	s.cancel()
	rest, err := io.ReadAll(s.screen)
	if code := <-s.code; code != 0 || err != nil || len(rest) > 0 {
		s.t.Errorf("exit code %d, %v, standard output %q; want 0 and no more output", code, err, rest)
	}
	return s.stderr.String()
}

// address returns the connection string that the server announced.
func (s *serving) address() string {
	_, address, _ := strings.Cut(strings.TrimSpace(s.line), " at ")
	return address
}

func dial(t *testing.T, address string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(address)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// next waits for events of a subscription and returns their types.
func next(t *testing.T, from *esdb.Subscription, n int) string {
	t.Helper()
	var types []string
	for len(types) < n {
		got := from.Recv()
		if got.SubscriptionDropped != nil {
			t.Fatalf("dropped after %v: %v", types, got.SubscriptionDropped.Error)
		}
		if got.EventAppeared != nil {
			types = append(types, got.EventAppeared.OriginalEvent().EventType)
		}
	}
	return strings.Join(types, " ")
}

func appendEvent(t *testing.T, client *esdb.Client, stream string) error {
	t.Helper()
	_, err := client.AppendToStream(within(t), stream, esdb.AppendToStreamOptions{}, esdb.EventData{
		EventID: uuid.New(), EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{"n":1}`),
	})
	return err
}

// TestAClientFollowsTheLogWhileScansAreRecorded: the genuine client sees what was there, and what commands that run beside
// the server record, on either log.
func TestAClientFollowsTheLogWhileScansAreRecorded(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]string{"SQLite": "", "PostgreSQL": made(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, r := newFixture(t), newRepo(t).commit("Write it down")
			d.env["GXPLEDGER_LOG"] = log
			d.scan(r).wantCode(0)
			s := d.serve()
			all, err := dial(t, s.address()).SubscribeToAll(within(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
			if err != nil {
				t.Fatal(err)
			}
			first := "repository.registered.v1 " + strings.Repeat("artifact.parsed.v2 ", 2) + "scan.completed.v2"
			if got := next(t, all, 4); got != first {
				t.Errorf("of the first scan %s, want %s", got, first)
			}
			d.scan(r.requirement("REQ-002", "The second").commit("Write more")).wantCode(0)
			if got := next(t, all, 2); got != "artifact.parsed.v2 scan.completed.v2" {
				t.Errorf("of the scan beside the server %s", got)
			}
			if err := appendEvent(t, dial(t, s.address()), "orders-1"); err == nil {
				t.Error("a client appended to a log that is open to nobody")
			}
			s.refused(1)
			d.run("serve", "--esdb", "127.0.0.1:0", "--esdb-writable", "repository-x").wantCode(2).says("of gxpledger")
		})
	}
}

func TestClientsAppendOnlyWhereTheyAreLet(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	s := d.serve("--esdb-writable", "orders-", "--esdb-writable", "invoices-") // there is no log yet: it is made
	client := dial(t, s.address())
	for stream, open := range map[string]bool{
		"orders-1": true, "invoices-7": true, "others-1": false, "repository-x": false, "engine": false,
	} {
		if err := appendEvent(t, client, stream); (err == nil) != open {
			t.Errorf("%s: %v", stream, err)
		}
	}
	d.scan(r).wantCode(0)
	if err := appendEvent(t, client, "orders-1"); err != nil {
		t.Error(err)
	}
	d.run("show", "requirements").wantCode(0).has("REQ-001")
	d.verify(0)
	s.refused(3)
}

// The genuine client reads a stream and the whole log both ways, and follows what passes a filter, through the command.
func TestAClientReadsBothWaysAndByFilters(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.scan(r).wantCode(0) // four events
	client := dial(t, d.serve("--esdb-writable", "orders-").address())
	for _, stream := range []string{"orders-1", "orders-2", "orders-1"} {
		if err := appendEvent(t, client, stream); err != nil {
			t.Fatal(err)
		}
	}
	places := func(stream *esdb.ReadStream, err error) (out []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			e := event.OriginalEvent()
			out = append(out, fmt.Sprintf("%s@%d", e.StreamID, e.EventNumber))
		}
	}
	ctx := within(t)
	forwards := places(client.ReadStream(ctx, "orders-1", esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Start{}}, 9))
	backwards := places(client.ReadStream(ctx, "orders-1", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 9))
	if fmt.Sprint(forwards, backwards) != "[orders-1@0 orders-1@1] [orders-1@1 orders-1@0]" {
		t.Errorf("a stream is read as %v, and back as %v", forwards, backwards)
	}
	all := places(client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Forwards, From: esdb.Start{}}, 99))
	back := places(client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 99))
	slices.Reverse(back)
	if len(all) != 7 || !slices.Equal(all, back) || fmt.Sprint(all[4:]) != "[orders-1@0 orders-2@0 orders-1@1]" {
		t.Errorf("the log is read as %v, and back, turned round, as %v", all, back)
	}
	for _, c := range []struct {
		filter esdb.SubscriptionFilter
		want   string
	}{
		{esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"orders-2", "none-"}}, "order-placed"},
		{esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^scan|^order"}, "scan.completed.v2" + strings.Repeat(" order-placed", 3)},
	} {
		from, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &c.filter})
		if err != nil {
			t.Fatal(err)
		}
		if got := next(t, from, strings.Count(c.want, " ")+1); got != c.want {
			t.Errorf("by %+v it follows %s, want %s", c.filter, got, c.want)
		}
		_ = from.Close()
	}
}

func TestServingOverTLSToKnownUsers(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.scan(r).wantCode(0)
	cert, key := certificate(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, fmt.Appendf(nil, "# who may read\n\nada:%s\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	s := d.serve("--tls-cert", cert, "--tls-key", key, "--basic-auth-file", file)
	host := strings.TrimSuffix(strings.TrimPrefix(s.address(), "esdb://"), "?tls=true")
	read := func(user, password string) error {
		client := dial(t, "esdb://"+host+"?tlsCaFile="+cert)
		stream, err := client.ReadAll(within(t), esdb.ReadAllOptions{Authenticated: &esdb.Credentials{Login: user, Password: password}}, 1)
		if err != nil {
			return err
		}
		defer stream.Close()
		_, err = stream.Recv()
		return err
	}
	for range 2 { // the second time the password is known
		if err := read("ada", password); err != nil {
			t.Errorf("the right password: %v", err)
		}
		for user, word := range map[string]string{"ada": "wrong", "eve": password, "": ""} {
			if read(user, word) == nil {
				t.Errorf("user %q was let in with %q", user, word)
			}
		}
	}
	said := s.warned()
	for _, want := range []string{
		`level=warning msg="login refused" operation=serve peer="127.0.0.1:`, `reason="unknown user or wrong password" user=eve`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %s", want, said)
		}
	}
	if strings.Contains(said, password) {
		t.Errorf("passwords are written: %s", said)
	}
	late := d.now
	d.now = func() time.Time { return time.Now().AddDate(2, 0, 0) }
	said = d.serve("--tls-cert", cert, "--tls-key", key, "--advertise", "ledger.example.com:2113").warned()
	d.now = late
	for _, want := range []string{`level=warning msg="the certificate of`, "expired at", "not for the address of --advertise"} {
		if !strings.Contains(said, want) {
			t.Errorf("of a certificate that is neither valid nor for the address: %q is not in %s", want, said)
		}
	}
}

// A client that discovers servers is told the address that the operator advertises, and connects to that.
func TestServeAdvertisesAnAddress(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.scan(r).wantCode(0)
	behind := d.serve("--json") // what clients reach, as a name server or a gateway leads them there
	var listens struct {
		Listening string `json:"listening"`
		Advertise string `json:"advertise"`
	}
	if err := json.Unmarshal([]byte(behind.line), &listens); err != nil || listens.Advertise != "" {
		t.Fatalf("%q: %v", behind.line, err)
	}
	_, port, _ := strings.Cut(listens.Listening, ":")
	name := "localhost:" + port
	front := d.serve("--json", "--advertise", name)
	behind.cancel()
	<-behind.code
	if err := json.Unmarshal([]byte(front.line), &listens); err != nil || listens.Advertise != name {
		t.Fatalf("%q: %v", front.line, err)
	}
	_, err := dial(t, "esdb+discover://"+listens.Listening+"?tls=false&maxDiscoverAttempts=1&gossipTimeout=30").
		ReadAll(within(t), esdb.ReadAllOptions{}, 1)
	if err == nil {
		t.Error("a client was not sent to the advertised address, where no server is")
	}
	front.stop()
	again := d.serve("--advertise", "localhost:2113")
	if got := again.address(); got != "esdb://localhost:2113?tls=false" {
		t.Errorf("clients are told %s", got)
	}
	again.stop()
}

// certificate writes one for 127.0.0.1, signed by itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestServeRefusesWhatIsNotSafe(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.run("serve", "--esdb", "127.0.0.1:0").wantCode(1).says("there is no log")
	d.scan(r).wantCode(0)
	cert, key := certificate(t)
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("ada:in clear text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "--esdb is required", nil},
		{2, "want HOST:PORT", []string{"--esdb", "2113"}},
		{2, "can be reached from other machines", []string{"--esdb", "0.0.0.0:0"}},
		{2, "want HOST:PORT", []string{"--esdb", "127.0.0.1:0", "--advertise", "ledger.example.com"}},
		{2, "belong together", []string{"--esdb", "127.0.0.1:0", "--tls-cert", cert}},
		{2, "not accepted in clear text", []string{"--esdb", "127.0.0.1:0", "--basic-auth-file", users}},
		{2, "of gxpledger", []string{"--esdb", "127.0.0.1:0", "--esdb-writable", "engine"}},
		{2, "of gxpledger", []string{"--esdb", "127.0.0.1:0", "--esdb-writable", "content-1"}},
		{1, "line 1: want USER:HASH", []string{"--esdb", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--basic-auth-file", users}},
		{1, "cannot use the certificate", []string{"--esdb", "127.0.0.1:0", "--tls-cert", key, "--tls-key", cert}},
		{1, "cannot listen at", []string{"--esdb", "192.0.2.1:2113"}},
	} {
		got := d.run(append([]string{"serve"}, c.args...)...).wantCode(c.code).says(c.says)
		if got.stdout != "" {
			t.Errorf("%q: says %q before it refuses", c.args, got.stdout)
		}
	}
}
