package journal

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"time"

	"agent/transfer"
	sums "agent/transfer/checksum"
)

// The journals in testdata were written by agents of other days: see
// testdata/README.md. What is in them is here. These files are copied into those
// commits, so they use nothing that is younger.

// golden are the journals of each of those agents.
var golden = []string{"finished", "unfinished", "download"}

// goldenJob is the job of one of them.
func goldenJob(name string) Job {
	if name == "download" {
		var j Job // by its text: the first agents have no Dir
		err := json.Unmarshal([]byte(`{"id": "goldenjob7", "direction": "download", "sources": ["s3://bucket/ws/run"],
			"endpoint": "https://s3.example", "bucket": "bucket", "prefix": "ws/run", "dir": "/data/copy"}`), &j)
		if err != nil {
			panic(err)
		}
		return j
	}
	j := NewJob("upload", []string{"/data/" + name}, "https://s3.example", "bucket", "ws/run")
	j.Started = time.Time{}
	return j
}

const goldenRecords = 40

func goldenRecord(i int) transfer.Record {
	n := uint64(i)
	return transfer.Record{
		Key:   fmt.Sprintf("ws/run/file-%03d", i),
		Stat:  transfer.Stat{Size: int64(i) * 1000, MTime: 1700000000e9 + int64(i), CTime: 1700000001e9 + int64(i), Inode: n + 100},
		ETag:  fmt.Sprintf(`"%032x"`, n*2654435761),
		CRC64: n * 0x9E3779B97F4A7C15,
	}
}

const (
	goldenPartSize = 5 << 20
	goldenSize     = 2*goldenPartSize + 12_345
	goldenParts    = 2 // of three
)

// goldenBytes is the file whose upload is open.
func goldenBytes() []byte {
	b := make([]byte, goldenSize)
	for i := range b {
		b[i] = byte(i) + byte(i>>8)*7 + byte(i>>16)*31
	}
	return b
}

func goldenUpload() transfer.Upload {
	body := goldenBytes()
	u := transfer.Upload{
		Key: "ws/run/large.tif", ID: "upload-golden", PartSize: goldenPartSize,
		Stat:  transfer.Stat{Size: goldenSize, MTime: 1700000002e9, CTime: 1700000003e9, Inode: 7},
		Begun: time.Unix(1700000004, 5).UTC(),
	}
	for n := range goldenParts {
		part := body[n*goldenPartSize : (n+1)*goldenPartSize]
		u.Parts = append(u.Parts, transfer.Part{
			Number: int32(n + 1), Size: goldenPartSize, ETag: fmt.Sprintf(`"%x"`, md5.Sum(part)), CRC64: sums.Sum64(part),
		})
	}
	return u
}

// goldenFetch is a file half fetched: its ranges have no ETags.
func goldenFetch() transfer.Upload {
	u := goldenUpload()
	u.Key, u.ID = "large.tif", `"0123456789abcdef-3"`
	for i := range u.Parts {
		u.Parts[i].ETag = ""
	}
	return u
}

// goldenMark says how far the plan of one of them had got.
func goldenMark(name string) transfer.Mark {
	if name == "unfinished" {
		return transfer.Mark{Merged: goldenRecord(goldenRecords / 2).Key}
	}
	return transfer.Mark{All: true, Finished: name == "finished"}
}
