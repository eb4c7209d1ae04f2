// Package s3store stores objects in S3, or in whatever speaks S3. It is the
// only importer of service/s3 and of manager, and the one place where requests
// are limited, signed, repeated and judged.
//
// It does not know where credentials come from (creds does), which files there
// are (transfer does) or how the journal is kept.
package s3store

import (
	"context"
	"fmt"
	"math/bits"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Limits of S3, by its documentation of November 2026.
const (
	MaxParts    = 10_000
	MinPartSize = 5 << 20                // bytes; the last part may be smaller
	MaxPartSize = 5 << 30                // bytes
	MaxObject   = MaxParts * MaxPartSize // 48.8 TiB
)

// Credentials is what the store needs of whoever holds them.
type Credentials interface {
	// Retrieve returns a live set at once, or an error where there is none.
	Retrieve(ctx context.Context) (aws.Credentials, error)
	// Wait returns a live set, waiting for one as long as ctx lives.
	Wait(ctx context.Context) (aws.Credentials, error)
	// Another asks once for another set than this key's, and returns the live
	// one, which may be the same. Useless: the key was denied from the start, so
	// that its source is no use either. Callers may be many: they are one question.
	Another(ctx context.Context, accessKeyID string, useless bool) (aws.Credentials, error)
	// Invalidate says that the store refused this set; it is not offered again.
	Invalidate(c aws.Credentials, why string)
	// ServerTime reports the store's clock, by which keys expire.
	ServerTime(t time.Time)
}

// Options configures a Store.
type Options struct {
	Bucket      string
	Prefix      string // of the job's keys: what every set of credentials has to be able to list, if an earlier one was
	Region      string
	Endpoint    string // URL; "" is AWS itself
	Credentials Credentials
	HTTP        aws.HTTPClient // for requests that are answered soon
	SlowHTTP    aws.HTTPClient // for Complete, which may take minutes; default HTTP

	Parallel int   // large requests at once; 0 finds out how many are of use, up to MaxLanes. Small ones go at four times that
	Most     int   // bounds what is found out; default MaxLanes
	Memory   int64 // bytes of buffers over all requests; default 64 MiB
	PartSize int64 // bytes; 0 is 16 MiB, or less where the link is slow or not known yet. It grows where a file would need more than MaxParts

	Checksum    transfer.Checksum
	SignPayload bool // over plain http: hash and sign the body (SHA-256) instead of leaving it to the checksum

	Patience      time.Duration // how long the store may be away; 0 is without end
	FirstPatience time.Duration // likewise before the first answer; default 1 min
	KeyPatience   time.Duration // how long a request waits for credentials that work; 0 is without end

	Event func(transfer.Event) // never blocks
	Stop  <-chan struct{}      // closed: no new request is begun
	Seed  func() float64       // jitter in [0,1); default math/rand/v2
}

// Store is a transfer.Store over S3.
type Store struct {
	o      Options
	client *s3.Client
	direct *direct // nil: PutObject goes by the client too
	lanes  *lanes
	health *health
	bufs   buffers
	clock  clock
	sum    atomic.Uint32 // the transfer.Checksum in use, stepped down where refused
	proven atomic.Bool   // the store has taken a checksum: later refusals are about something else

	verifies     atomic.Bool // an answer has named the checksum that was sent: the store compares it
	partVerifies atomic.Bool // likewise of a part: some stores compare those of whole objects alone

	noTrailers  atomic.Bool // a checksum behind the bytes was refused, or not looked at
	noListParts atomic.Bool // the role may not, so it is not asked again
	noAbort     atomic.Bool
	noDeleteAll atomic.Bool

	worked   keyOps                 // which key has succeeded at what
	admitted atomic.Pointer[string] // the key that was let in last, see admit
	lister   lister
}

var _ transfer.Store = (*Store)(nil)

// New returns a Store. It makes no request.
func New(o Options) *Store {
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.FirstPatience <= 0 {
		o.FirstPatience = time.Minute
	}
	stall := slowStall
	if o.SlowHTTP == nil {
		o.SlowHTTP, stall = o.HTTP, readStall
	}
	if o.Event == nil {
		o.Event = func(transfer.Event) {}
	}
	s := &Store{
		o:      o,
		health: newHealth(o.Patience, o.FirstPatience),
		lister: lister{turn: make(chan struct{}, 1)},
	}
	s.lanes = newLanes(o.Parallel, s.paced)
	s.lanes.bound(o.Most)
	s.bufs.share, s.bufs.most = share(o.Memory, o.Parallel)
	s.sum.Store(uint32(o.Checksum))
	s.o.HTTP, s.o.SlowHTTP = dated{bounded{o.HTTP, readStall}, s}, dated{bounded{o.SlowHTTP, stall}, s}
	opts := s.clientOptions()
	s.client, s.direct = s3.New(opts), newDirect(&s.o, opts)
	return s
}

// share is what one large request may buffer, and most what all may together; 0 is
// without bound. With a fixed number of lanes a share is the greatest power of
// two, as buffers are, that keeps all of them within memory. An automatic one is too
// many to share by: whoever finds nothing left does without, and half is for the
// connections, which each have buffers of their own.
func share(memory int64, parallel int) (share, most int64) {
	if parallel <= 0 {
		parallel, most = 8, max(memory/2, smallSize)
	}
	n := max(memory/int64(parallel), smallSize)
	return 1 << (bits.Len64(uint64(n)) - 1), most
}

func (s *Store) clientOptions() s3.Options {
	opts := s3.Options{
		Region:      s.o.Region,
		HTTPClient:  s.o.HTTP,
		Credentials: attemptCredentials{},
		// send owns attempts, backoff and the clock; see DESIGN in docs/architecture.md.
		Retryer:                                   aws.NopRetryer{},
		DisableClockSkewCorrection:                true,
		HTTPSignerV4:                              &signer{inner: v4.NewSigner(), skew: &s.clock.skew},
		RequestChecksumCalculation:                aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:                aws.ResponseChecksumValidationWhenRequired,
		DisableLogOutputChecksumValidationSkipped: true,
		DisableS3ExpressSessionAuth:               aws.Bool(true),
	}
	if s.o.Endpoint != "" {
		opts.BaseEndpoint = aws.String(s.o.Endpoint)
		opts.UsePathStyle = !IsAWS(s.o.Endpoint)
	}
	if s.Plain() && !s.o.SignPayload {
		opts.APIOptions = append(opts.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
	return opts
}

// Plain reports whether bodies travel over http, where nobody but a checksum
// watches over them.
func (s *Store) Plain() bool { return strings.HasPrefix(s.o.Endpoint, "http://") }

// Checksum is the algorithm in use; it may be weaker than the one asked for.
func (s *Store) Checksum() transfer.Checksum { return transfer.Checksum(s.sum.Load()) } //nolint:gosec // stored from a Checksum

// IsAWS reports whether an endpoint is one of AWS itself.
func IsAWS(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return strings.HasSuffix(h, ".amazonaws.com") || strings.HasSuffix(h, ".amazonaws.com.cn")
}

// Sizes of parts, in bytes, where none is configured: on a link that takes them in
// time, and of a file of several while nothing is known of the link. Larger ones
// cost hardly less, and these suit a slow link, too.
const (
	defaultPart = 16 << 20
	unknownPart = 8 << 20
)

// lanesInRoom is how many parts should go at once at least, each in time: where
// it is two, the link idles whenever one of them ends.
const lanesInRoom = 4

// PartSize is the size of every part but the last of an upload of size bytes that
// begins now: the configured one, or the next whole MiB that keeps below MaxParts.
func (s *Store) PartSize(size int64) int64 {
	const mib = 1 << 20
	p := s.o.PartSize
	if p <= 0 {
		p = defaultPart
		link := s.lanes.link()
		switch {
		case link > 0:
			p = min(p, int64(link*partTime.Seconds())/lanesInRoom/mib*mib)
		case size > defaultPart:
			p = unknownPart
		}
	}
	p = min(max(p, MinPartSize), MaxPartSize)
	if size/p < MaxParts { // manager grows it by itself from equality on
		return p
	}
	p = size/(MaxParts-1) + 1
	return min((p+mib-1)/mib*mib, MaxPartSize)
}

// Lanes is how many large requests may be made at once just now, as long as each
// ends in time.
func (s *Store) Lanes() int { return s.lanes.open() }

// paced tells that the number of lanes has settled, or why it was lowered.
func (s *Store) paced(lanes int, why error) {
	e := transfer.Event{Kind: transfer.Paced, Lanes: lanes, Err: why, Text: fmt.Sprintf("%d lanes are of use", lanes)}
	if why != nil {
		e.Text = fmt.Sprintf("down to %d lanes", lanes)
	}
	s.o.Event(e)
}
