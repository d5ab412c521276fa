package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// benchBatch is the nth batch of samples of 2 KB, each with its hash, and cells of 16 bytes.
func benchBatch(n, samples, cells int) store.Batch {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	b := store.Batch{Counters: map[string]int64{"acknowledged": int64(samples)}}
	text := strings.Repeat("stack frame ", 120)
	for i := range samples {
		b.Samples = append(b.Samples, store.Sample{Issue: fmt.Sprint("SERIN-", i%10), Event: telemetry.Event{
			Kind: telemetry.KindError, Project: "1", ID: fmt.Sprintf("%016x%08x%08x", uint64(n*samples+i)*0x9e3779b97f4a7c15, i, n),
			Time: at, Received: at, Title: "TypeError: x is undefined", Message: text}})
		b.Seen = append(b.Seen, store.Seen{Hash: uint64(n*samples+i) * 0x9e3779b97f4a7c15, At: at})
	}
	for i := range cells {
		b.Cells = append(b.Cells, store.Cell{Rollout: fmt.Sprint("demo-", i%3), Attempt: 1, Metric: fmt.Sprint("metric-", i/6),
			Group: uint8(i % 2), Minute: at.Unix() / 60, Data: []byte(fmt.Sprintf("%016d", n))})
	}
	return b
}

func BenchmarkAppendEvidence(b *testing.B) {
	for _, size := range []struct{ samples, cells int }{{100, 0}, {100, 300}, {0, 300}} {
		b.Run(fmt.Sprintf("samples=%d/cells=%d", size.samples, size.cells), func(b *testing.B) {
			s := openAt(b, b.TempDir())
			defer s.Close()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := s.AppendEvidence(b.Context(), benchBatch(n, size.samples, size.cells)); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n*size.samples)/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(float64(n*(size.samples+size.cells))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	s := openAt(b, b.TempDir())
	defer s.Close()
	b.ReportAllocs()
	pos := int64(0)
	for b.Loop() {
		if err := s.Commit(b.Context(), crashCommit(pos)); err != nil {
			b.Fatal(err)
		}
		pos++
	}
}
