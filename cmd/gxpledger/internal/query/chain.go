package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// Level is a level of the chain from requirement to evidence.
type Level int

// The levels, from above.
const (
	LevelRequirement Level = iota
	LevelStory
	LevelSpec
	LevelEvidence

	levels = 4
)

// shelf is where the artifacts of a level are.
func (l Level) shelf() Shelf {
	return []Shelf{ShelfRequirements, ShelfStories, ShelfSpecs, ShelfEvidence}[l]
}

// Cell is an artifact of the chain in a few words.
type Cell struct {
	Kind    string `json:"kind"`
	Number  int64  `json:"number"`
	GxPID   string `json:"gxp_id,omitempty"`
	Title   string `json:"title,omitempty"`
	Path    string `json:"path"`
	Ordinal int64  `json:"ordinal"`
	State   string `json:"state"` // the most severe that applies, see [States]
}

// Name is how people call the artifact: its gxp_id, or else its place.
func (c *Cell) Name() string { return cmp.Or(c.GxPID, c.Key()) }

// Key is the place of the artifact: the path, with #ordinal behind it unless that is 0.
func (c *Cell) Key() string { return keyText(c.Path, c.Ordinal) }

// Item is an artifact of the chain from requirement to evidence.
type Item struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	Cell
	Risk    string `json:"risk,omitempty"`
	Tier    string `json:"tier,omitempty"`
	Overall string `json:"overall,omitempty"` // of evidence: valid, unverifiable or invalid
	Failed  int64  `json:"failed,omitempty"`  // of evidence: tests that failed, as it claims
	// Said is the number of the scan that last changed what the artifact says. Reading the same bytes anew, with other keys
	// or by another reader, does not count, and neither does a move that left the bytes as they were.
	//
	// An artifact is suspect when something that it soundly links to has a greater one. The first scan records all at
	// once, so that nothing is suspect after it; nor is what one scan changed together. Times that evidence claims decide
	// nothing.
	Said    int64    `json:"changed_in_scan"`
	Reasons []Reason `json:"reasons"` // for every state that applies but covered, the most severe first

	level                   Level
	first                   int64     // number of the scan that recorded it first
	saidScanID, firstScanID string    // as the tables have them
	links                   []outLink // that it declares
	above, below            []*Item   // its neighbours in rows
	proofs                  []*Item   // of a spec: evidence that leads to it, in the order of paths
	children                bool      // whether something of the next level leads to it
	mark                    int       // the last walk that came by

	badUp, badDown           *Item // what is not well above and below, once it was looked for
	lookedAbove, lookedBelow bool
}

// Reason says why a state applies.
type Reason struct {
	State  string `json:"state"`
	Edge   string `json:"edge,omitempty"`   // of the link that is broken or leads to what changed
	Target string `json:"target,omitempty"` // id that it names
	Text   string `json:"text"`             // in a few words; it holds ids of the repository, hostile until neutralised
}

// outLink is a declared link; to is nil unless it soundly leads to an artifact of the chain.
type outLink struct {
	edge, target, state string
	to                  *Item
}

// itemKey names an artifact of any repository.
type itemKey struct {
	repository string
	number     int64
}

// chain is the artifacts from requirement to evidence with all that leads from one to the other.
type chain struct {
	items []*Item // in the order of repositories, levels and paths
	at    map[itemKey]*Item
	walks int
}

// readChain reads the chain of a repository, or of all when that is "", and judges every artifact of it.
func (r *Reader) readChain(ctx context.Context, repository string) (*chain, error) {
	c := &chain{at: map[itemKey]*Item{}}
	for level := range Level(levels) {
		items, err := r.items(ctx, level, repository)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", level.shelf(), err)
		}
		for i := range items {
			items[i].level = level
			c.items = append(c.items, &items[i])
			c.at[itemKey{items[i].RepositoryID, items[i].Number}] = &items[i]
		}
	}
	slices.SortStableFunc(c.items, compareItems)
	if err := r.addSaid(ctx, c, repository); err != nil {
		return nil, fmt.Errorf("read which scan changed what: %w", err)
	}
	if err := r.addOutLinks(ctx, c, repository); err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	c.join()
	c.judge()
	return c, nil
}

func compareItems(a, b *Item) int {
	return cmp.Or(
		cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.RepositoryID, b.RepositoryID), cmp.Compare(a.level, b.level),
		comparePlaces(a, b),
	)
}

func comparePlaces(a, b *Item) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Number, b.Number))
}

// saidScan is the id of the scan that last changed what an artifact says: an older one than that of its last version when
// that only read it anew.
const saidScan = `CASE WHEN a.version = 1 THEN a.scan_id ELSE COALESCE((SELECT v.scan_id FROM artifact_versions v
	WHERE v.repository_id = a.repository_id AND v.number = a.number AND v.change <> 'reread'
	ORDER BY v.version DESC LIMIT 1), a.scan_id) END`

func (r *Reader) items(ctx context.Context, level Level, repository string) ([]Item, error) {
	from, err := level.shelf().from()
	if err != nil {
		return nil, err
	}
	columns := []column[Item]{
		{"a.repository_id", func(i *Item) any { return &i.RepositoryID }},
		{"r.name", func(i *Item) any { return &i.Repository }},
		{"a.kind", func(i *Item) any { return &i.Kind }},
		{"a.number", func(i *Item) any { return &i.Number }},
		{"a.gxp_id", func(i *Item) any { return optional(&i.GxPID) }},
		{"a.title", func(i *Item) any { return optional(&i.Title) }},
		{"a.path", func(i *Item) any { return &i.Path }},
		{"a.ordinal", func(i *Item) any { return &i.Ordinal }},
		{"a.risk", func(i *Item) any { return optional(&i.Risk) }},
		{"a.tier", func(i *Item) any { return optional(&i.Tier) }},
		{"a.first_scan_id", func(i *Item) any { return &i.firstScanID }},
		{saidScan, func(i *Item) any { return &i.saidScanID }},
	}
	if level == LevelEvidence {
		columns = append(columns,
			column[Item]{"a.overall", func(i *Item) any { return &i.Overall }},
			column[Item]{"COALESCE(a.failed, 0)", func(i *Item) any { return &i.Failed }})
	}
	var w where
	is(&w, "a.repository_id", repository)
	return load(ctx, r, columns, from+w.String(), w.args...)
}

func (r *Reader) addOutLinks(ctx context.Context, c *chain, repository string) error {
	type link struct {
		from itemKey
		outLink
		number int64
	}
	var w where
	is(&w, "l.repository_id", repository)
	links, err := load(ctx, r, []column[link]{
		{"l.repository_id", func(l *link) any { return &l.from.repository }},
		{"l.number", func(l *link) any { return &l.from.number }},
		{"l.edge", func(l *link) any { return &l.edge }},
		{"l.target", func(l *link) any { return &l.target }},
		{"l.state", func(l *link) any { return &l.state }},
		{"l.to_number", func(l *link) any { return optional(&l.number) }},
	}, "FROM traceability_links l"+w.String()+" ORDER BY l.repository_id, l.number, l.link_index", w.args...)
	for _, l := range links {
		from := c.at[l.from]
		if from == nil {
			continue // of a risk or a document
		}
		if l.state == StateSound {
			l.to = c.at[itemKey{l.from.repository, l.number}]
		}
		from.links = append(from.links, l.outLink)
	}
	return err
}

// join finds the neighbours of every artifact. What is above comes first, so that what it leads to is known.
func (c *chain) join() {
	for _, i := range c.items {
		for _, l := range i.links {
			if l.to == nil {
				continue
			}
			if i.level == l.to.level+1 {
				l.to.children = true
			}
			if i.level == LevelEvidence && l.to.level == LevelSpec && !slices.Contains(l.to.proofs, i) {
				l.to.proofs = append(l.to.proofs, i)
			}
		}
	}
	byLevel := slices.Clone(c.items)
	slices.SortStableFunc(byLevel, func(a, b *Item) int { return cmp.Compare(a.level, b.level) })
	for _, i := range byLevel {
		c.findAbove(i, map[*Item]bool{})
	}
	for _, i := range c.items {
		for _, up := range i.above {
			up.below = append(up.below, i)
		}
	}
}

// findAbove finds what is above an artifact in its rows: what it soundly leads to on a higher level, the nearest level
// first, but for what is above of that already. Where it leads nowhere higher, it stands beside what it leads to on its own
// level. within are those that this was asked for on the way here.
func (c *chain) findAbove(i *Item, within map[*Item]bool) {
	if i.above != nil || within[i] {
		return
	}
	within[i] = true
	for level := i.level - 1; level >= LevelRequirement; level-- {
		c.addAbove(i, level)
	}
	if len(i.above) > 0 || i.level == LevelRequirement {
		return
	}
	for _, l := range i.links {
		if l.to == nil || l.to.level != i.level {
			continue
		}
		c.findAbove(l.to, within)
		for _, up := range l.to.above {
			if !slices.Contains(i.above, up) {
				i.above = append(i.above, up)
			}
		}
	}
}

// addAbove adds what an artifact leads to on a level, but for what is above of what was added before.
func (c *chain) addAbove(i *Item, level Level) {
	c.walks++
	for _, up := range i.above {
		c.markAbove(up)
	}
	for _, l := range i.links {
		if l.to != nil && l.to.level == level && l.to.mark != c.walks {
			l.to.mark = c.walks
			i.above = append(i.above, l.to)
		}
	}
}

// markAbove marks an artifact and all that is above it.
func (c *chain) markAbove(i *Item) {
	if i.mark == c.walks {
		return
	}
	i.mark = c.walks
	for _, up := range i.above {
		c.markAbove(up)
	}
}

// proves reports whether evidence is valid and claims no failed test: a signature under a failure only proves the failure.
func (i *Item) proves() bool { return i.Overall == string(domain.VerdictValid) && i.Failed == 0 }
