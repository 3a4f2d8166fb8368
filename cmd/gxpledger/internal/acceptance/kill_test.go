package acceptance_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// binary builds gxpledger once for a test.
func binary(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "gxpledger")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", path, "github.com/gxpledger/gxpledger/cmd/gxpledger")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestKilledScansAreWholeOrAbsent kills the real binary at fifty random moments of a scan. After each, the log verifies
// and holds the scan whole or not at all; the next scan succeeds (I1, I2, I5).
func TestKilledScansAreWholeOrAbsent(t *testing.T) {
	t.Parallel()
	gxpledger := binary(t)
	r := newRepo(t).fill(200)
	r.commit("Start")
	c := newClient(t)
	began := time.Now()
	c.runBinary(t, gxpledger, r.dir)
	whole := time.Since(began) // the first scan is the longest: moments are drawn from a little more than it took

	const kills = 50
	landed, killed := 0, 0
	for i := range kills {
		r.requirement("REQ-00001", fmt.Sprintf("LOW %d", i)).commit("Change one")
		before := len(c.events(t))
		cmd := exec.CommandContext(t.Context(), gxpledger, "scan", r.dir, "--home", c.home)
		var screen bytes.Buffer
		cmd.Stdout, cmd.Stderr = &screen, &screen
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		shot := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		shot.Stop()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			t.Fatalf("scan %d failed by itself: %v\n%s", i, err, screen.String())
		}
		if err != nil {
			killed++
		}
		switch added := c.events(t)[before:]; len(added) {
		case 0:
		case 2:
			landed++
			if added[0] != "artifact.parsed.v1" || added[1] != "scan.completed.v1" {
				t.Fatalf("scan %d left %v", i, added)
			}
		default:
			t.Fatalf("scan %d left %v; want the artifact and the scan, or nothing", i, added)
		}
		if i%10 == 9 {
			c.run(t, "verify").wantCode(t, 0)
		}
	}
	if killed < kills/4 {
		t.Errorf("only %d of %d scans were killed before they ended: the moments prove nothing", killed, kills)
	}
	t.Logf("killed %d of %d scans, %d had landed", killed, kills, landed)
	c.run(t, "scan", r.dir).wantCode(t, 0)
	c.run(t, "verify").wantCode(t, 0)
}

// runBinary runs a scan with the real binary to its end.
func (c client) runBinary(tb testing.TB, gxpledger, repository string) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), gxpledger, "scan", repository, "--home", c.home).CombinedOutput()
	if err != nil {
		tb.Fatalf("scan: %v\n%s", err, out)
	}
}
