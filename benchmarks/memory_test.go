package benchmarks_test

import (
	"runtime/metrics"
	"time"
)

// watermark is the most memory that this process had at one time, in bytes. It says nothing about a server.
type watermark struct {
	heap     uint64 // in use by Go, what waits for the garbage collector included
	resident uint64 // in RAM, SQLite's own memory included; 0 where the system does not say
}

func (w watermark) or(other watermark) watermark {
	return watermark{heap: max(w.heap, other.heap), resident: max(w.resident, other.resident)}
}

// watching looks at the memory now and then until it is stopped.
type watching struct {
	end, ended chan struct{}
	highest    watermark
}

func watchMemory() *watching {
	w := &watching{end: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			w.highest = w.highest.or(memory())
			select {
			case <-tick.C:
			case <-w.end:
				w.highest = w.highest.or(memory())
				return
			}
		}
	}()
	return w
}

func (w *watching) stop() watermark {
	close(w.end)
	<-w.ended
	return w.highest
}

// memory is what is used now. It does not stop the program, as runtime.ReadMemStats does.
func memory() watermark {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(samples)
	return watermark{heap: samples[0].Value.Uint64() + samples[1].Value.Uint64(), resident: resident()}
}
