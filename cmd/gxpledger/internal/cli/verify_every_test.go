package cli_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// background is what projections run tells of a verification.
type background struct {
	verification    map[string]any
	faults          []any
	metrics, stderr string
}

// verifiesInTheBackground runs projections run --verify-every until a verification ends. It returns that and what /metrics
// serves then.
func (d *fixture) verifiesInTheBackground(every string, later time.Duration) (told background) {
	d.t.Helper()
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.t.Context()))
	defer cancel()
	code := make(chan int, 1)
	var logged strings.Builder
	now := d.now().Add(later)
	system := cli.System{
		Stdin: strings.NewReader(""), Stdout: write, Stderr: &logged, Now: func() time.Time { return now }, Env: func(string) (string, bool) { return "", false },
	}
	go func() {
		code <- system.Run(ctx, []string{"projections", "run", "--metrics", "127.0.0.1:0", "--json", "--home", d.home, "--verify-every", every})
		_ = write.Close()
	}()
	address := ""
	screen := bufio.NewReader(read)
	for told.verification == nil {
		line, err := screen.ReadString('\n')
		if err != nil {
			d.t.Fatalf("run ended: %v, %s", err, logged.String())
		}
		read := lines(d.t, line)[0]
		if at, ok := read["metrics"].(string); ok {
			address = at
		}
		told.verification, _ = read["verification"].(map[string]any)
		told.faults, _ = read["faults"].([]any)
	}
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	cancel()
	_, _ = io.Copy(io.Discard, read)
	<-code
	told.metrics, told.stderr = string(body), logged.String()
	return told
}

// TestRunVerifiesInTheBackground: what readers would trust until somebody runs verify is found, told and remembered.
func TestRunVerifiesInTheBackground(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	if out := d.run("projections", "status", "--json").wantCode(0); strings.Contains(out.stdout, "last_verification") {
		t.Errorf("a verification is shown before the first: %s", out.stdout)
	}
	first := d.verifiesInTheBackground("24h", 0)
	if first.verification["intact"] != true || first.verification["position"] != 21.0 || len(first.faults) != 0 {
		t.Errorf("verification is %v with %v, want an intact log up to 21", first.verification, first.faults)
	}
	for _, want := range []string{"gxp_verification_faults 0\n", "gxp_verification_unknown 0\n", "gxp_verification_position 21\n", "gxp_verification_last_timestamp_seconds "} {
		if !strings.Contains(first.metrics, want) {
			t.Errorf("metrics lack %s:\n%s", want, first.metrics)
		}
	}
	d.run("projections", "status").wantCode(0).has("verified up to position 21: no faults found")
	d.tamper("tables.db", "UPDATE requirements__b1 SET title = 'another'")
	second := d.verifiesInTheBackground("24h", 48*time.Hour)
	if second.verification["intact"] != false || second.verification["faults"] != 1.0 || len(second.faults) != 1 ||
		!strings.Contains(second.metrics, "gxp_verification_faults 1\n") {
		t.Errorf("verification is %v with %v, want one fault\n%s", second.verification, second.faults, second.metrics)
	}
	if !strings.Contains(second.stderr, "warning: ") || !strings.Contains(second.stderr, "table requirements") {
		t.Errorf("the fault is not logged: %s", second.stderr)
	}
	d.run("projections", "status").wantCode(3).has("1 fault found")
	d.run("projections", "status", "--json").wantCode(3).has(`"last_verification"`)
}
