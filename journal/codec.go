package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"agent/transfer"
)

// A value is: a version byte, fixed little-endian numbers, strings with their
// length before them, CRC32C. Times are nanoseconds since 1970.
const valueVersion = 1

// formatVersion is of the whole file. Its own value never changes its layout,
// so that every agent can read it.
const formatVersion = 1

// The buckets. Each enters the checksum of its values, so that no value is
// taken for one of another bucket.
const (
	bucketMeta    = "meta"
	bucketItems   = "items"
	bucketUploads = "uploads"
	bucketParts   = "parts"
)

// The keys of the bucket meta.
const (
	keyFormat = "format"
	keyJob    = "job"
	keyMark   = "mark"
	keyCounts = "counts"
	keySum    = "sum"
)

var errValue = errors.New("value fails its checksum or makes no sense")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(bucket string, key, body []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte{bucket[0]})
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, body)
}

func seal(bucket string, key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(body, checksum(bucket, key, body))
}

// put64 stores the bits of v, whatever they mean.
func put64(b []byte, v int64) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(v)) //nolint:gosec // the sign is a bit like the others
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putStat(b []byte, s transfer.Stat) []byte {
	b = put64(b, s.Size)
	b = put64(b, s.MTime)
	b = put64(b, s.CTime)
	return binary.LittleEndian.AppendUint64(b, s.Inode)
}

// reader takes a value apart. After the first thing that does not fit, every
// method returns zero and ok is false.
type reader struct {
	b  []byte
	ok bool
}

// unseal starts to read val, of which it first checks length, sum and version.
func unseal(bucket string, key, val []byte) *reader {
	n := len(val) - 4
	if n < 1 || binary.LittleEndian.Uint32(val[n:]) != checksum(bucket, key, val[:n]) || val[0] != valueVersion {
		return &reader{}
	}
	return &reader{b: val[1:n], ok: true}
}

func (r *reader) take(n uint64) []byte {
	if !r.ok || uint64(len(r.b)) < n {
		r.ok = false
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); r.ok {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) int64() int64 {
	return int64(r.uint64()) //nolint:gosec // as put64 stored it
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); r.ok {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) byte() byte {
	if b := r.take(1); r.ok {
		return b[0]
	}
	return 0
}

func (r *reader) string() string {
	n, used := binary.Uvarint(r.b)
	if used <= 0 {
		r.ok = false
		return ""
	}
	r.take(uint64(used))
	return string(r.take(n))
}

func (r *reader) stat() transfer.Stat {
	return transfer.Stat{
		Size: r.int64(), MTime: r.int64(), CTime: r.int64(), Inode: r.uint64(),
	}
}

// end is the verdict: all was there, and nothing is left.
func (r *reader) end() error {
	if !r.ok || len(r.b) != 0 {
		return errValue
	}
	return nil
}

func encodeRecord(key []byte, rec transfer.Record) []byte {
	b := make([]byte, 0, 56+len(rec.ETag))
	b = append(b, valueVersion)
	b = putStat(b, rec.Stat)
	b = binary.LittleEndian.AppendUint64(b, rec.CRC64)
	b = putString(b, rec.ETag)
	return seal(bucketItems, key, b)
}

func decodeRecord(key, val []byte) (transfer.Record, error) {
	r := unseal(bucketItems, key, val)
	rec := transfer.Record{Stat: r.stat(), CRC64: r.uint64(), ETag: r.string()}
	if err := r.end(); err != nil {
		return transfer.Record{}, err
	}
	rec.Key = string(key)
	return rec, nil
}

// noTime stands for the zero time, which has no nanoseconds since 1970.
const noTime = math.MinInt64

// encodeUpload encodes the header of u: what it is, not its parts. Those are
// found by seq, so that a replaced upload's parts are never taken for another's.
func encodeUpload(key []byte, seq uint64, u transfer.Upload) []byte {
	begun := int64(noTime)
	if !u.Begun.IsZero() {
		begun = u.Begun.UnixNano()
	}
	b := make([]byte, 0, 72+len(u.ID))
	b = append(b, valueVersion)
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = putStat(b, u.Stat)
	b = put64(b, u.PartSize)
	b = put64(b, begun)
	b = append(b, byte(u.Checksum))
	b = putString(b, u.ID)
	return seal(bucketUploads, key, b)
}

func decodeUpload(key, val []byte) (seq uint64, u transfer.Upload, err error) {
	r := unseal(bucketUploads, key, val)
	seq = r.uint64()
	u.Stat = r.stat()
	u.PartSize = r.int64()
	begun := r.int64()
	u.Checksum = transfer.Checksum(r.byte())
	u.ID = r.string()
	if err := r.end(); err != nil {
		return 0, transfer.Upload{}, err
	}
	if begun != noTime {
		u.Begun = time.Unix(0, begun).UTC()
	}
	u.Key = string(key)
	return seq, u, nil
}

// partKey sorts by upload, then by number.
func partKey(seq uint64, number int32) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 12), seq)
	return binary.BigEndian.AppendUint32(b, uint32(number)) //nolint:gosec // checkPart lets only positive ones in
}

func seqOf(partKey []byte) uint64 {
	if len(partKey) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(partKey)
}

func encodePart(key []byte, p transfer.Part) []byte {
	b := make([]byte, 0, 40+len(p.ETag))
	b = append(b, valueVersion)
	b = put64(b, p.Size)
	b = binary.LittleEndian.AppendUint64(b, p.CRC64)
	b = binary.LittleEndian.AppendUint32(b, p.CRC32C)
	b = putString(b, p.ETag)
	return seal(bucketParts, key, b)
}

func decodePart(key, val []byte) (transfer.Part, error) {
	r := unseal(bucketParts, key, val)
	p := transfer.Part{Size: r.int64(), CRC64: r.uint64(), CRC32C: r.uint32(), ETag: r.string()}
	if err := r.end(); err != nil || len(key) != 12 {
		return transfer.Part{}, errValue
	}
	p.Number = int32(binary.BigEndian.Uint32(key[8:])) //nolint:gosec // as partKey stored it
	return p, nil
}

const (
	markAll byte = 1 << iota
	markFinished
)

func encodeMark(m transfer.Mark) []byte {
	var flags byte
	if m.All {
		flags |= markAll
	}
	if m.Finished {
		flags |= markFinished
	}
	return seal(bucketMeta, []byte(keyMark), putString([]byte{valueVersion, flags}, m.Merged))
}

func decodeMark(val []byte) (transfer.Mark, error) {
	r := unseal(bucketMeta, []byte(keyMark), val)
	flags := r.byte()
	m := transfer.Mark{Merged: r.string(), All: flags&markAll != 0, Finished: flags&markFinished != 0}
	if err := r.end(); err != nil {
		return transfer.Mark{}, err
	}
	return m, nil
}

// counts are kept with every commit: counting a million records takes a walk.
type counts struct {
	items uint64
	seq   uint64 // the highest number an upload ever had
}

func encodeCounts(c counts) []byte {
	b := binary.LittleEndian.AppendUint64([]byte{valueVersion}, c.items)
	b = binary.LittleEndian.AppendUint64(b, c.seq)
	return seal(bucketMeta, []byte(keyCounts), b)
}

func decodeCounts(val []byte) (counts, error) {
	r := unseal(bucketMeta, []byte(keyCounts), val)
	c := counts{items: r.uint64(), seq: r.uint64()}
	return c, r.end()
}

// sum is how much the items are. It is kept beside the counts, for those who
// only look, and holds as long as there are so many items: an agent that does
// not know of it does not keep it up.
type sum struct {
	items uint64
	bytes int64
}

func encodeSum(s sum) []byte {
	b := binary.LittleEndian.AppendUint64([]byte{valueVersion}, s.items)
	return seal(bucketMeta, []byte(keySum), put64(b, s.bytes))
}

func decodeSum(val []byte) (sum, error) {
	r := unseal(bucketMeta, []byte(keySum), val)
	s := sum{items: r.uint64(), bytes: r.int64()}
	return s, r.end()
}

// sizeOf is the size in a record, which is not looked at any further.
func sizeOf(record []byte) int64 {
	if len(record) < 9 || record[0] != valueVersion {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(record[1:])) //nolint:gosec // as put64 stored it
}

func encodeFormat(version uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{valueVersion}, version)
	return seal(bucketMeta, []byte(keyFormat), b)
}

func decodeFormat(val []byte) (uint32, error) {
	r := unseal(bucketMeta, []byte(keyFormat), val)
	v := r.uint32()
	return v, r.end()
}

func encodeJob(j Job) ([]byte, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	return seal(bucketMeta, []byte(keyJob), putString([]byte{valueVersion}, string(text))), nil
}

func decodeJob(val []byte) (Job, error) {
	r := unseal(bucketMeta, []byte(keyJob), val)
	text := r.string()
	if err := r.end(); err != nil {
		return Job{}, err
	}
	var j Job
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := d.Decode(&j); err != nil {
		return Job{}, errValue
	}
	return j, nil
}
