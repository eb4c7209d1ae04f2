package journal

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"agent/transfer"
)

func sscanKey(s string, i *int) (int, error) { return fmt.Sscanf(s, "ws/run/chunk/%07d", i) }

func TestRoundTrip(t *testing.T) {
	extreme := transfer.Stat{Size: math.MaxInt64, MTime: math.MinInt64, CTime: -1, Inode: math.MaxUint64}
	k := []byte("key")
	for _, r := range []transfer.Record{{Key: "key"}, {Key: "key", Stat: extreme, ETag: "é\x00", CRC64: math.MaxUint64}} {
		if got, err := decodeRecord(k, encodeRecord(k, r)); got != r || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, r)
		}
	}
	for _, u := range []transfer.Upload{
		{Key: "key"},
		{Key: "key", ID: "id", Stat: extreme, PartSize: 1, Checksum: transfer.NoChecksum, Begun: time.Unix(0, -5).UTC()},
	} {
		seq, got, err := decodeUpload(k, encodeUpload(k, 9, u))
		if !reflect.DeepEqual(got, u) || seq != 9 || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, u)
		}
	}
	pk := partKey(7, math.MaxInt32)
	p := transfer.Part{Number: math.MaxInt32, Size: 3, ETag: "e", CRC64: 4, CRC32C: 5}
	if got, err := decodePart(pk, encodePart(pk, p)); got != p || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, p)
	}
}

// A value is good under its own key, in its own bucket, whole, and nowhere else.
func TestSealed(t *testing.T) {
	k := []byte("key")
	val := encodeRecord(k, rec(1))
	if _, err := decodeRecord([]byte("kez"), val); err == nil {
		t.Error("taken under another key")
	}
	if _, _, err := decodeUpload(k, val); err == nil {
		t.Error("taken for an upload")
	}
	for n := range val {
		if _, err := decodeRecord(k, val[:n]); err == nil {
			t.Errorf("taken when cut to %d bytes", n)
		}
		for bit := range 8 {
			bad := append([]byte(nil), val...)
			bad[n] ^= 1 << bit
			if _, err := decodeRecord(k, bad); err == nil {
				t.Errorf("taken with bit %d of byte %d flipped", bit, n)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("key"), encodeRecord([]byte("key"), rec(1)), true)
	f.Add([]byte("key"), encodeUpload([]byte("key"), 3, upload(1, 0)), true)
	f.Add(partKey(1, 2), encodePart(partKey(1, 2), part(1, 2)), false)
	f.Add([]byte(keyMark), encodeMark(transfer.Mark{Merged: "m", All: true}), false)
	f.Fuzz(func(t *testing.T, key, val []byte, sealed bool) {
		for _, bucket := range []string{bucketItems, bucketUploads, bucketParts, bucketMeta} {
			v := val
			if sealed { // or nothing but the checksum is ever tried
				v = seal(bucket, key, append([]byte{valueVersion}, val...))
			}
			decodeAll(t, key, v)
		}
	})
}

func decodeAll(t *testing.T, key, v []byte) {
	if r, err := decodeRecord(key, v); err == nil {
		if again, err := decodeRecord(key, encodeRecord(key, r)); err != nil || again != r {
			t.Errorf("record %+v became %+v, %v", r, again, err)
		}
	}
	if seq, u, err := decodeUpload(key, v); err == nil {
		seq2, again, err := decodeUpload(key, encodeUpload(key, seq, u))
		if err != nil || seq2 != seq || !reflect.DeepEqual(again, u) {
			t.Errorf("upload %+v became %+v, %v", u, again, err)
		}
	}
	if p, err := decodePart(key, v); err == nil {
		if again, err := decodePart(key, encodePart(key, p)); err != nil || again != p {
			t.Errorf("part %+v became %+v, %v", p, again, err)
		}
	}
	if m, err := decodeMark(v); err == nil {
		if again, err := decodeMark(encodeMark(m)); err != nil || again != m {
			t.Errorf("mark %+v became %+v, %v", m, again, err)
		}
	}
	_, _ = decodeFormat(v)
	_, _ = decodeCounts(v)
	_, _ = decodeSum(v)
	_, _ = decodeJob(v)
}
