//go:build long && linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"agent/bench/sink"
	"agent/transfer/checksum"
)

// TestLongTenThousandParts proves that a file of as many parts as S3 takes is sent,
// and that it goes on from the parts that were stored when it was killed half way:
// the object has the bytes of the file. Each part begins with its number, and the
// rest of it is a hole.
func TestLongTenThousandParts(t *testing.T) {
	const part, parts = 5 * mib, 10_000
	const size = int64(part)*parts - 1 // of exactly so many, as of more, each would be larger
	dir := t.TempDir()
	sum := writeNumbered(t, filepath.Join(dir, "large.nc"), size, part)
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Keep(0)
	u := user{t, s, t.TempDir(), budget}
	args := []string{"upload", "--quiet", "--part-size", "5MiB", dir, "s3://bench/data/"}

	cmd := using(s, u.home, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := killAt(cmd, func() bool { return s.Counts().Parts >= parts/2 })
	rss, err := watched(cmd)
	ended()
	half := s.Counts()
	if err == nil || half.Parts < parts/2 || half.Objects > 0 || rss > budget {
		t.Fatalf("killed at %+v, RssAnon %d: %v", half, rss, err)
	}

	_, did := u.run(0, args...)
	// What was under way, and what was not on disk yet, went again.
	if again := half.Parts + did.Parts - parts; again < 0 || again > 200 {
		t.Errorf("%d parts before, and %d behind", half.Parts, did.Parts)
	}
	t.Logf("killed at %d parts; then %d were sent, %d of them again", half.Parts, did.Parts, half.Parts+did.Parts-parts)
	n := 0
	for o := range s.Objects() {
		if n++; o.Key != "data/large.nc" || o.Size != size || o.CRC64 != sum {
			t.Errorf("stored is %s of %d bytes with %x, want %d and %x", o.Key, o.Size, o.CRC64, size, sum)
		}
	}
	if n != 1 || did.Objects != 1 {
		t.Errorf("%d objects, by %d requests", n, did.Objects)
	}
}

// writeNumbered makes a sparse file in which each part begins with its number, and
// returns its CRC64NVME.
func writeNumbered(t *testing.T, path string, size, part int64) (sum uint64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros := checksum.Sum64(make([]byte, part-16))
	rest := make([]byte, part)
	for i := int64(0); i*part < size; i++ {
		head := fmt.Appendf(nil, "part %011d", i)
		if _, err := f.WriteAt(head, i*part); err != nil {
			t.Fatal(err)
		}
		n := min(part, size-i*part)
		one := checksum.Combine64(checksum.Sum64(head), zeros, n-16)
		if n < part {
			copy(rest, head)
			one = checksum.Sum64(rest[:n])
		}
		sum = checksum.Combine64(sum, one, n)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return sum
}
