package summary_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/benchmarks/summary"
)

const output = `goos: linux
BenchmarkDurableAppend/sqlite/events=44/producers=8/gxpledger/round=1-2         	      10	     12000 events/s	      1500 p50-µs	      9000 p99-µs
BenchmarkDurableAppend/sqlite/events=44/producers=8/raw-file/round=1-2          	      10	   1234567 events/s	       100 p50-µs	       200 p99-µs
BenchmarkDurableAppend/postgres/events=44/producers=8/gxpledger/round=1         	      10	       999.6 events/s	      1500 p50-µs	      9000 p99-µs
BenchmarkDurableAppend/sqlite/events=44/producers=8/gxpledger/round=2-2         	      10	     10000 events/s	      2500 p50-µs	      7000 p99-µs
BenchmarkDurableAppend/sqlite/events=44/producers=8/gxpledger/round=3-2         	      10	     50000 events/s	       500 p50-µs	      8000 p99-µs
BenchmarkDurableAppend/sqlite/events=44/producers=8/raw-file/round=2-2          	      10	   1000000 events/s	       200 p50-µs	       400 p99-µs
PASS
`

const projected = `goos: linux
BenchmarkProject/sqlite/events=20000/gxpledger/round=1-2 	       1	        52.0 MiB-heap	       136.6 MiB-resident	     26696 events/s
BenchmarkProject/sqlite/events=20000/upsert-each/round=1-2 	       1	        10.9 MiB-heap	        78.4 MiB-resident	      9574 events/s
BenchmarkProject/sqlite/events=20000/gxpledger/round=2 	       1	        58.8 MiB-heap	       130.0 MiB-resident	     48898 events/s
PASS
`

func TestWriteShowsMediansAndTheMostMemory(t *testing.T) {
	t.Parallel()
	const want = `| store | events | contender | events/s, median (min..max) | peak heap MiB | peak resident MiB | rounds |
|---|--:|---|--:|--:|--:|--:|
| sqlite | 20000 | gxpledger | 37 797 (26 696..48 898) | 59 | 137 | 2 |
| sqlite | 20000 | upsert-each | 9 574 (9 574..9 574) | 11 | 78 | 1 |
`
	var got strings.Builder
	if err := summary.Write(&got, strings.NewReader(projected)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestWriteShowsATableForEachBenchmark(t *testing.T) {
	t.Parallel()
	var first, second, got strings.Builder
	for _, one := range []struct {
		out *strings.Builder
		in  string
	}{{&first, output}, {&second, projected}, {&got, projected + output}} {
		if err := summary.Write(one.out, strings.NewReader(one.in)); err != nil {
			t.Fatal(err)
		}
	}
	if want := first.String() + "\n" + second.String(); got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestWriteShowsMediansAndRange(t *testing.T) {
	t.Parallel()
	const want = `| store | events | producers | contender | events/s, median (min..max) | p50 ms | p99 ms | rounds |
|---|--:|--:|---|--:|--:|--:|--:|
| sqlite | 44 | 8 | gxpledger | 12 000 (10 000..50 000) | 1.5 | 8.0 | 3 |
| sqlite | 44 | 8 | raw-file | 1 117 284 (1 000 000..1 234 567) | 0.1 | 0.3 | 2 |
| postgres | 44 | 8 | gxpledger | 1 000 (1 000..1 000) | 1.5 | 9.0 | 1 |
`
	var got strings.Builder
	if err := summary.Write(&got, strings.NewReader(output)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestWriteRefusesInputWithoutRounds(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	err := summary.Write(&got, strings.NewReader("PASS\n"))
	if !errors.Is(err, summary.ErrNoRounds) || got.Len() != 0 {
		t.Errorf("wrote %q, and said %v", got.String(), err)
	}
}

func TestWriteRefusesARoundThatLacksAFigure(t *testing.T) {
	t.Parallel()
	for _, figures := range []string{"12 events/s", "12 events/s 3 p50-µs 4", "twelve events/s 3 p50-µs 4 p99-µs"} {
		var got strings.Builder
		in := "BenchmarkDurableAppend/sqlite/events=44/producers=8/gxpledger/round=1-2 10 " + figures + "\n"
		if err := summary.Write(&got, strings.NewReader(in)); err == nil || got.Len() != 0 {
			t.Errorf("%s: wrote %q, and said %v", figures, got.String(), err)
		}
	}
	in := "BenchmarkProject/sqlite/events=1000/gxpledger/round=1-2 1 12 events/s 3 MiB-heap\n"
	if err := summary.Write(io.Discard, strings.NewReader(in)); err == nil {
		t.Error("took a round that does not say how much was resident")
	}
}
