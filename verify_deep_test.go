package gxpledger_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// forged copies a log with texts of its events replaced by others.
func forged(t *testing.T, from eventstore.Log, changes ...string) eventstore.Log {
	t.Helper()
	to, replacer := memory.New(time.Now), strings.NewReplacer(changes...)
	var b eventstore.Batch
	for r, err := range from.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Meta.Index == 0 {
			b = eventstore.Batch{Stream: r.Stream, Expected: eventstore.NoStream(), Meta: r.Meta, RecordedAt: r.RecordedAt}
			if r.Revision > 0 {
				b.Expected = eventstore.AtRevision(r.Revision - 1)
			}
		}
		b.Events = append(b.Events, eventstore.NewEvent{ID: r.ID, Type: r.Type, Data: []byte(replacer.Replace(string(r.Data)))})
		if !r.EndsBatch() {
			continue
		}
		for hash, err := range from.ContentHashes(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			data, err := from.Content(t.Context(), hash)
			if err != nil {
				t.Fatal(err)
			}
			b.Contents = append(b.Contents, eventstore.Blob{SHA256: hash, Bytes: data})
		}
		if _, err := to.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestADeepVerificationReadsContentsAgain: what an event tells of a file, and nothing else in the log does, its bytes contradict.
func TestADeepVerificationReadsContentsAgain(t *testing.T) {
	t.Parallel()
	log := memory.New(time.Now)
	ledger, request := newProduct(t, func(c *gxpledger.Config) { c.OpenedLog = log })
	write(request.Repository, map[string]string{ // a package, all of whose members count
		"specs/OQ-SPEC-001.md":                       "---\ngxp_id: OQ-SPEC-001\ntitle: Test\nparent_id: US-001\n---\n",
		"evidence/OQ-SPEC-001/environment.json":      `{"platform":"linux"}`,
		"evidence/OQ-SPEC-001/metadata.json":         `{"package_id":"PKG-1","spec_id":"OQ-SPEC-001","tier":"OQ"}`,
		"evidence/OQ-SPEC-001/test-output.log":       "ok\n",
		"evidence/OQ-SPEC-001/manifest.json":         `{"package_id":"PKG-1","spec_id":"OQ-SPEC-001","tier":"OQ","files":[],"file_count":0}`,
		"evidence/OQ-SPEC-001/artifacts/results.txt": "3 passed",
	})
	outcome, err := ledger.Scan(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	members := 0
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if event, err := eventstore.Decode(r); err != nil {
			t.Fatal(err)
		} else if parsed, ok := event.(domain.ArtifactParsed); ok {
			members = max(members, len(parsed.Members))
		}
	}
	if members != 5 {
		t.Fatalf("the package has %d members, want 5: %+v", members, outcome)
	}
	title := []string{`"title":"`, `"title":"Not `}
	for name, c := range map[string]struct {
		changes        []string
		fault, warning string
	}{
		"intact":                         {},
		"another title":                  {title, "in title", ""},
		"a field of the front matter":    {[]string{`"fields":{"`, `"fields":{"x`}, "in fields", ""},
		"recorded by another version":    {[]string{`"rosie/`, `"rosie/0`}, "", ""},
		"recorded so by another version": {append([]string{`"rosie/`, `"rosie/0`}, title...), "", "in title"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, _ := newProduct(t, func(cfg *gxpledger.Config) {
				cfg.OpenedLog = forged(t, log, c.changes...)
				if err := os.MkdirAll(cfg.Home, 0o700); err != nil {
					t.Fatal(err)
				}
			})
			shallow, err := ledger.Verify(t.Context(), gxpledger.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			deep, err := ledger.Verify(t.Context(), gxpledger.VerifyOptions{Deep: true})
			if err != nil {
				t.Fatal(err)
			}
			if !shallow.Intact {
				t.Errorf("found without reading contents: %+v", shallow.Faults)
			}
			for what, found := range map[string]struct {
				all  []eventstore.Fault
				want string
			}{"faults": {deep.Faults, c.fault}, "warnings": {deep.Warnings, c.warning}} {
				var texts []string
				for _, f := range found.all {
					if f.Code == gxpledger.FaultReread {
						texts = append(texts, f.Text)
					}
				}
				if (found.want == "") != (len(texts) == 0) || !strings.Contains(strings.Join(texts, "\n"), found.want) {
					t.Errorf("%s of a deep verification are %q, want %q", what, texts, found.want)
				}
			}
		})
	}
}
