package gxpledger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger"
)

func TestSearchFindsTextInEveryFileAndSaysWhere(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	write(request.Repository, map[string]string{
		"specs/SPEC-001.md":      "---\ngxp_id: SPEC-001\ntitle: Needle\n---\n\nA NEEDLE\r\nand a\tneedle with needle\n" + strings.Repeat("é", 300) + "nEEdle\n",
		"requirements/broken.md": "---\ngxp_id: [needle\n---\n",
	})
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	write(request.Repository, map[string]string{"specs/SPEC-001.md": "---\ngxp_id: SPEC-001\ntitle: Pin\n---\n"})
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asOf, text string
		limit      int
		want       string
		more       int
	}{
		{"scan:1", "needle", 0, "requirements/broken.md:2 specs/SPEC-001.md:3 specs/SPEC-001.md:6 specs/SPEC-001.md:7 specs/SPEC-001.md:8", 0},
		{"scan:1", "NEEDLE", 2, "requirements/broken.md:2 specs/SPEC-001.md:3", 3},
		{"", "needle", 0, "requirements/broken.md:2", 0},
		{"scan:1", "needle with", 0, "specs/SPEC-001.md:7", 0},
		{"scan:1", "\u00c9nee", 0, "specs/SPEC-001.md:8", 0}, // É finds é
		{"scan:1", "e\u0301nee", 0, "", 0},                   // another normal form is other text
		{"scan:1", "needle.*", 0, "", 0},                     // no pattern
		{"", "SPEC-001", 0, "specs/SPEC-001.md:2", 0},
	} {
		view, err := ledger.View(t.Context(), gxpledger.ViewOptions{AsOf: c.asOf})
		if err != nil {
			t.Fatal(err)
		}
		found, err := view.Search(t.Context(), gxpledger.SearchRequest{Text: c.text, Limit: c.limit})
		if err := errors.Join(err, view.Close()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range found.Matches {
			got = append(got, fmt.Sprintf("%s:%d", strings.TrimPrefix(m.Path, ".gxp/"), m.Line))
			if len(m.Text) > 260 || !strings.Contains(strings.ToLower(m.Text), strings.ToLower(c.text)) {
				t.Errorf("%q is found in %q", c.text, m.Text)
			}
			if strings.Contains(m.Path, "specs") && (len(m.GxPIDs) != 1 || m.GxPIDs[0] != "SPEC-001" || m.Kind != "spec") {
				t.Errorf("%+v names no artifact", m.File)
			}
		}
		if strings.Join(got, " ") != c.want || found.More != c.more {
			t.Errorf("%q as of %q: found %v and %d more, want %s and %d", c.text, c.asOf, got, found.More, c.want, c.more)
		}
	}
}

func TestSearchRefusesWhatNoLineHolds(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	view, err := ledger.View(t.Context(), gxpledger.ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }()
	for _, text := range []string{"", "a\nb", "a\r"} {
		if _, err := view.Search(t.Context(), gxpledger.SearchRequest{Text: text}); !errors.Is(err, gxpledger.ErrInvalid) {
			t.Errorf("%q: error is %v", text, err)
		}
	}
}

// What is no text is found once, without a line. A file that was too large to keep is named: nobody knows what it holds (I15).
func TestSearchSaysWhatIsNoTextAndWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	ledger, request := newProduct(t)
	write(request.Repository, map[string]string{"requirements/binary.md": "\x00needle\nneedle\xff"})
	large := filepath.Join(request.Repository, ".gxp", "requirements", "large.md")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 2<<20); err != nil { // sparse
		t.Fatal(err)
	}
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	view, err := ledger.View(t.Context(), gxpledger.ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }()
	found, err := view.Search(t.Context(), gxpledger.SearchRequest{Text: "NEEDLE"})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Matches) != 1 || found.Matches[0].Line != 0 || found.Matches[0].Text != "" || !found.Matches[0].Rejected {
		t.Errorf("found %+v", found.Matches)
	}
	if len(found.Unread) != 1 || found.Unread[0].Path != ".gxp/requirements/large.md" {
		t.Errorf("not read: %+v", found.Unread)
	}
}
