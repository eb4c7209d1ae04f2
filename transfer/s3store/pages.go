package s3store

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ErrListing is a listing that can't be believed, whatever is listed. The store
// is at fault, or what is in front of it.
var ErrListing = errors.New("the store's listing can't be used")

var (
	errEndless = fmt.Errorf("%w: it does not go on, no new continuation token comes", ErrListing)
	errBlank   = fmt.Errorf("%w: %d pages one after the other had nothing in them", ErrListing, mostBlank)
	errForeign = fmt.Errorf("%w: it has keys that were not asked for", ErrListing)
	errSize    = fmt.Errorf("%w: it has sizes that no object has", ErrListing)
)

const (
	// mostBlank is how many pages without an entry may follow each other. Real
	// stores send some where many versions are hidden.
	mostBlank = 1_000
	// mostSize, in bytes: far above what any store takes, and far below where
	// sums of sizes overflow.
	mostSize = 1 << 53
)

// pages watches over a listing that comes page by page: a store that leads in a
// circle, however wide, would otherwise be followed for ever.
type pages struct {
	last  string // token
	mark  string // of a page further back; there are twice as many pages between each two of them (Brent)
	n     int
	next  int // page that is marked next
	blank int // pages one after the other that had nothing
}

// turn goes on to the page of a token, from one with that many entries.
func (p *pages) turn(token *string, entries int) error {
	t := aws.ToString(token)
	if t == "" || t == p.last || p.n > 0 && t == p.mark {
		return errEndless
	}
	if p.blank++; entries > 0 {
		p.blank = 0
	}
	if p.blank >= mostBlank {
		return errBlank
	}
	if p.n >= p.next {
		p.mark, p.next = t, 2*p.n+1
	}
	p.last = t
	p.n++
	return nil
}

// listedKey is the key k of a listing of what begins with prefix, as it is.
func listedKey(k *string, escaped bool, prefix string) (string, error) {
	key := aws.ToString(k)
	if escaped {
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return "", &transfer.Error{Op: opList, Key: key, Err: fmt.Errorf("%w: a key does not decode: %w", ErrListing, err)}
		}
		key = plain
	}
	if key == "" || !strings.HasPrefix(key, prefix) {
		return "", &transfer.Error{Op: opList, Key: prefix, Err: fmt.Errorf("%w, such as %q", errForeign, cut(key, 100))}
	}
	return key, nil
}

func object(o *types.Object, escaped bool, prefix string) (transfer.Object, error) {
	key, err := listedKey(o.Key, escaped, prefix)
	if err != nil {
		return transfer.Object{}, err
	}
	size := aws.ToInt64(o.Size)
	if size < 0 || size > mostSize {
		return transfer.Object{}, &transfer.Error{Op: opList, Key: key, Err: fmt.Errorf("%w, such as %d", errSize, size)}
	}
	return transfer.Object{Key: key, Size: size, ETag: aws.ToString(o.ETag), Modified: aws.ToTime(o.LastModified)}, nil
}

// entries is how many a page has.
func entries(out *s3.ListObjectsV2Output) int { return len(out.Contents) + len(out.CommonPrefixes) }

// cut is a server's text with at most n bytes.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
