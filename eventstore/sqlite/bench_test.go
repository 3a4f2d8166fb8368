package sqlite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// realistic is a batch as a scan of n-1 changed artifacts makes it: about 1 KB of JSON for each event.
func realistic(b *testing.B, stream eventstore.StreamID, expected eventstore.Expected, n int) eventstore.Batch {
	b.Helper()
	scan := uuid.Must(uuid.NewV7())
	batch := eventstore.Batch{Stream: stream, Expected: expected, Meta: eventstore.Meta{
		Actor: "ada@example.com", Reason: "release 1.2", Scan: scan.String(), Attempt: 1,
	}}
	for i := range n {
		typ, data, err := eventstore.Encode(artifact(scan, i))
		if err != nil {
			b.Fatal(err)
		}
		batch.Events = append(batch.Events, eventstore.NewEvent{
			ID: eventstore.DeriveEventID(scan, i), Type: typ, Data: data,
		})
	}
	return batch
}

func artifact(scan uuid.UUID, i int) domain.ArtifactParsed {
	hash := fmt.Sprintf("%x%032x", scan[:], i)
	fields, err := json.Marshal(map[string]string{
		"gxp_id": fmt.Sprintf("REQ-%04d", i), "title": "The pump stops within two seconds after the door opens",
		"risk": "HIGH", "status": "In Review", "description": "When the door of the cabinet is opened while the pump runs, " +
			"the controller stops the motor, closes both valves and sounds the alarm until an operator acknowledges it.",
	})
	if err != nil {
		panic(err)
	}
	return domain.ArtifactParsed{
		Artifact: domain.Artifact{
			Key: domain.Key{Path: fmt.Sprintf(".gxp/requirements/REQ-%04d.md", i)}, Kind: domain.KindRequirement,
			GxPID: fmt.Sprintf("REQ-%04d", i), Title: "The pump stops within two seconds after the door opens",
			Risk:   &domain.Term{Raw: "HIGH", Normal: "high"},
			Status: &domain.Term{Raw: "In Review", Normal: "in_review"}, Fields: fields,
			Content: domain.Content{SHA256: hash, Blob: hash[:40], Size: 1234}, Digest: hash,
			Links: []domain.Link{{
				Edge: domain.EdgeParentID, Target: "REQ-0001", To: &domain.Ref{Number: 1, Kind: domain.KindRequirement},
			}},
		},
		Number: i + 1, Version: 1, Change: domain.ChangeNew, Stamp: "rosie/1", Source: hash[:40],
	}
}

func benchLog(b *testing.B) *sqlite.Log {
	b.Helper()
	log, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := log.Close(); err != nil {
			b.Error(err)
		}
	})
	return log
}

// BenchmarkAppend times durable appends, and beside each a raw append and fdatasync of the same bytes to a file. It reports
// the medians of both in microseconds, the log's 10th and 90th percentile, and the ratio of the medians.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{44, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			log := benchLog(b)
			file, err := os.Create(filepath.Join(b.TempDir(), "raw"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			var ours, raws []time.Duration
			expected := eventstore.NoStream()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				batch := realistic(b, "repository-1", expected, n)
				var data bytes.Buffer
				for _, e := range batch.Events {
					data.Write(e.Data)
				}
				b.SetBytes(int64(data.Len()))
				began := time.Now()
				if _, err := file.Write(data.Bytes()); err != nil {
					b.Fatal(err)
				}
				if err := dataSync(file); err != nil {
					b.Fatal(err)
				}
				raws = append(raws, time.Since(began))
				b.StartTimer()
				began = time.Now()
				appended, err := log.Append(b.Context(), batch)
				if err != nil {
					b.Fatal(err)
				}
				ours = append(ours, time.Since(began))
				expected = eventstore.AtRevision(appended.LastRevision)
			}
			slices.Sort(ours)
			slices.Sort(raws)
			at := func(list []time.Duration, percent int) float64 {
				return float64(list[(len(list)-1)*percent/100].Microseconds())
			}
			b.ReportMetric(at(ours, 50), "p50-µs")
			b.ReportMetric(at(ours, 10), "p10-µs")
			b.ReportMetric(at(ours, 90), "p90-µs")
			b.ReportMetric(at(raws, 50), "raw-p50-µs")
			b.ReportMetric(at(ours, 50)/at(raws, 50), "ratio")
			b.ReportMetric(float64(n)*1e6/at(ours, 50), "events/s")
		})
	}
}

// BenchmarkAppendParallel times batches of 44 of several writers, each with a stream of its own.
func BenchmarkAppendParallel(b *testing.B) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			log := benchLog(b)
			batches := make([][]eventstore.Batch, writers)
			for i := range b.N {
				w := i % writers
				expected := eventstore.NoStream()
				if k := len(batches[w]); k > 0 {
					expected = eventstore.AtRevision(eventstore.Revision(44*k - 1))
				}
				batches[w] = append(batches[w], realistic(b, eventstore.StreamID(fmt.Sprintf("repository-%d", w)), expected, 44))
			}
			b.ResetTimer()
			var running sync.WaitGroup
			for _, own := range batches {
				running.Go(func() {
					for _, batch := range own {
						if _, err := log.Append(b.Context(), batch); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			b.ReportMetric(44*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRead times a reader of the whole log.
func BenchmarkRead(b *testing.B) {
	log := benchLog(b)
	expected := eventstore.NoStream()
	var total atomic.Int64
	for range 20 {
		appended, err := log.Append(b.Context(), realistic(b, "repository-1", expected, 1000))
		if err != nil {
			b.Fatal(err)
		}
		expected = eventstore.AtRevision(appended.LastRevision)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range log.Read(b.Context(), 0, eventstore.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			total.Add(1)
		}
	}
	b.ReportMetric(float64(total.Load())/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLastOfStream times what a scan needs of a long stream: its last event.
func BenchmarkLastOfStream(b *testing.B) {
	log := benchLog(b)
	if _, err := log.Append(b.Context(), realistic(b, "repository-1", eventstore.NoStream(), 10_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, err := range log.ReadStreamBackwards(b.Context(), "repository-1") {
			if err != nil {
				b.Fatal(err)
			}
			break
		}
	}
}
