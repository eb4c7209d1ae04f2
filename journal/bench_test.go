package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sizes are the numbers of records that a journal is measured with.
var sizes = []int{10_000, 100_000, 1_000_000}

// filled makes a journal of n records and tells how many bytes of pages they take.
func filled(t testing.TB, n int) (dir string, bytes int64) {
	t.Helper()
	dir = jobDir(t)
	d := open(t, dir, testJob())
	for i := range n {
		// Lanes end in about the order of the keys.
		ok(t, d.Done(rec(i/32*32+31-i%32)))
	}
	ok(t, d.Close())
	f, err := os.Open(filepath.Join(dir, fileName))
	ok(t, err)
	defer f.Close()
	info, err := f.Stat()
	ok(t, err)
	tree, err := readTree(f, info.Size())
	ok(t, err)
	return dir, int64(tree.high) * tree.pageSize
}

// What a record takes does not grow with their number.
func TestGrowth(t *testing.T) {
	var each []float64
	for _, n := range sizes[:2] {
		_, bytes := filled(t, n-n%32)
		each = append(each, float64(bytes)/float64(n))
	}
	t.Logf("bytes of a record among %v: %.0f", sizes[:2], each)
	if each[1] > 1.3*each[0] || each[1] > 200 {
		t.Errorf("a record takes %.0f bytes among %v", each, sizes[:2])
	}
}

// BenchmarkDone is for what a record costs, and the size it takes when keys come
// in about their order.
func BenchmarkDone(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			var bytes int64
			before := cpu(b)
			for b.Loop() {
				_, bytes = filled(b, n-n%32)
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N*n), "cpu-ns/record")
			b.ReportMetric(float64(bytes)/float64(n), "B/record")
		})
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

// BenchmarkOpen opens and checks.
func BenchmarkOpen(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			dir, _ := filled(b, n-n%32)
			for b.Loop() {
				d, err := Open(context.Background(), dir, testJob(), Options{})
				ok(b, err)
				ok(b, d.Close())
			}
		})
	}
}

// BenchmarkRecords reads all as a plan does.
func BenchmarkRecords(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			dir, _ := filled(b, n-n%32)
			d := open(b, dir, testJob())
			b.ReportAllocs()
			for b.Loop() {
				seen := 0
				for from, more := "", true; more; {
					recs, err := d.Records(from, 1000)
					ok(b, err)
					if seen, more = seen+len(recs), len(recs) == 1000; more {
						from = recs[999].Key + "\x00"
					}
				}
				if seen != n-n%32 {
					b.Fatal(seen)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
