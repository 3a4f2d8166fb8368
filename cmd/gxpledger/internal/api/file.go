package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
)

// File is the bytes of a file, which never change under their SHA-256. They are hostile.
type File struct {
	SHA256 string // in lower case
	Data   []byte
}

// write answers with the bytes, or with 304 where the client has them. No browser shows them, whatever they hold.
func (f File) write(w http.ResponseWriter, r *http.Request) {
	tag := `"` + f.SHA256 + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	if hasTag(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+f.SHA256+`"`)
	h.Set("Content-Length", strconv.Itoa(len(f.Data)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(f.Data) // a client that went away needs no answer
}

// hashDigits is the number of hexadecimal digits of a SHA-256.
const hashDigits = 64

// BytesOperation answers with the bytes of files.
func BytesOperation(ledger *gxpledger.Ledger, problem func(context.Context, error) error) Operation {
	return Operation{
		ID: "content-bytes", Method: http.MethodGet, Pattern: "/v1/contents/{hash}/bytes", Needs: NeedRead,
		Summary:    "Get the original bytes of a scanned file, checked against their SHA-256",
		Parameters: []Parameter{{Name: "hash", In: InPath, About: "The whole SHA-256, in hexadecimal.", Required: true}},
		Bytes: func(ctx context.Context, call Call) (File, error) {
			hash := strings.ToLower(call["hash"])
			if len(hash) != hashDigits || strings.Trim(hash, "0123456789abcdef") != "" {
				return File{}, NewProblem(http.StatusBadRequest, CodeBadRequest, "the parameter hash is not 64 hexadecimal digits")
			}
			data, found, err := contentOf(ctx, ledger, hash)
			switch {
			case err != nil:
				return File{}, problem(ctx, err)
			case !found:
				return File{}, NewProblem(http.StatusNotFound, CodeNotFound, "the log holds no content with this SHA-256")
			}
			return File{hash, data}, nil
		},
	}
}

// contentOf returns the bytes that were kept under a SHA-256, if there are any.
func contentOf(ctx context.Context, ledger *gxpledger.Ledger, hash string) (data []byte, found bool, err error) {
	view, err := ledger.View(ctx, gxpledger.ViewOptions{Projections: []string{gxpledger.Artifacts}})
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if failed := view.Close(); err == nil {
			err = failed
		}
	}()
	data, err = view.ContentOf(ctx, hash)
	if errors.Is(err, eventstore.ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}
