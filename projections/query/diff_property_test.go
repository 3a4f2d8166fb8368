package query_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// TestPropertyADiffIsTheDifferenceBetweenTwoPositions compares a diff, which reads the tables of the history, with what the log
// folds to up to both ends.
func TestPropertyADiffIsTheDifferenceBetweenTwoPositions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	head := func() uint64 {
		at, err := w.log.Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return uint64(at)
	}
	rapid.Check(t, func(rt *rapid.T) {
		first := head() + 1
		name := drawHistory(rt, w)
		repository, err := w.reader().Find(context.Background(), name)
		if err != nil {
			rt.Fatal(err)
		}
		at := func(what string) query.ResolvedPoint {
			p, err := query.ParsePoint(fmt.Sprint("pos:", rapid.Uint64Range(first, head()).Draw(rt, what)))
			if err != nil {
				rt.Fatal(err)
			}
			point, err := w.finder().Find(context.Background(), p, "")
			if err != nil {
				rt.Fatal(err)
			}
			return point
		}
		from, to := at("from"), at("to")
		d, err := w.reader().Diff(context.Background(), repository, from, to)
		if err != nil {
			rt.Fatal(err)
		}
		checkDiff(rt, d, w.past(rt, name, from), w.past(rt, name, to))
	})
}

// tree is what a repository held: by place and kind, what is there, as "digest stamp"; and the links that are broken.
type tree struct{ artifacts, broken map[string]string }

// past folds the stream of a repository up to a place into its tree.
func (w *world) past(t *rapid.T, name string, at query.ResolvedPoint) tree {
	then := tree{map[string]string{}, map[string]string{}}
	for r, err := range w.log.ReadStream(context.Background(), eventstore.RepositoryStream(repositoryID(name)), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Position > at.Position {
			break
		}
		event, err := eventstore.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		then.fold(event)
	}
	return then
}

func (tr tree) fold(event domain.Event) {
	link := func(key string, l domain.Link) {
		key += " " + string(l.Edge) + " " + l.Target
		delete(tr.broken, key)
		if l.Broken != "" {
			tr.broken[key] = string(l.Broken)
		}
	}
	forget := func(key string) {
		maps.DeleteFunc(tr.broken, func(k, _ string) bool { return strings.HasPrefix(k, key+" ") })
	}
	switch e := event.(type) {
	case domain.ArtifactParsed:
		key := string(e.Kind) + " " + e.String()
		tr.artifacts[key] = e.Digest + " " + e.Stamp
		forget(key)
		for _, l := range e.Links {
			link(key, l)
		}
	case domain.ArtifactRemoved:
		key := string(e.Kind) + " " + e.String()
		delete(tr.artifacts, key)
		forget(key)
	case domain.ArtifactRelinked:
		for _, i := range e.Changed {
			link(string(e.Kind)+" "+e.String(), e.Links[i])
		}
	case domain.ScanCompleted, domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
		domain.ScanFailed, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
	}
}

// checkDiff checks that a diff names the places and the broken links that differ, and no other.
func checkDiff(t *rapid.T, d query.Diff, before, after tree) {
	told, moved := map[string]bool{}, map[string]bool{}
	for _, a := range d.Artifacts {
		key := string(a.Kind) + " " + domain.Key{Path: a.Path, Ordinal: int(a.Ordinal)}.String()
		was, had := before.artifacts[key]
		is, has := after.artifacts[key]
		told[key] = true
		right := true
		switch a.What {
		case trace.WhatNew:
			right = has
		case trace.WhatRemoved:
			right = had
		case trace.WhatChanged, trace.WhatReread:
			right = had && has && was != is
		case trace.WhatMoved:
			from := string(a.Kind) + " " + a.MovedFrom
			_, left := before.artifacts[from]
			right = has && left && from != key
			told[from], moved[key] = true, true
		}
		if !right {
			t.Fatalf("%s %s: was %q, is %q", a.What, key, was, is)
		}
	}
	for _, side := range []tree{before, after} {
		for key := range side.artifacts {
			if before.artifacts[key] != after.artifacts[key] && !told[key] {
				t.Fatalf("%s differs and is not told: %+v", key, d.Artifacts)
			}
		}
	}
	links := map[string]string{}
	for _, l := range d.Links {
		key := string(l.Kind) + " " + domain.Key{Path: l.Path, Ordinal: int(l.Ordinal)}.String()
		if !moved[key] {
			links[key+" "+l.Edge+" "+l.Target] = l.What
		}
	}
	for key, what := range links {
		if _, broken := after.broken[key]; broken != (what == trace.WhatBroken) {
			t.Fatalf("link %s is told as %s: after it is %q", key, what, after.broken[key])
		}
	}
	for key, state := range after.broken {
		artifact := strings.Join(strings.Fields(key)[:2], " ")
		if before.broken[key] != state && links[key] != trace.WhatBroken && !moved[artifact] {
			t.Fatalf("link %s is %s, was %q, and is told as %q", key, state, before.broken[key], links[key])
		}
	}
}
