package cli

import (
	"path/filepath"
	"slices"
	"strings"
)

// ofFile checks the name of an output file and sets the format that it implies. given says that the user chose the format, which the name
// must not contradict. A name without an extension implies nothing.
func (c *choice) ofFile(path string, given bool) error { //revive:disable-line:flag-parameter // what the user said
	if path == "" {
		return nil
	}
	if path == "-" {
		return usage("--output takes the name of a file: leave it out for standard output")
	}
	if err := checkOutput(path); err != nil {
		return err
	}
	extension := strings.ToLower(filepath.Ext(path))
	implied, known := map[string]string{
		".txt": formatTable, ".csv": formatCSV, ".json": formatJSON, ".html": formatHTML, ".htm": formatHTML,
	}[extension]
	known = known && slices.Contains(c.words, implied)
	switch {
	case given && known && implied != c.value:
		return usage("the name %s implies --format %s, and the format asked for is %s: change the name or the format", path, implied, c.value)
	case given || extension == "" || extension == ".":
	case known:
		c.value = implied
	default:
		return usage("the name %s does not imply a format: want one that ends in .html, .csv, .json or .txt, or add --format", path)
	}
	return nil
}
