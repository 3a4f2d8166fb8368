// Package summary makes Markdown tables of the rounds that BenchmarkDurableAppend and BenchmarkProject printed.
package summary

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoRounds says that the input holds no line of a benchmark that has a table.
var ErrNoRounds = errors.New("no rounds of BenchmarkDurableAppend or BenchmarkProject")

var errLine = errors.New("not a line of the benchmark")

// Write reads the output of `go test -bench` from in and writes a table for each benchmark to out: the median of the rounds
// for each figure, for events per second the least and the most of them too, and for memory the most. Rows keep the order
// of the input. Lines that are no rounds are passed over. Errors: ErrNoRounds, or those of in or out.
func Write(out io.Writer, in io.Reader) error {
	tables := []*table{appends(), projections()}
	if err := read(tables, in); err != nil {
		return fmt.Errorf("read benchmarks: %w", err)
	}
	var written []string
	for _, t := range tables {
		if len(t.rows) > 0 {
			written = append(written, t.String())
		}
	}
	if len(written) == 0 {
		return ErrNoRounds
	}
	_, err := io.WriteString(out, strings.Join(written, "\n"))
	return err
}

func read(tables []*table, in io.Reader) error {
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		for _, t := range tables {
			if err := t.add(scanner.Text()); err != nil {
				return fmt.Errorf("%w: %q", err, scanner.Text())
			}
		}
	}
	return scanner.Err()
}

// table is what one benchmark becomes.
type table struct {
	line   *regexp.Regexp // its groups are the key of a row, the contender last, and then the figures
	units  []string       // what a round must tell
	header string
	cells  func(values map[string][]float64) string // behind the key
	rows   []*row
}

// row is one contender at one place of the table.
type row struct {
	key    []string
	values map[string][]float64
}

var (
	appendLine = regexp.MustCompile(
		`^BenchmarkDurableAppend/([^/]+)/events=(\d+)/producers=(\d+)/([^/]+)/round=\d+(?:-\d+)?\s+\d+\s+(.+)$`)
	projectLine = regexp.MustCompile(`^BenchmarkProject/([^/]+)/events=(\d+)/([^/]+)/round=\d+(?:-\d+)?\s+\d+\s+(.+)$`)
)

func appends() *table {
	return &table{
		line: appendLine, units: []string{"events/s", "p50-µs", "p99-µs"},
		header: "| store | events | producers | contender | events/s, median (min..max) | p50 ms | p99 ms | rounds |\n" +
			"|---|--:|--:|---|--:|--:|--:|--:|\n",
		cells: func(values map[string][]float64) string {
			return fmt.Sprintf("%s | %.1f | %.1f", rates(values), median(values["p50-µs"])/1000, median(values["p99-µs"])/1000)
		},
	}
}

func projections() *table {
	return &table{
		line: projectLine, units: []string{"events/s", "MiB-heap", "MiB-resident"},
		header: "| store | events | contender | events/s, median (min..max) | peak heap MiB | peak resident MiB | rounds |\n" +
			"|---|--:|---|--:|--:|--:|--:|\n",
		cells: func(values map[string][]float64) string {
			return fmt.Sprintf("%s | %.0f | %.0f", rates(values), slices.Max(values["MiB-heap"]), slices.Max(values["MiB-resident"]))
		},
	}
}

func rates(values map[string][]float64) string {
	rate := values["events/s"]
	return fmt.Sprintf("%s (%s..%s)", grouped(median(rate)), grouped(slices.Min(rate)), grouped(slices.Max(rate)))
}

// add takes one line of output, and passes over what is no round of this benchmark.
func (t *table) add(line string) error {
	match := t.line.FindStringSubmatch(line)
	if match == nil {
		return nil
	}
	key, figures := match[1:len(match)-1], match[len(match)-1]
	i := slices.IndexFunc(t.rows, func(r *row) bool { return slices.Equal(r.key, key) })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &row{key: key, values: map[string][]float64{}})
	}
	return t.rows[i].add(figures, t.units)
}

// add takes the figures of one round: "12 events/s 34 p50-µs 56 p99-µs". A round lacks none of units.
func (r *row) add(figures string, units []string) error {
	words := strings.Fields(figures)
	found := map[string]float64{}
	for pair := range slices.Chunk(words, 2) {
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil || len(pair) < 2 {
			return errLine
		}
		found[pair[1]] = value
	}
	for _, unit := range units {
		value, ok := found[unit]
		if !ok {
			return errLine
		}
		r.values[unit] = append(r.values[unit], value)
	}
	return nil
}

// String writes the table.
func (t *table) String() string {
	rows := slices.Clone(t.rows)
	slices.SortStableFunc(rows, func(a, b *row) int { return t.place(a) - t.place(b) })
	var out strings.Builder
	out.WriteString(t.header)
	for _, r := range rows {
		fmt.Fprintf(&out, "| %s | %s | %d |\n", strings.Join(r.key, " | "), t.cells(r.values), len(r.values["events/s"]))
	}
	return out.String()
}

// place puts the contenders of one match together, in the order in which they were first named.
func (t *table) place(r *row) int {
	match := func(of *row) []string { return of.key[:len(of.key)-1] }
	return slices.IndexFunc(t.rows, func(other *row) bool { return slices.Equal(match(other), match(r)) })
}

// median of a list that is not empty; of two middle values the mean.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// grouped writes 12345.6 as "12 346".
func grouped(value float64) string {
	digits := strconv.FormatFloat(value, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}
