package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func scanFill(b *testing.B, dir string, n int) {
	b.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if err := os.WriteFile(fmt.Sprintf("%s/chunk-%012d", dir, i*7919%n), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func scanBench(b *testing.B, dir string, want int) {
	b.Helper()
	b.ReportAllocs()
	var peak uint64
	for b.Loop() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		before, n := m.HeapAlloc, 0
		for e := range Scan(b.Context(), []Source{{Path: dir, Dir: true}}, ScanOptions{}) {
			if e.Err != nil || e.Ignored != "" {
				b.Fatal(e)
			}
			if n++; n%(want/4) == 1 {
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc-min(before, m.HeapAlloc))
			}
		}
		if n != want {
			b.Fatalf("%d items instead of %d", n, want)
		}
	}
	b.ReportMetric(float64(want)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
}

// BenchmarkScan reads trees of 100 and 1,000 files a directory, and one directory
// of all.
func BenchmarkScan(b *testing.B) {
	for _, tt := range []struct{ n, each int }{{100_000, 100}, {100_000, 1000}, {100_000, 100_000}, {1_000_000, 1_000_000}} {
		b.Run(fmt.Sprintf("each=%d/n=%d", tt.each, tt.n), func(b *testing.B) {
			if testing.Short() && tt.n > 100_000 {
				b.Skip("makes a million files")
			}
			dir := b.TempDir()
			for i := range tt.n / tt.each {
				scanFill(b, filepath.Join(dir, fmt.Sprint("d", i)), tt.each)
			}
			scanBench(b, dir, tt.n)
		})
	}
}
