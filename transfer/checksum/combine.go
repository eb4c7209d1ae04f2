package checksum

import "hash/crc32"

// A CRC is a polynomial over GF(2), written here with its lowest power in the
// highest bit. Appending n bytes to what has the checksum a multiplies a by
// x^(8n), modulo the CRC's polynomial; the appended bytes then add their own
// checksum. The inversions at the start and the end of both CRCs cancel out.

// Both polynomials without their highest power. NVM Express NVM Command Set
// Specification, "64b CRC Polynomials"; RFC 3720, section 12.1.
const (
	poly64  = 0x9a6c9329ac4bc9b5
	poly32C = crc32.Castagnoli
)

// Combine64 returns the CRC64NVME of A followed by B, from those of A and B
// and B's length in bytes, which is not negative.
func Combine64(a, b uint64, lenB int64) uint64 {
	return multiply(shift(lenB, poly64, 1<<63), a, poly64, 1<<63) ^ b
}

// Combine32C is Combine64 for CRC32C.
func Combine32C(a, b uint32, lenB int64) uint32 {
	return uint32(multiply(shift(lenB, poly32C, 1<<31), uint64(a), poly32C, 1<<31)) ^ b //nolint:gosec // a remainder of 32 bits
}

// shift returns x^(8n) modulo poly by squaring; one is the bit of x^0.
func shift(n int64, poly, one uint64) uint64 {
	result, square := one, one>>8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = multiply(result, square, poly, one)
		}
		square = multiply(square, square, poly, one)
	}
	return result
}

// multiply returns a*b modulo poly.
func multiply(a, b, poly, one uint64) uint64 {
	var product uint64
	for bit := one; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		b = b>>1 ^ poly&-(b&1)
	}
	return product
}
