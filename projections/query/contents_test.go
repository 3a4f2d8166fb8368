package query_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
)

func TestContentIsFoundNowAndThen(t *testing.T) {
	t.Parallel()
	pack := domaintest.Package("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid")
	bad := domaintest.Malformed(domain.KindRequirement, ".gxp/requirements/bad.md", "{")
	w := newWorld(t).
		scan(domaintest.Requirement("REQ-1", "a"), pack, bad).
		scan(domaintest.Requirement("REQ-1", "b"))
	demo := w.repository("demo")
	member := ".gxp/evidence/packages/PKG-1/manifest.json"
	for _, c := range []struct {
		path   string
		number int64
		want   string
	}{
		{".gxp/requirements/REQ-1.md", 0, domaintest.Hash("REQ-1b")},
		{".gxp/requirements/REQ-1.md", 1, domaintest.Hash("REQ-1a")},
		{member, 1, domaintest.Hash("PKG-1manifest.json")},
	} {
		source, err := w.reader().Content(t.Context(), demo, c.path, c.number)
		if err != nil || source.SHA256 != c.want {
			t.Errorf("%s at %d: %v, %v; want %s", c.path, c.number, source, err, c.want)
		}
	}
	then, err := w.reader().Content(t.Context(), demo, ".gxp/requirements/bad.md", 1)
	if err != nil || then.Rejected == 0 {
		t.Errorf("rejected then: %+v, %v; want the event that rejected it", then, err)
	}
	for path, part := range map[string]string{
		member:                        "it was there until scan 2: name the scan before it with --scan",
		".gxp/requirements/REQ-2.md":  `nearest: ".gxp/requirements/REQ-1.md"`,
		".gxp/requirements/bad.md":    `no file ".gxp/requirements/bad.md"`,
		".gxp/evidence/packages/none": `no file ".gxp/evidence/packages/none"`,
	} {
		if _, err := w.reader().Content(t.Context(), demo, path, 0); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want it to say %s", path, err, part)
		}
	}
	w.scan(domaintest.Requirement("REQ-1", "b"), bad, pack)
	now, err := w.reader().Content(t.Context(), demo, ".gxp/requirements/bad.md", 0)
	if err != nil || now.SHA256 != domaintest.Hash("{") {
		t.Errorf("rejected now: %+v, %v", now, err)
	}
	if _, err = w.reader().Content(t.Context(), demo, ".gxp/evidence/packages/PKG-1", 0); err == nil || !strings.Contains(err.Error(), member) {
		t.Errorf("a package: %v; want its files as the nearest", err)
	}
}
