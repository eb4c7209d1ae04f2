// Package checksum computes the two checksums S3 keeps for whole objects,
// CRC64NVME and CRC32C, and combines those of neighbouring parts, so that a
// large object's checksum is known without reading it in one go.
//
// It knows bytes and numbers; it does not know parts, objects or HTTP.
package checksum

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// New64 returns a running CRC64NVME. Its Sum appends the bytes big-endian, as
// S3 does.
func New64() hash.Hash64 { return crc64nvme.New() }

// Sum64 returns the CRC64NVME of b.
func Sum64(b []byte) uint64 { return crc64nvme.Checksum(b) }

// Update64 returns the CRC64NVME of what crc stands for, followed by b. The
// crc of nothing is 0.
func Update64(crc uint64, b []byte) uint64 { return crc64nvme.Update(crc, b) }

// Sum32C returns the CRC32C of b.
func Sum32C(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Update32C returns the CRC32C of what crc stands for, followed by b.
func Update32C(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// Encode64 returns crc as S3 writes it in x-amz-checksum-crc64nvme: base64 of
// the eight bytes, big-endian.
func Encode64(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}

// Decode64 reads what Encode64 writes.
func Decode64(s string) (uint64, error) {
	b, err := decode(s, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// Encode32 returns crc as S3 writes it in x-amz-checksum-crc32c: base64 of the
// four bytes, big-endian.
func Encode32(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// Decode32 reads what Encode32 writes.
func Decode32(s string) (uint32, error) {
	b, err := decode(s, 4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

// decode is strict: a checksum has one spelling, and S3 knows no other. The
// length is compared first, because base64 skips line breaks.
func decode(s string, size int) ([]byte, error) {
	if len(s) != base64.StdEncoding.EncodedLen(size) {
		return nil, fmt.Errorf("checksum %q: not %d bytes in base64", s, size)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("checksum %q: %w", s, err)
	}
	if len(b) != size {
		return nil, fmt.Errorf("checksum %q: %d bytes instead of %d", s, len(b), size)
	}
	return b, nil
}
