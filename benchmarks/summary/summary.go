// Package summary makes a Markdown table of the rounds that BenchmarkDurableAppend printed.
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

// ErrNoRounds says that the input holds no line of BenchmarkDurableAppend.
var ErrNoRounds = errors.New("no rounds of BenchmarkDurableAppend")

var errLine = errors.New("not a line of BenchmarkDurableAppend")

var line = regexp.MustCompile(
	`^BenchmarkDurableAppend/([^/]+)/events=(\d+)/producers=(\d+)/([^/]+)/round=\d+(?:-\d+)?\s+\d+\s+(.+)$`)

// row is one contender at one place of the table.
type row struct {
	key    [4]string // store, events, producers, contender
	values map[string][]float64
}

// Write reads the output of `go test -bench` from in and writes a table to out: the median of the rounds for each
// figure, and for events per second the least and the most of them too. Rows keep the order of the input. Lines that
// are no rounds are passed over. Errors: ErrNoRounds, or what in or out said.
func Write(out io.Writer, in io.Reader) error {
	rows, err := read(in)
	if err != nil {
		return fmt.Errorf("read benchmarks: %w", err)
	}
	if len(rows) == 0 {
		return ErrNoRounds
	}
	var table strings.Builder
	table.WriteString("| store | events | producers | contender | events/s, median (min..max) | p50 ms | p99 ms | rounds |\n")
	table.WriteString("|---|--:|--:|---|--:|--:|--:|--:|\n")
	for _, r := range rows {
		rate := r.values["events/s"]
		fmt.Fprintf(&table, "| %s | %s (%s..%s) | %.1f | %.1f | %d |\n", strings.Join(r.key[:], " | "),
			grouped(median(rate)), grouped(slices.Min(rate)), grouped(slices.Max(rate)),
			median(r.values["p50-µs"])/1000, median(r.values["p99-µs"])/1000, len(rate))
	}
	_, err = io.WriteString(out, table.String())
	return err
}

func read(in io.Reader) ([]*row, error) {
	var rows []*row
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		match := line.FindStringSubmatch(scanner.Text())
		if match == nil {
			continue
		}
		key := [4]string(match[1:5])
		i := slices.IndexFunc(rows, func(r *row) bool { return r.key == key })
		if i < 0 {
			i = len(rows)
			rows = append(rows, &row{key: key, values: map[string][]float64{}})
		}
		if err := rows[i].add(match[5]); err != nil {
			return nil, fmt.Errorf("%w: %q", err, scanner.Text())
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return place(rows, a) - place(rows, b) })
	return rows, scanner.Err()
}

// place puts the contenders of one match together, in the order in which they were first named.
func place(rows []*row, r *row) int {
	return slices.IndexFunc(rows, func(other *row) bool { return [3]string(other.key[:3]) == [3]string(r.key[:3]) })
}

// add takes the figures of one round: "12 events/s 34 p50-µs 56 p99-µs". A round lacks none of them.
func (r *row) add(figures string) error {
	words := strings.Fields(figures)
	found := map[string]float64{}
	for pair := range slices.Chunk(words, 2) {
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil || len(pair) < 2 {
			return errLine
		}
		found[pair[1]] = value
	}
	for _, unit := range []string{"events/s", "p50-µs", "p99-µs"} {
		value, ok := found[unit]
		if !ok {
			return errLine
		}
		r.values[unit] = append(r.values[unit], value)
	}
	return nil
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
