package transfer

// Stored is what a store says of one object, to tell its bytes by.
type Stored struct {
	Object
	Sums   []StoredSum // the most telling first
	Opaque bool        // the object is encrypted so that its ETag says nothing of its bytes
	Parts  int         // that it came in, by its ETag; 0 if it came as a whole
	// PartSize is that of the first part, in bytes; 0 where the store can't
	// tell, or it is of no use.
	PartSize int64
}

// StoredSum is a checksum the store keeps: base64 of the bytes, big-endian.
type StoredSum struct {
	Algorithm string // "crc64nvme", "sha256", "sha1", "crc32c" or "crc32"
	Value     string
	// Parts is 0 for a checksum of the whole object. Else Value is that of the
	// checksums of so many parts, one after the other.
	Parts int
}

// Whole reports whether there is a checksum of the whole object.
func (s *Stored) Whole() bool {
	for _, c := range s.Sums {
		if c.Parts == 0 {
			return true
		}
	}
	return false
}
