// Package transfer moves directories to and from an object store: Scan finds
// the files, Plan decides what each of them needs, Run sends them.
//
// It knows files, keys and the order in which things become durable. It does
// not know S3, credentials, bbolt or people: the store and the journal are
// small interfaces declared here, and what happens leaves as Events.
package transfer

import (
	"math"
	"time"
)

// Item is one local file that becomes one object.
type Item struct {
	Key  string // full object key: '/'-separated UTF-8, at most MaxKey bytes
	Path string // the local file, absolute
	Stat Stat   // as the scan saw it

	// Zarr is the root directory of the Zarr store the file lies in, "" for
	// none. Meta marks the store's metadata, which is sent after everything
	// else of its store: a reader takes a store that has metadata and lacks
	// chunks for one that is full of fill values.
	Zarr string
	Meta bool
}

// MaxKey is the longest key S3 takes, in bytes.
const MaxKey = 1024

// Stat is what tells, without reading it, that a file is what it was. CTime
// and Inode are 0 where the system has none.
type Stat struct {
	Size  int64  // bytes
	MTime int64  // nanoseconds since 1970 UTC
	CTime int64  // likewise
	Inode uint64 // the file's number on its file system
}

// Object is what the store holds under one key.
type Object struct {
	Key      string
	Size     int64 // bytes
	ETag     string
	Modified time.Time
	// CRC64 is the CRC64NVME of the whole object where HasCRC64 says that the
	// store keeps one. A listing never has it.
	CRC64    uint64
	HasCRC64 bool
	// MTime is the modification time of the file it was made from, as far as
	// its metadata tell; zero where they don't. A listing never has it.
	MTime time.Time
}

// Part is one numbered slice of an item that the store has acknowledged.
type Part struct {
	Number int32 // from 1
	Size   int64 // bytes
	ETag   string
	CRC64  uint64 // CRC64NVME of the part, whatever was sent with it
	CRC32C uint32 // only for uploads begun with CRC32C, else 0
}

// Checksum names the algorithm whose values go with every part and object.
type Checksum uint8

// The algorithms, strongest first.
const (
	CRC64NVME Checksum = iota
	CRC32C
	NoChecksum
)

func (c Checksum) String() string {
	switch c {
	case CRC64NVME:
		return "crc64nvme"
	case CRC32C:
		return "crc32c"
	default:
		return "none"
	}
}

// Upload is a multipart upload that was begun and is not known to be complete.
type Upload struct {
	Key      string
	ID       string
	Stat     Stat  // of the file when the upload began
	PartSize int64 // bytes; every part but the last has it
	Checksum Checksum
	Begun    time.Time
	Parts    []Part // what the store has acknowledged, by number
}

// Record is what the journal keeps of an item that is stored.
type Record struct {
	Key   string
	Stat  Stat // of the file when it was read
	ETag  string
	CRC64 uint64 // CRC64NVME of the whole object
}

// Doubt is the record of an object that is about to be replaced, or could not be: what
// has the key is not to be taken for the file by its size and its time, because an older
// version may have the same size and be stored at a later time than the file's.
func Doubt(key string) Record {
	return Record{Key: key, Stat: Stat{MTime: math.MinInt64, CTime: math.MinInt64}}
}

// Doubtful reports that r is such a record.
func (r *Record) Doubtful() bool {
	return r.Stat.MTime == math.MinInt64 && r.Stat.CTime == math.MinInt64
}
