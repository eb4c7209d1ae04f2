package s3store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"agent/transfer"
)

// metaMTime is the user metadata in which rclone, and others after it, keep a
// file's modification time.
const metaMTime = "mtime"

// metadata is what is stored beside an item's bytes. An upload that is gone on
// with keeps what it was begun with: S3 takes it at the beginning only.
func metadata(item *transfer.Item) map[string]string {
	if item.Path == "" {
		return nil // no file stands behind it
	}
	return map[string]string{metaMTime: mtimeText(item.Stat.MTime)}
}

// mtimeText writes nanoseconds since 1970 as rclone does: seconds, with as many
// decimals as are needed.
func mtimeText(ns int64) string {
	sign := ""
	abs := uint64(ns) //nolint:gosec // negated where it is negative
	if ns < 0 {
		sign, abs = "-", -abs
	}
	sec := sign + strconv.FormatUint(abs/1e9, 10)
	if fraction := abs % 1e9; fraction > 0 {
		return sec + "." + strings.TrimRight(fmt.Sprintf("%09d", fraction), "0")
	}
	return sec
}

// fileTime is the modification time that rclone, and others after it, keep in
// an object's metadata: seconds since 1970, with a fraction or without. s3cmd
// has it among others in one value.
func fileTime(metadata map[string]string) time.Time {
	v := metadata[metaMTime]
	if v == "" {
		for pair := range strings.SplitSeq(metadata["s3cmd-attrs"], "/") {
			if t, ok := strings.CutPrefix(pair, "mtime:"); ok {
				v = t
			}
		}
	}
	whole, fraction, _ := strings.Cut(v, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec < -1<<34 || sec > 1<<34 {
		return time.Time{}
	}
	ns := int64(0)
	if fraction != "" {
		if ns, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64); err != nil || ns < 0 {
			return time.Time{}
		}
	}
	if strings.HasPrefix(whole, "-") {
		ns = -ns
	}
	if t := time.Unix(sec, ns); time.Unix(0, t.UnixNano()).Equal(t) {
		return t
	}
	return time.Time{} // beyond 1678 or 2262: no file system takes it
}
