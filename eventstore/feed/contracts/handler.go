package contracts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Prefix is the path below which [NewHandler] answers.
const Prefix = "/v1/contracts/"

// Entry is a contract as the list of them names it.
type Entry struct {
	Name      string `json:"name"`
	About     string `json:"about"`
	MediaType string `json:"media_type"`
	Bytes     int    `json:"bytes"`
	SHA256    string `json:"sha256"`
	Path      string `json:"path"` // on the HTTP server
}

// List returns the entries of documents, in their order.
func List(documents []Document) []Entry {
	out := make([]Entry, len(documents))
	for i, d := range documents {
		out[i] = Entry{Name: d.Name, About: d.About, MediaType: d.MediaType, Bytes: len(d.Data), SHA256: digest(d.Data), Path: Prefix + d.Name}
	}
	return out
}

// served is one answer, made when the handler is.
type served struct {
	mediaType, etag string
	data            []byte
}

// NewHandler serves documents below [Prefix]: their list at the prefix itself, and each by its name. Answers have a strong ETag. It
// keeps a list of its own, and is safe for concurrent use.
func NewHandler(documents []Document) http.Handler {
	documents = slices.Clone(documents)
	list, err := json.Marshal(List(documents))
	if err != nil {
		panic(err) //nolint:forbidigo // texts and numbers can be written
	}
	answers := map[string]served{"": newServed("application/json", append(list, '\n'))}
	for _, d := range documents {
		answers[d.Name] = newServed(d.MediaType, d.Data)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		answer, ok := answers[strings.TrimPrefix(r.URL.Path, Prefix)]
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			problem(w, http.StatusMethodNotAllowed, "contracts can only be read")
		case !ok || !strings.HasPrefix(r.URL.Path, Prefix):
			problem(w, http.StatusNotFound, "there is no such contract; GET "+Prefix+" lists them")
		default:
			w.Header().Set("Content-Type", answer.mediaType)
			w.Header().Set("ETag", answer.etag)
			w.Header().Set("Cache-Control", "no-cache") // ask each time whether it changed
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(answer.data))
		}
	})
}

func newServed(mediaType string, data []byte) served {
	return served{mediaType: mediaType, etag: `"` + digest(data) + `"`, data: data}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// problem answers with problem details (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	data, err := json.Marshal(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
	if err != nil {
		panic(err) //nolint:forbidigo // texts and numbers can be written
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who asked may have gone
}
