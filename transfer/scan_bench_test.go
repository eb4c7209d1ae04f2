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

// BenchmarkScanTree is 100,000 files, 100 in a directory.
func BenchmarkScanTree(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		scanFill(b, filepath.Join(dir, fmt.Sprint("d", i)), 100)
	}
	scanBench(b, dir, 100_000)
}

// BenchmarkScanMillion is one directory of 1,000,000 files.
func BenchmarkScanMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("makes a million files")
	}
	dir := b.TempDir()
	scanFill(b, dir, 1_000_000)
	scanBench(b, dir, 1_000_000)
}
