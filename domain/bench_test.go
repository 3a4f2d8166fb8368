package domain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// largeTree is n artifacts down the V: requirements, a story for each, and specs for the rest.
func largeTree(n int) []domain.File {
	files := make([]domain.File, 0, n)
	for i := range n {
		switch level := n / 4; {
		case i < level:
			files = append(files, Requirement(fmt.Sprintf("REQ-%06d", i), "text"))
		case i < 2*level:
			files = append(files, UserStory(fmt.Sprintf("US-%06d", i-level), fmt.Sprintf("REQ-%06d", i-level)))
		default:
			files = append(files, Spec(fmt.Sprintf("SPEC-%06d", i), fmt.Sprintf("US-%06d", i%level)))
		}
	}
	return files
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{44, 1000, 10_000} {
		tree := largeTree(n)
		b.Run(fmt.Sprintf("first/artifacts=%d", n), func(b *testing.B) {
			decideTimes(b, domain.State{}, Scan(domain.DefaultPolicy(), tree...))
		})
		events, err := domain.Decide(domain.State{}, Scan(domain.DefaultPolicy(), tree...))
		if err != nil {
			b.Fatal(err)
		}
		state := domain.Fold(domain.State{}, events...)
		again := make([]domain.File, n)
		for i, f := range tree {
			again[i] = Unchanged(f)
		}
		b.Run(fmt.Sprintf("unchanged/artifacts=%d", n), func(b *testing.B) {
			decideTimes(b, state, Scan(domain.DefaultPolicy(), again...))
		})
		renamed := make([]domain.File, n)
		for i, f := range tree {
			renamed[i] = f
			renamed[i].Path = strings.Replace(f.Path, ".md", "-renamed.md", 1)
			renamed[i].Artifacts = slices.Clone(f.Artifacts)
			renamed[i].Artifacts[0].Path = renamed[i].Path
		}
		b.Run(fmt.Sprintf("renamed/artifacts=%d", n), func(b *testing.B) {
			decideTimes(b, state, Scan(domain.DefaultPolicy(), renamed...))
		})
		b.Run(fmt.Sprintf("fold/artifacts=%d", n), func(b *testing.B) {
			for b.Loop() {
				domain.Fold(domain.State{}, events...)
			}
			b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func decideTimes(b *testing.B, s domain.State, scan domain.Scan) {
	b.Helper()
	for b.Loop() {
		if _, err := domain.Decide(s, scan); err != nil {
			b.Fatal(err)
		}
	}
}
