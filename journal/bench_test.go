package journal

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkRecords is for the size a record takes when keys come in order.
func BenchmarkRecords(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		dir := jobDir(b)
		d := open(b, dir, testJob())
		for i := range n {
			ok(b, d.Done(rec(i)))
		}
		ok(b, d.Close())
		info, err := os.Stat(filepath.Join(dir, fileName))
		ok(b, err)
		f, err := os.Open(filepath.Join(dir, fileName))
		ok(b, err)
		t, err := readTree(f, info.Size())
		ok(b, err)
		ok(b, f.Close())
		b.ReportMetric(float64(t.high*uint64(t.pageSize))/n, "B/record")
	}
}

// BenchmarkThousandParts keeps a network's pace: a thousand parts a second of
// eight uploads. ns/op is a second by design; cpu-ms/s is what it cost.
func BenchmarkThousandParts(b *testing.B) {
	d := open(b, jobDir(b), testJob())
	for i := range 8 {
		ok(b, d.Begin(upload(i, 0)))
	}
	before, n := cpu(b), 0
	for b.Loop() {
		tick := time.NewTicker(10 * time.Millisecond)
		for range 100 {
			<-tick.C
			for range 10 {
				n++
				ok(b, d.Part(key(n%8), upload(n%8, 0).ID, part(n%8, int32(n/8+1))))
			}
		}
		tick.Stop()
	}
	b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N), "cpu-ms/s")
	ok(b, d.Flush(context.Background()))
}

// BenchmarkPart is what a worker pays.
func BenchmarkPart(b *testing.B) {
	d := open(b, jobDir(b), testJob())
	u := upload(1, 0)
	ok(b, d.Begin(u))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		ok(b, d.Part(u.Key, u.ID, part(1, int32(n%10_000+1))))
	}
}

// BenchmarkBegin is what an upload waits before its first part.
func BenchmarkBegin(b *testing.B) {
	d := open(b, jobDir(b), testJob())
	for n := 0; b.Loop(); n++ {
		ok(b, d.Begin(upload(n%100, 0)))
	}
}

// BenchmarkOpen opens and checks a hundred thousand records.
func BenchmarkOpen(b *testing.B) {
	dir := jobDir(b)
	d := open(b, dir, testJob())
	for i := range 100_000 {
		ok(b, d.Done(rec(i)))
	}
	ok(b, d.Close())
	for b.Loop() {
		d, err := Open(context.Background(), dir, testJob(), Options{})
		ok(b, err)
		ok(b, d.Close())
	}
}
