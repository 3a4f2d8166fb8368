package benchmarks_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// fileContender is what the disk can do: the payloads appended to a file and one wait for the disk for each batch, one
// batch after the other. It is no log: nothing can be found in it again.
func fileContender(b *testing.B) *contender {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := file.Close(); err != nil {
			b.Error(err)
		}
	})
	var one sync.Mutex // guards file and events
	events := 0
	return &contender{
		name: "raw-file",
		append: func(_ context.Context, w work) error {
			var data bytes.Buffer
			for _, e := range w.events {
				data.Write(e.Data)
			}
			one.Lock()
			defer one.Unlock()
			if _, err := file.Write(data.Bytes()); err != nil {
				return err
			}
			events += len(w.events)
			return dataSync(file)
		},
		count: func(context.Context) (int, error) {
			one.Lock()
			defer one.Unlock()
			return events, nil
		},
	}
}
