package rosie

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// listing is one file as a manifest lists it.
type listing struct {
	path string
	hash string // lower-case hexadecimal SHA-256; "" when the manifest gives none that can be used
	size string // decimal; "" when the manifest gives none
}

// manifest is the list of files that a package claims to hold.
type manifest struct {
	files    []listing
	problems []domain.Problem // of the list itself
}

var sha256Hex = regexp.MustCompile(`\A[0-9a-f]{64}\z`)

// readManifest takes the list of files from a manifest: an array of objects, or an object from path to hash.
func readManifest(root value) manifest {
	var m manifest
	files := root.field("files")
	switch files.form {
	case formList:
		for _, item := range files.items {
			m.add(item.fieldText("path"), item)
		}
	case formMap:
		for i, path := range files.keys {
			m.add(path, files.items[i])
		}
	case formNull, formText, formNumber, formBool:
		m.problem("no_file_list", "", "The manifest has no list of files.")
	}
	m.checkDoubles()
	return m
}

// add takes one entry: the hash alone as text, or an object with it.
func (m *manifest) add(path string, item value) {
	l := listing{path: path}
	hash := item.text
	if item.form == formMap {
		hash = item.fieldText("sha256", "hash")
		l.size = item.fieldText("size_bytes", "size")
	}
	hash = strings.ToLower(strings.TrimPrefix(hash, "sha256:"))
	switch {
	case !memberPath(path):
		m.problem("bad_path", path, "The path leads out of the package or is not plain.")
		return
	case sha256Hex.MatchString(hash):
		l.hash = hash
	default:
		m.problem("bad_hash", path, "The manifest gives no SHA-256 for this file.")
	}
	m.files = append(m.files, l)
}

// memberPath reports whether a path of a manifest can be one of a file inside the package.
func memberPath(path string) bool {
	return fs.ValidPath(path) && path != "." && oddName(path) == "" && len(path) <= maxPath
}

// checkDoubles finds paths that are the same file, exactly or on a system that ignores case.
func (m *manifest) checkDoubles() {
	first := make(map[string]string, len(m.files))
	for _, l := range m.files {
		key := foldName(l.path)
		if _, ok := first[key]; ok {
			m.problem("duplicate_path", l.path, "The manifest lists this path twice, or once more in another spelling.")
			continue
		}
		first[key] = l.path
	}
}

func (m *manifest) problem(code, path, text string) {
	m.problems = append(m.problems, newProblem(code, path, text))
}

// sizeDiffers reports whether the manifest states a size, and another one.
func (l listing) sizeDiffers(size int64) bool {
	if l.size == "" {
		return false
	}
	stated, err := strconv.ParseInt(l.size, 10, 64)
	return err != nil || stated != size
}
