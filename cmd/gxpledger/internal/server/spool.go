package server

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Spool are the metrics of the failures of scans that wait in a home for a log that can be reached. They are read at each collection, and
// absent where the folder cannot be read.
type Spool struct {
	folder                         string
	files, bytes, oldest, failures *prometheus.Desc
}

// NewSpool returns the metrics of a folder, which need not be there.
func NewSpool(folder string) *Spool {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &Spool{
		folder:   folder,
		files:    desc("gxp_spool_failures", "Failures of scans in the home of this process that no log has yet; the next scan that reaches the log records them."),
		bytes:    desc("gxp_spool_bytes", "Bytes of the files in the spool of this home."),
		oldest:   desc("gxp_spool_oldest_timestamp_seconds", "When the oldest failure in the spool of this home was written; absent when there is none."),
		failures: desc("gxp_spool_unreadable", "1 when the spool of this home cannot be read, else 0."),
	}
}

// Describe implements [prometheus.Collector].
func (s *Spool) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{s.files, s.bytes, s.oldest, s.failures} {
		descs <- desc
	}
}

// Collect implements [prometheus.Collector].
func (s *Spool) Collect(metrics chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	entries, err := os.ReadDir(s.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		send(s.failures, 1)
		return
	}
	var count, size float64
	var oldest time.Time
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was recorded meanwhile
		}
		if err != nil {
			send(s.failures, 1)
			return
		}
		if !info.Mode().IsRegular() {
			continue
		}
		size += float64(info.Size())
		if strings.HasSuffix(entry.Name(), ".json") {
			count++
			if oldest.IsZero() || info.ModTime().Before(oldest) {
				oldest = info.ModTime()
			}
		}
	}
	send(s.failures, 0)
	send(s.files, count)
	send(s.bytes, size)
	if !oldest.IsZero() {
		send(s.oldest, seconds(oldest))
	}
}
