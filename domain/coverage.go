package domain

// Covered is how many artifacts of one level the next level covers.
type Covered struct {
	Covered int `json:"covered"`
	Total   int `json:"total"`
}

// Coverage is how much of each level the next one covers: a requirement by a user story that leads to it, a user story by
// a spec, a spec by evidence that passed while none failed.
type Coverage struct {
	Requirements Covered `json:"requirements"`
	UserStories  Covered `json:"user_stories"`
	Specs        Covered `json:"specs"`
}

// CoverageChange is the coverage of the tree before and after a scan, and what the scan left uncovered that was not so
// before.
type CoverageChange struct {
	Before Coverage `json:"before"` // of the tree that the completed scan before left; all zero for the first scan
	After  Coverage `json:"after"`
	// NewGaps are artifacts that are uncovered and were covered or not there before, the first [MaxNewGaps] in the order
	// of keys; NewGapsTotal counts them all.
	NewGaps      []Gap `json:"new_gaps,omitempty"`
	NewGapsTotal int   `json:"new_gaps_total"`
}

// MaxNewGaps is how many new gaps a scan lists.
const MaxNewGaps = 100

// Gap is an artifact that nothing of the next level covers.
type Gap struct {
	Key
	Kind   Kind   `json:"kind"`
	GxPID  string `json:"gxp_id,omitempty"`
	Number int    `json:"number"`
}

// coverage compares what the tree covers with what the state covers.
func (t *tree) coverage() *CoverageChange {
	var before, after coverer
	for path, u := range t.state.Units {
		for i := range u.Artifacts {
			before.add(Key{Path: path, Ordinal: u.Artifacts[i].Ordinal}, &u.Artifacts[i])
		}
	}
	for _, n := range t.nodes {
		after.add(n.Key, &n.known)
	}
	change := coverageChange(before.coverage(), before.gaps(), after.coverage(), after.gaps())
	return &change
}

// coverer collects which artifacts of a tree are covered.
type coverer struct {
	wanting map[int]Gap // artifacts of the levels that the next one covers, by number
	covered map[int]bool
	failed  map[int]bool // specs that some evidence failed
}

func (c *coverer) add(key Key, k *Known) {
	if c.wanting == nil {
		c.wanting, c.covered, c.failed = map[int]Gap{}, map[int]bool{}, map[int]bool{}
	}
	level := levelOf(k.Kind)
	switch level {
	case LevelRequirement, LevelUserStory, LevelSpec:
		c.wanting[k.Number] = Gap{Key: key, Kind: k.Kind, GxPID: k.GxPID, Number: k.Number}
	case LevelEvidence:
	default:
		return
	}
	for _, l := range k.Links {
		if l.To == nil {
			continue
		}
		switch to := levelOf(l.To.Kind); {
		case to == 0 || level != to+1:
		case k.Evidence == EvidenceFailed:
			c.failed[l.To.Number] = true
		case to != LevelSpec || k.Evidence == EvidencePassed:
			c.covered[l.To.Number] = true
		}
	}
}

// levelOf is the level of a kind; 0 for a kind that is none of the table.
func levelOf(k Kind) Level {
	if info := k.info(); info != nil {
		return info.Level
	}
	return 0
}

func (c *coverer) coverage() Coverage {
	var out Coverage
	gaps := c.gaps()
	levels := [...]*Covered{LevelRequirement: &out.Requirements, LevelUserStory: &out.UserStories, LevelSpec: &out.Specs}
	for number, g := range c.wanting {
		level := levels[levelOf(g.Kind)]
		level.Total++
		if _, gap := gaps[number]; !gap {
			level.Covered++
		}
	}
	return out
}

// gaps returns the artifacts that are not covered, by number.
func (c *coverer) gaps() map[int]Gap {
	out := make(map[int]Gap)
	for number, g := range c.wanting {
		if !c.covered[number] || c.failed[number] {
			out[number] = g
		}
	}
	return out
}
