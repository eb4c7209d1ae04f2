package transfer

import (
	"context"
	"crypto/md5"  //nolint:gosec // the form of S3's ETags, no secret hangs on it
	"crypto/sha1" //nolint:gosec // a checksum that S3 offers
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"agent/transfer/checksum"
)

// recipe is one way to tell whether bytes are those of a stored object.
type recipe struct {
	how  string // for people
	sum  func() hash.Hash
	part int64 // bytes; 0: of the whole. Else of the sums of parts of that size
	want string
	sure bool // a mismatch means other bytes, and not perhaps another size of part
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// algorithms are the checksums S3 keeps, by the names StoredSum has for them.
var algorithms = map[string]func() hash.Hash{
	"crc64nvme": func() hash.Hash { return checksum.New64() },
	"crc32c":    func() hash.Hash { return crc32.New(castagnoli) },
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
}

// guesses are the sizes of part that tools have by default, in MiB: where a
// store does not tell, those that make the right number of parts are tried.
var guesses = []int64{5, 6, 7, 8, 10, 12, 15, 16, 20, 24, 25, 32, 48, 50, 64, 96, 100, 128, 200, 256, 512, 1024}

// recipes are the ways in which st tells of its bytes; all of one algorithm, the
// most telling that there is. None: it does not.
func recipes(st *Stored) []recipe {
	for _, s := range st.Sums {
		if sum := algorithms[s.Algorithm]; s.Parts == 0 && sum != nil {
			if raw, err := base64.StdEncoding.DecodeString(s.Value); err == nil {
				return []recipe{{how: s.Algorithm, sum: sum, want: hex.EncodeToString(raw), sure: true}}
			}
		}
	}
	for _, s := range st.Sums {
		if sum := algorithms[s.Algorithm]; s.Parts > 0 && sum != nil {
			if raw, err := base64.StdEncoding.DecodeString(s.Value); err == nil {
				return byParts(st, s.Parts, recipe{how: s.Algorithm, sum: sum, want: hex.EncodeToString(raw)})
			}
		}
	}
	base, _, _ := strings.Cut(strings.ToLower(strings.Trim(st.ETag, `"`)), "-")
	if _, err := hex.DecodeString(base); err != nil || len(base) != hex.EncodedLen(md5.Size) || st.Opaque {
		return nil
	}
	r := recipe{how: "md5", sum: md5.New, want: base}
	switch {
	case st.Parts > 0:
		return byParts(st, st.Parts, r)
	case strings.Contains(st.ETag, "-"):
		return nil
	}
	r.sure = true
	return []recipe{r}
}

// byParts is r for each size of part that can be meant.
func byParts(st *Stored, parts int, r recipe) []recipe {
	with := func(size int64, sure bool) recipe {
		one := r
		one.part, one.sure = size, sure
		one.how = fmt.Sprintf("%s of %d parts", r.how, parts)
		return one
	}
	fits := func(size int64) bool { return (st.Size+size-1)/size == int64(parts) }
	switch {
	case parts == 1:
		return []recipe{with(max(st.Size, 1), true)}
	case st.PartSize > 0 && fits(st.PartSize):
		return []recipe{with(st.PartSize, true)}
	}
	var all []recipe
	for _, mib := range guesses {
		if size := mib << 20; fits(size) {
			all = append(all, with(size, false))
		}
	}
	return all
}

// summer sums bytes by one recipe.
type summer struct {
	recipe
	one, all hash.Hash
	left     int64 // of the present part
}

func newSummer(r recipe) *summer {
	s := &summer{recipe: r, one: r.sum(), left: r.part}
	if r.part > 0 {
		s.all = r.sum()
	}
	return s
}

func (s *summer) write(b []byte) {
	for s.all != nil && int64(len(b)) >= s.left {
		s.one.Write(b[:s.left])
		b = b[s.left:]
		s.all.Write(s.one.Sum(nil))
		s.one.Reset()
		s.left = s.part
	}
	s.one.Write(b)
	s.left -= int64(len(b))
}

func (s *summer) sum() string {
	if s.all == nil {
		return hex.EncodeToString(s.one.Sum(nil))
	}
	if s.left < s.part {
		s.all.Write(s.one.Sum(nil))
	}
	return hex.EncodeToString(s.all.Sum(nil))
}

// match reads size bytes once and reports the first recipe whose sum they have.
// They are written to also, too.
func match(ctx context.Context, r io.ReaderAt, size int64, ways []recipe, stopped func() bool, also ...io.Writer) (how string, same bool, _ error) {
	sums := make([]*summer, len(ways))
	for i, w := range ways {
		sums[i] = newSummer(w)
	}
	buf := make([]byte, min(size, 256<<10))
	for off := int64(0); off < size; {
		if ctx.Err() != nil || stopped() {
			return "", false, ErrStopped
		}
		b := buf[:min(int64(len(buf)), size-off)]
		n, err := r.ReadAt(b, off)
		if n < len(b) {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it is shorter now", ErrChanged)
			}
			return "", false, plain(err)
		}
		for _, s := range sums {
			s.write(b)
		}
		for _, w := range also {
			_, _ = w.Write(b) // a sum takes everything
		}
		off += int64(n)
	}
	for _, s := range sums {
		if s.sum() == s.want {
			return s.how, true, nil
		}
	}
	if len(ways) > 0 {
		how = ways[0].how
	}
	return how, false, nil
}

// hexOf is a CRC64NVME as recipes have it.
func hexOf(crc uint64) string { return fmt.Sprintf("%016x", crc) }

// isMD5 reports whether an ETag has the form of one that came as a whole.
func isMD5(etag string) bool {
	raw, err := hex.DecodeString(strings.Trim(etag, `"`))
	return err == nil && len(raw) == md5.Size
}
