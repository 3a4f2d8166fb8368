// Package spelling finds what somebody may have meant.
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns at most limit of known that are near word, each once, nearest first: those that it would take few keystrokes to
// change it into, and those that it begins. It returns none when nothing is near.
func Nearest(word string, known []string, limit int) []string {
	type candidate struct {
		text string
		far  int
	}
	var near []candidate
	folded := strings.ToLower(word)
	for _, text := range known {
		other := strings.ToLower(text)
		far := distance(folded, other)
		switch {
		case far <= 1+max(len(folded), len(other))/5:
		case len(folded) >= 2 && strings.HasPrefix(other, folded):
			far = len(other) - len(folded)
		default:
			continue
		}
		if !slices.ContainsFunc(near, func(c candidate) bool { return c.text == text }) {
			near = append(near, candidate{text: text, far: far})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	out := make([]string, 0, limit)
	for _, c := range near[:min(limit, len(near))] {
		out = append(out, c.text)
	}
	return out
}

// distance is how many letters are to be added, dropped, changed or swapped with their neighbour to get from a to b.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	const longest = 200 // beyond, nothing is a typing error
	if len(from) > longest || len(to) > longest {
		return max(len(from), len(to))
	}
	rows := make([][]int, len(from)+1)
	for i := range rows {
		rows[i] = make([]int, len(to)+1)
		rows[i][0] = i
	}
	for j := range to {
		rows[0][j+1] = j + 1
	}
	for i := range from {
		for j := range to {
			rows[i+1][j+1] = step(rows, from, to, i, j)
		}
	}
	return rows[len(from)][len(to)]
}

func step(rows [][]int, from, to []rune, i, j int) int {
	change := rows[i][j]
	if from[i] != to[j] {
		change++
	}
	best := min(change, rows[i][j+1]+1, rows[i+1][j]+1)
	if i > 0 && j > 0 && from[i] == to[j-1] && from[i-1] == to[j] {
		best = min(best, rows[i-1][j-1]+1)
	}
	return best
}
