package query_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections/query"
)

// chainOf is a tree of n artifacts: a tenth requirements, two tenths user stories, three tenths specs, the rest evidence.
// Some links are broken, some evidence fails. word changes every requirement.
func chainOf(n int, word string) []domain.File {
	var files []domain.File
	tenth := n / 10
	for i := range tenth {
		files = append(files, domaintest.Requirement(fmt.Sprintf("REQ-%05d", i), word))
	}
	for i := range 2 * tenth {
		files = append(files, domaintest.UserStory(fmt.Sprintf("US-%05d", i), fmt.Sprintf("REQ-%05d", i/2)))
	}
	for i := range 3 * tenth {
		files = append(files, domaintest.Spec(fmt.Sprintf("SPEC-%05d", i), fmt.Sprintf("US-%05d", i*2/3)))
	}
	for i := range n - 6*tenth {
		f := domaintest.Evidence(fmt.Sprintf("EV-%05d", i), fmt.Sprintf("SPEC-%05d", i), "valid") // a quarter leads nowhere
		if i%7 == 0 {
			f = domaintest.Tested(f, 3, 1)
		}
		files = append(files, f)
	}
	return files
}

// benchmarkTables asks about 10,000 artifacts that were scanned three times, a thousand of which changed each time.
// Under -short it asks about 100.
func benchmarkTables(b *testing.B, ask func(context.Context, *query.Reader) error) {
	b.Helper()
	n := 10_000
	if testing.Short() {
		n = 100
	}
	w := newWorld(b)
	for i := range 3 {
		w.scan(chainOf(n, fmt.Sprint("text ", i))...)
	}
	b.Run(fmt.Sprintf("artifacts=%d", n), func(b *testing.B) {
		for b.Loop() {
			if err := ask(b.Context(), w.reader()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMatrix(b *testing.B) {
	benchmarkTables(b, func(ctx context.Context, r *query.Reader) error {
		_, err := r.Matrix(ctx, query.Scope{})
		return err
	})
}

func BenchmarkGaps(b *testing.B) {
	benchmarkTables(b, func(ctx context.Context, r *query.Reader) error {
		_, err := r.Gaps(ctx, query.Scope{})
		return err
	})
}

// BenchmarkSteps tells what three scans changed.
func BenchmarkSteps(b *testing.B) {
	benchmarkTables(b, func(ctx context.Context, r *query.Reader) error {
		repository, err := r.Find(ctx, "demo")
		if err != nil {
			return err
		}
		for _, err := range r.Steps(ctx, repository, 1, 3) {
			if err != nil {
				return err
			}
		}
		return nil
	})
}
