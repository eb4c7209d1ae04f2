package checksum_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"agent/transfer/checksum"
)

func random(seed uint64, n int) []byte {
	b := make([]byte, (n+7)/8*8)
	r := rand.New(rand.NewPCG(seed, 7))
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}

// The check values of the CRC catalogue: reveng.sourceforge.io/crc-catalogue.
func TestKnownVectors(t *testing.T) {
	check := []byte("123456789")
	if got := checksum.Sum64(check); got != 0xAE8B14860A799888 {
		t.Errorf("CRC64NVME = %#x", got)
	}
	if got := checksum.Sum32C(check); got != 0xE3069283 {
		t.Errorf("CRC32C = %#x", got)
	}
	h := checksum.New64()
	_, _ = h.Write(check[:4])
	_, _ = h.Write(check[4:])
	if got := h.Sum64(); got != 0xAE8B14860A799888 {
		t.Errorf("running CRC64NVME = %#x", got)
	}
	if got := binary.BigEndian.Uint64(h.Sum(nil)); got != h.Sum64() {
		t.Errorf("Sum appends %#x, not big-endian %#x", got, h.Sum64())
	}
	if got := checksum.Update64(checksum.Sum64(check[:3]), check[3:]); got != 0xAE8B14860A799888 {
		t.Errorf("updated CRC64NVME = %#x", got)
	}
	if got := checksum.Update32C(checksum.Sum32C(check[:3]), check[3:]); got != 0xE3069283 {
		t.Errorf("updated CRC32C = %#x", got)
	}
}

func checkSplit(t *testing.T, data []byte, at int) {
	t.Helper()
	a, b := data[:at], data[at:]
	n := int64(len(b))
	if got, want := checksum.Combine64(checksum.Sum64(a), checksum.Sum64(b), n), checksum.Sum64(data); got != want {
		t.Errorf("CRC64NVME of %d+%d bytes: %#x, want %#x", len(a), len(b), got, want)
	}
	if got, want := checksum.Combine32C(checksum.Sum32C(a), checksum.Sum32C(b), n), checksum.Sum32C(data); got != want {
		t.Errorf("CRC32C of %d+%d bytes: %#x, want %#x", len(a), len(b), got, want)
	}
}

func TestCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 7, 8, 9, 255, 4096, 1<<20 + 13, 5<<20 + 1} {
		data := random(uint64(n), n)
		for _, at := range []int{0, min(1, n), max(n-1, 0), n, n / 2} {
			checkSplit(t, data, at)
		}
		for range 5 {
			checkSplit(t, data, r.IntN(n+1))
		}
	}
}

// As the parts of an upload are: many, of one size, but for the last.
func TestCombineManyParts(t *testing.T) {
	data := random(3, 3<<20+17)
	const part = 64 << 10
	var whole uint64
	for at := 0; at < len(data); at += part {
		p := data[at:min(at+part, len(data))]
		whole = checksum.Combine64(whole, checksum.Sum64(p), int64(len(p)))
	}
	if want := checksum.Sum64(data); whole != want {
		t.Errorf("%#x, want %#x", whole, want)
	}
}

// zeros returns the checksums of n zero bytes, by doubling one.
func zeros(n int64) (c64 uint64, c32 uint32) {
	power64, power32, length := checksum.Sum64([]byte{0}), checksum.Sum32C([]byte{0}), int64(1)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			c64 = checksum.Combine64(c64, power64, length)
			c32 = checksum.Combine32C(c32, power32, length)
		}
		power64 = checksum.Combine64(power64, power64, length)
		power32 = checksum.Combine32C(power32, power32, length)
		length *= 2
	}
	return c64, c32
}

func TestCombineHuge(t *testing.T) {
	const mib = 1 << 20
	c64, c32 := zeros(3 * mib)
	if buf := make([]byte, 3*mib); c64 != checksum.Sum64(buf) || c32 != checksum.Sum32C(buf) {
		t.Fatal("the checksums of 3 MiB of zeros, by doubling, are wrong")
	}
	const size = 5 << 30 // the most one PutObject takes
	want64, want32 := zeros(size)
	for _, tail := range []int64{1, 1234567, size / 2, size - 1} {
		a64, a32 := zeros(size - tail)
		b64, b32 := zeros(tail)
		if got := checksum.Combine64(a64, b64, tail); got != want64 {
			t.Errorf("CRC64NVME, tail %d: %#x, want %#x", tail, got, want64)
		}
		if got := checksum.Combine32C(a32, b32, tail); got != want32 {
			t.Errorf("CRC32C, tail %d: %#x, want %#x", tail, got, want32)
		}
	}
	// (x || y) || z is x || (y || z), whatever the lengths.
	x, y, z := uint64(0x0123456789abcdef), uint64(0xfedcba9876543210), uint64(42)
	const m, n = 5<<40 - 3, 48 << 40
	left := checksum.Combine64(checksum.Combine64(x, y, m), z, n)
	if right := checksum.Combine64(x, checksum.Combine64(y, z, n), m+n); left != right {
		t.Errorf("not associative: %#x and %#x", left, right)
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []uint64{0, 1, 0xAE8B14860A799888, 1<<64 - 1} {
		if got, err := checksum.Decode64(checksum.Encode64(c)); err != nil || got != c {
			t.Errorf("Decode64(Encode64(%#x)) = %#x, %v", c, got, err)
		}
		if got, err := checksum.Decode32(checksum.Encode32(uint32(c))); err != nil || got != uint32(c) {
			t.Errorf("Decode32(Encode32(%#x)) = %#x, %v", uint32(c), got, err)
		}
	}
	if got := checksum.Encode64(0xAE8B14860A799888); got != "rosUhgp5mIg=" {
		t.Errorf("Encode64 = %q", got)
	}
	if got := checksum.Encode32(0xE3069283); got != "4waSgw==" {
		t.Errorf("Encode32 = %q", got)
	}
	for _, s := range []string{"", "=", "4waSgw==", "rosUhgp5mIg", "rosUhgp5mIg=\n", "rosUhgp5mIh=", "rosUhgp5mI-=", "rosUhgp5mIgA", "rosUhgp\nmIg="} {
		if got, err := checksum.Decode64(s); err == nil {
			t.Errorf("Decode64(%q) = %#x", s, got)
		}
	}
	for _, s := range []string{"", "rosUhgp5mIg=", "4waSgx==", "4waSgw"} {
		if got, err := checksum.Decode32(s); err == nil {
			t.Errorf("Decode32(%q) = %#x", s, got)
		}
	}
}

func FuzzCombine(f *testing.F) {
	f.Add([]byte("123456789"), uint16(4))
	f.Add([]byte{}, uint16(0))
	f.Add(make([]byte, 300), uint16(299))
	f.Fuzz(func(t *testing.T, data []byte, at uint16) {
		checkSplit(t, data, int(at)%(len(data)+1))
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("rosUhgp5mIg=")
	f.Add("4waSgw==")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := checksum.Decode64(s); err == nil && checksum.Encode64(c) != s {
			t.Errorf("Decode64 takes %q for %q", s, checksum.Encode64(c))
		}
		if c, err := checksum.Decode32(s); err == nil && checksum.Encode32(c) != s {
			t.Errorf("Decode32 takes %q for %q", s, checksum.Encode32(c))
		}
	})
}

func BenchmarkSum64(b *testing.B) {
	data := random(1, 8<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		checksum.Sum64(data)
	}
}

func BenchmarkCombine64(b *testing.B) {
	x := uint64(0xAE8B14860A799888)
	for b.Loop() {
		x = checksum.Combine64(x, 42, 5<<30-1)
	}
}
