package rosie_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

func TestTheNextIDOfADraft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   domain.Kind
		parent string
		taken  []string
		want   string
	}{
		{domain.KindRequirement, "", nil, "REQ-001"},
		{domain.KindRequirement, "", []string{"REQ-001", "REQ-007", "US-009", "REQ-x", "REQ-", "REQ--9", "REQ-+9"}, "REQ-008"},
		{domain.KindRequirement, "", []string{"REQ-0041"}, "REQ-0042"},
		{domain.KindRequirement, "", []string{"REQ-999"}, "REQ-1000"},
		{domain.KindRequirement, "", []string{"REQ-9223372036854775807", "REQ-002"}, "REQ-003"},
		{domain.KindUserStory, "REQ-006", []string{"REQ-006", "US-006-002", "US-007-009"}, "US-006-003"},
		{domain.KindSpec, "US-006-002", []string{"US-006-002", "SPEC-006-001", "SPEC-006-001-004"}, "SPEC-006-002"},
		{domain.KindSpec, "odd", []string{"odd"}, "SPEC-001"},
	} {
		if got := (rosie.Draft{Kind: c.kind, Parent: c.parent, Taken: c.taken}).ID(); got != c.want {
			t.Errorf("behind %q, the next %s of %q is %s, want %s", c.taken, c.kind, c.parent, got, c.want)
		}
	}
}

// What is drafted is read as it was meant, whatever its title and whatever is there.
func TestADraftIsReadAsItWasMeant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draft := rosie.Draft{
			Kind:  rapid.SampledFrom([]domain.Kind{domain.KindRequirement, domain.KindUserStory, domain.KindSpec}).Draw(t, "kind"),
			Title: rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a: b", "- x", "#1", "'", `"`, "null", "2026-01-01", "{}", "---", "a\nb", "é", "../../x", strings.Repeat("long ", 90)})).Draw(t, "title"),
			Taken: rapid.SliceOf(rapid.StringMatching(`(REQ|US|SPEC)-00[0-9](-00[0-9])?`)).Draw(t, "taken"),
		}
		if draft.Kind != domain.KindRequirement {
			draft.Parent = "REQ-002"
			draft.Taken, draft.Parents = append(draft.Taken, draft.Parent), []string{draft.Parent}
		}
		path, data, err := draft.File()
		if err != nil {
			if !errors.Is(err, rosie.ErrDraft) {
				t.Fatal(err)
			}
			return
		}
		if slices.Contains(draft.Taken, draft.ID()) {
			t.Fatalf("%s is taken", draft.ID())
		}
		tree, err := rosie.Read(t.Context(), fstest.MapFS{path: {Data: data}, ".gxp/system_context.md": {Data: []byte("---\nproject_name: x\n---\n")}}, rosie.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range tree.Files {
			if f.Path != path {
				continue
			}
			if f.Rejected != nil || len(f.Artifacts) != 1 || len(f.Artifacts[0].Findings) > 0 {
				t.Fatalf("%s is read as %+v:\n%s", path, f, data)
			}
			a := f.Artifacts[0]
			if a.Kind != draft.Kind || a.GxPID != draft.ID() || a.Title != strings.TrimSpace(draft.Title) && a.Title != draft.Title || len(a.Links) == 0 != (draft.Parent == "") {
				t.Fatalf("%s is read as %+v:\n%s", path, a, data)
			}
			return
		}
		t.Fatalf("%s is not read", path)
	})
}
