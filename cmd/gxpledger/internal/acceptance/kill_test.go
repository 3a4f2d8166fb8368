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

// TestKilledScansAreWholeOrAbsent kills the real binary at thirty random moments of a scan. After each, the log verifies
// and holds the scan whole or not at all; the next scan succeeds (I1, I2, I5).
func TestKilledScansAreWholeOrAbsent(t *testing.T) {
	t.Parallel()
	gxpledger := binary(t)
	r := newRepo(t).fill(200)
	r.commit("Start")
	c := newClient(t)
	c.runBinary(t, gxpledger, r.dir)

	const kills, most = 30, 300
	landed, killed, tried := 0, 0, 0
	scan := func() *exec.Cmd { return exec.CommandContext(t.Context(), gxpledger, "scan", r.dir, "--home", c.home) }
	lasts, _ := shoot(t, scan(), time.Hour) // what a scan takes that is not killed; moments are drawn from a little more
	for killed < kills {
		if tried++; tried > most {
			t.Fatalf("only %d of %d scans were killed before they ended: the moments prove nothing", killed, most)
		}
		r.requirement("REQ-00001", fmt.Sprintf("LOW %d", tried)).commit("Change one")
		before := len(c.events(t))
		took, dead := shoot(t, scan(), rand.N(lasts*5/4))
		if dead {
			killed++
		} else {
			lasts = took
		}
		switch added := c.events(t)[before:]; len(added) {
		case 0:
		case 2:
			landed++
			if added[0] != "artifact.parsed.v2" || added[1] != "scan.completed.v2" {
				t.Fatalf("scan %d left %v", tried, added)
			}
		default:
			t.Fatalf("scan %d left %v; want the artifact and the scan, or nothing", tried, added)
		}
		if tried%10 == 9 {
			c.run(t, "verify").wantCode(t, 0)
		}
	}
	t.Logf("killed %d of %d scans, %d had landed", killed, tried, landed)
	c.run(t, "scan", r.dir).wantCode(t, 0)
	c.run(t, "verify").wantCode(t, 0)
}

// shoot starts a command and kills it after a while. It returns how long the command ran, and whether the kill ended it.
func shoot(tb testing.TB, cmd *exec.Cmd, after time.Duration) (took time.Duration, dead bool) {
	tb.Helper()
	var screen bytes.Buffer
	cmd.Stdout, cmd.Stderr = &screen, &screen
	began := time.Now()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	shot := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	shot.Stop()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		tb.Fatalf("a scan failed by itself: %v\n%s", err, screen.String())
	}
	return time.Since(began), err != nil
}

// runBinary runs a scan with the real binary to its end.
func (c client) runBinary(tb testing.TB, gxpledger, repository string) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), gxpledger, "scan", repository, "--home", c.home).CombinedOutput()
	if err != nil {
		tb.Fatalf("scan: %v\n%s", err, out)
	}
}
