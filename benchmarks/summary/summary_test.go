package summary_test

import (
	"errors"
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
}
