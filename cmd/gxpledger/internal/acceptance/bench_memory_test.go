package acceptance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// BenchmarkMemoryOfAScan shows the most memory that the command had resident, in MiB: for a first scan of very many files,
// for one after ten of them changed, and for a rebuild of all tables, with log and tables on SQLite and on PostgreSQL.
// GXPLEDGER_BENCH_FILES sets their number, 10,000 by default; "./task memory" takes 200,000.
func BenchmarkMemoryOfAScan(b *testing.B) {
	files := sizes([]int{200, 10_000})
	if text := os.Getenv("GXPLEDGER_BENCH_FILES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		files = []int{n}
	}
	gxpledger := binary(b)
	for _, n := range files {
		r := newRepo(b).fill(n)
		first := r.commit("Start")
		for i := range 10 {
			r.spec(fmt.Sprintf("SPEC-%05d", i), "US-00001")
		}
		r.commit("Change ten")
		for _, on := range []string{"SQLite", "PostgreSQL"} {
			b.Run(fmt.Sprintf("files=%d/%s", n, on), func(b *testing.B) {
				for b.Loop() {
					env := append(os.Environ(), "GXPLEDGER_HOME="+filepath.Join(b.TempDir(), "home"))
					if on == "PostgreSQL" {
						url := pgtest.Start(b)
						env = append(env, "GXPLEDGER_LOG="+url, "GXPLEDGER_DB="+url)
						peakOf(b, env, gxpledger, "migrate", "up")
					}
					b.ReportMetric(peakOf(b, env, gxpledger, "scan", r.dir, "--name", "big", "--ref", first), "scan-MiB")
					b.ReportMetric(peakOf(b, env, gxpledger, "scan", r.dir, "--name", "big"), "next-MiB")
					b.ReportMetric(peakOf(b, env, gxpledger, "projections", "rebuild", "--all", "--reason", "measure"), "rebuild-MiB")
				}
			})
		}
	}
}

// peakOf runs a command and returns the most memory that it had resident, in MiB; 0 where the system does not tell.
func peakOf(b *testing.B, env []string, name string, args ...string) float64 {
	b.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), name, args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%q: %v\n%s", args, err, strings.TrimSpace(string(out)))
	}
	return residentMiB(cmd.ProcessState)
}
