package kurrent_test

import (
	"fmt"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// A first scan writes a content for each artifact.
func BenchmarkContents(b *testing.B) {
	log, err := kurrent.Open(b.Context(), esdbtest.StartFake(b).URL(), options())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for n := range b.N {
		first := batch(eventstore.StreamID(fmt.Sprint("s-", n)), 0, 1)
		for i := range 1000 {
			first.Contents = append(first.Contents, blob(fmt.Sprintf("%d %d %1000d", n, i, 0)))
		}
		if _, err := log.Append(b.Context(), first); err != nil {
			b.Fatal(err)
		}
	}
}
