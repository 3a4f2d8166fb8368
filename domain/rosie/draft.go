package rosie

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"golang.org/x/text/unicode/norm"

	"github.com/gxpledger/gxpledger/domain"
)

// Draft is a new artifact to be written.
type Draft struct {
	Kind   domain.Kind // a requirement, a user story or a spec
	Title  string      // not empty
	Parent string      // id of what it belongs to; a requirement has none
	// Taken are the ids of the artifacts that are there, of every kind, and Parents those of the kinds that the parent may be of.
	Taken, Parents []string
}

// ErrDraft says why there can be no file of a [Draft].
var ErrDraft = errors.New("cannot draft")

// ID is the next id of the kind. The ids of requirements are counted: REQ-001, REQ-002. Those of what belongs to another begin with its
// numbers: US-001-001 belongs to REQ-001, and SPEC-001-001 to US-001-001 or US-001, since user stories and specs are counted for each
// requirement. A count continues behind the highest one.
func (d Draft) ID() string {
	prefix := d.Kind.Info().Prefixes[0] + "-"
	if d.Parent != "" {
		if numbers := idNumbers.FindStringSubmatch(d.Parent); numbers != nil {
			prefix += numbers[1] + "-"
		}
	}
	last, width := 0, 3
	for _, id := range d.Taken {
		rest, ok := strings.CutPrefix(id, prefix)
		if !ok || !idCount.MatchString(rest) {
			continue // no count, or one that nobody reaches by counting
		}
		if n, err := strconv.Atoi(rest); err == nil && n > last {
			last, width = n, max(width, len(rest))
		}
	}
	return fmt.Sprintf("%s%0*d", prefix, width, last+1)
}

// idNumbers finds the first number of an id, and idCount is a count.
var (
	idNumbers = regexp.MustCompile(`^[A-Za-z]+-([0-9]+)`)
	idCount   = regexp.MustCompile(`^[0-9]{1,9}$`)
)

// File returns the path, from the root of the repository, and the bytes of the file. The error wraps [ErrDraft].
func (d Draft) File() (name string, data []byte, err error) {
	info := d.Kind.Info()
	switch {
	case info.Form != domain.FormFrontMatter || info.Dir == "" || len(info.Prefixes) == 0 || info.Level == 0:
		return "", nil, fmt.Errorf("%w: a %s has no form of its own", ErrDraft, d.Kind)
	case strings.TrimSpace(d.Title) == "" || !utf8.ValidString(d.Title) || strings.ContainsFunc(d.Title, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "", nil, fmt.Errorf("%w: want a title of one line, of characters that show", ErrDraft)
	case (d.Parent == "") != (info.Level == domain.LevelRequirement):
		return "", nil, fmt.Errorf("%w: a requirement has no parent, a user story and a spec have one", ErrDraft)
	case d.Parent != "" && !slices.Contains(d.Parents, d.Parent):
		return "", nil, fmt.Errorf("%w: %q is the id of nothing that a %s may belong to", ErrDraft, d.Parent, info.One)
	}
	id := d.ID()
	fields := []field{{"gxp_id", id}, {"title", d.Title}}
	if d.Parent != "" {
		fields = append(fields, field{"parent_id", d.Parent})
	}
	switch info.Level {
	case domain.LevelRequirement:
		fields = append(fields, field{"gxp_risk_rating", "MEDIUM"}, field{"description", "The system shall ..."}, field{"acceptance_criteria", []string{"..."}})
	case domain.LevelUserStory:
		fields = append(fields, field{"as_a", "..."}, field{"i_want", "..."}, field{"so_that", "..."}, field{"acceptance_criteria", []string{"..."}})
	case domain.LevelSpec:
		fields = append(fields, field{"verification_tier", "OQ"}, field{"design_approach", "..."}, field{"source_files", []string{}}, field{"test_files", []string{}})
	case domain.LevelEvidence:
	}
	fields = append(fields, field{"validation_status", "DRAFT"}, field{"assurance_status", "DRAFT"})
	front, err := frontMatterOf(fields)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrDraft, err)
	}
	data = fmt.Appendf(nil, "---\n%s---\n\n# %s: %s\n", front, id, norm.NFC.String(d.Title))
	return path.Join(gxpDir, info.Dir, id+slug(d.Title)+".md"), data, nil
}

// field is one of a front matter.
type field struct {
	name  string
	value any
}

// frontMatterOf writes fields in their order.
func frontMatterOf(fields []field) (string, error) {
	var out strings.Builder
	for _, f := range fields {
		line, err := yaml.Marshal(map[string]any{f.name: f.value})
		if err != nil {
			return "", err
		}
		out.Write(line)
	}
	return out.String(), nil
}

// slug is the readable part of a file name: the words of a title in ASCII, from its hyphen on.
func slug(title string) string {
	const longest = 50
	var out strings.Builder
	gap := true
	for _, r := range strings.ToLower(norm.NFKD.String(title)) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			if gap {
				out.WriteByte('-')
			}
			out.WriteRune(r)
			gap = false
		case unicode.Is(unicode.Mn, r) || r == '\'':
		default:
			gap = true
		}
		if out.Len() >= longest {
			break
		}
	}
	return out.String()
}
