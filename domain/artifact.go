package domain

import (
	"cmp"
	"encoding/json"
	"strconv"
)

// Key is the identity of an artifact within its repository: the slash-separated path from the repository's root
// and, for a file that holds several artifacts, a place in it. The file itself, or a package directory, is ordinal 0;
// the entries of a risk log are 1, 2, 3 and so on. The gxp_id is an attribute, not the identity.
type Key struct {
	Path    string `json:"path"`
	Ordinal int    `json:"ordinal,omitempty"`
}

// String returns the path, with "#ordinal" behind it unless that is 0.
func (k Key) String() string {
	if k.Ordinal == 0 {
		return k.Path
	}
	return k.Path + "#" + strconv.Itoa(k.Ordinal)
}

// Compare orders keys by path, bytewise, then by ordinal. It returns -1, 0 or +1.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Path, other.Path), cmp.Compare(k.Ordinal, other.Ordinal))
}

// Term is a word of a controlled vocabulary as the author wrote it and as we compare it.
type Term struct {
	Raw    string `json:"raw"`    // verbatim
	Normal string `json:"normal"` // lower case, blanks and dashes to underscores: "In Review" -> "in_review"
}

// Content names the bytes of one stored file. The bytes themselves travel beside the events, once for each hash (I12).
type Content struct {
	SHA256 string `json:"sha256"` // of the raw bytes, 64 lower-case hexadecimal digits
	Blob   string `json:"blob"`   // git blob id of the same bytes (SHA-1, 40 hexadecimal digits)
	Size   int64  `json:"size"`   // bytes
}

// Member is one file of an evidence package; Path is relative to the package directory.
type Member struct {
	Path string `json:"path"`
	Content
}

// Artifact is one requirement, story, spec, piece of evidence or document as read from a repository.
// Text in it is hostile until neutralised at a sink (I13).
type Artifact struct {
	Key
	Kind             Kind   `json:"kind"`
	GxPID            string `json:"gxp_id,omitempty"` // "" when the kind or the file has none
	Title            string `json:"title,omitempty"`
	Risk             *Term  `json:"risk,omitempty"`
	Tier             *Term  `json:"tier,omitempty"`
	Status           *Term  `json:"status,omitempty"`
	ValidationStatus *Term  `json:"validation_status,omitempty"`
	AssuranceStatus  *Term  `json:"assurance_status,omitempty"`
	// Fields is the whole front matter (for a single JWS: its payload without the test cases; for a package: its
	// metadata.json; for a risk entry: its columns) as one JSON object: keys in file order, scalars as their text, lists
	// and maps nested, null as null.
	Fields  json.RawMessage `json:"fields,omitempty"`
	Content Content         `json:"content"` // for a package: of its manifest.json, or else of its first member; for a risk entry: of the file that this version of it was read from
	// Digest is the SHA-256 of what this artifact says. It equals Content.SHA256 for a file that is one artifact,
	// and covers the one entry of a risk log, or all members of a package. Two readings with the same digest by the
	// same reader are the same artifact.
	Digest   string    `json:"digest"`
	Links    []Link    `json:"links,omitempty"` // in file order, without repetitions
	Members  []Member  `json:"members,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"` // evidence kinds only
	Findings []Finding `json:"findings,omitempty"` // what the reader noticed in this artifact; never fatal
}
