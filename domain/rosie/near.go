package rosie

import "fmt"

// misspelt ends the text of a missing field with the key that may have been meant for it, and returns its line; "" and 0
// when no key of the front matter is near one of names.
func misspelt(root value, names ...string) (text string, line int) {
	for _, name := range names {
		for i, key := range root.keys {
			for _, spelling := range []string{name, camel(name)} {
				if far := keystrokes(key, spelling); far > 0 && far <= 1+len(spelling)/5 {
					return fmt.Sprintf("; did you mean %s by the key %q?", spelling, key), root.items[i].line
				}
			}
		}
	}
	return "", 0
}

// keystrokes is how many bytes are to be added, dropped, changed or swapped with their neighbour to get from a to b. Of
// texts that differ much in length it is just that difference.
func keystrokes(a, b string) int {
	if apart := max(len(a)-len(b), len(b)-len(a)); apart > 3 {
		return apart
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			same := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				same++
			}
			rows[i][j] = min(same, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
