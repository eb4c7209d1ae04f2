package transfer

import (
	"context"
	"errors"
)

// look looks at one object. The error is one that ends the work for all.
func (v *verifier) look(ctx context.Context, c Claim) (Finding, error) {
	f := Finding{Key: c.Key, Path: c.Path, Size: c.Size}
	if v.stopped() {
		return f, ErrStopped
	}
	st, err := v.store.Inspect(ctx, c.Key)
	if err != nil {
		return v.failed(ctx, f, err)
	}
	v.allowed.Store(true)
	if !listable(c.Key) {
		v.unlisted.Add(1)
	}
	if f.Stored = st.Size; st.Size != c.Size {
		f.Verdict = OtherSize
		return f, nil
	}
	if st.Size == 0 {
		f.Verdict, f.How = Same, "both are empty"
		return f, nil
	}
	select {
	case v.reading <- struct{}{}:
		defer func() { <-v.reading }()
	case <-ctx.Done():
		return f, context.Cause(ctx)
	}
	if c.Path == "" {
		return v.told(ctx, f, c, &st)
	}
	return v.file(ctx, f, c, &st)
}

// failed is the verdict where the object could not be looked at.
func (v *verifier) failed(ctx context.Context, f Finding, err error) (Finding, error) {
	switch {
	case Fatal(err), errors.Is(err, ErrStopped), ctx.Err() != nil:
		return f, err
	case errors.Is(err, ErrNotExist):
		f.Verdict = Missing
	case errors.Is(err, ErrDenied):
		if why := v.unlistable.Load(); why != nil && !v.allowed.Load() {
			return f, *why // nothing at all may be looked at
		}
		f.Verdict, f.How = Unverifiable, "these credentials may not look at it"
	default:
		f.Verdict, f.Err = Undecided, err
	}
	return f, nil
}

const noSum = "the store keeps no checksum that tells"

// file compares a local file.
func (v *verifier) file(ctx context.Context, f Finding, c Claim, st *Stored) (Finding, error) {
	file, err := v.o.Open(c.Path)
	if err != nil {
		f.Verdict, f.Err = Undecided, &Error{Op: "open", Key: c.Key, Path: c.Path, Err: plain(err)}
		return f, nil
	}
	defer file.Close()
	was, err := file.Stat()
	if err != nil {
		f.Verdict, f.Err = Undecided, &Error{Op: "open", Key: c.Key, Path: c.Path, Err: plain(err)}
		return f, nil
	}
	if f.Size = was.Size; was.Size != st.Size {
		f.Verdict = OtherSize
		return f, nil
	}
	f.Verdict, f.How = Unverifiable, noSum
	ways := recipes(st)
	if len(ways) > 0 {
		var same bool
		if f.How, same, err = match(ctx, file, was.Size, ways, v.stopped); err == nil {
			err = unchanged(file, was)
		}
		switch {
		case errors.Is(err, ErrStopped):
			return f, err
		case err != nil:
			f.Verdict, f.How, f.Err = Undecided, "", &Error{Op: "read", Key: c.Key, Path: c.Path, Err: err}
			return f, nil
		case same:
			f.Verdict = Same
			return f, nil
		case ways[0].sure:
			f.Verdict = OtherContent
			return f, nil
		}
		f.How = "it was stored in parts whose size is not known"
	}
	if !v.o.Download {
		return f, nil
	}
	stored, err := v.download(ctx, c.Key, st)
	if err != nil {
		return v.failed(ctx, f, err)
	}
	way := recipe{how: "download", sum: algorithms["crc64nvme"], want: stored.sum(), sure: true}
	return v.verdict(ctx, f, file, was, way)
}

// verdict compares a file in one sure way.
func (v *verifier) verdict(ctx context.Context, f Finding, file File, was Stat, way recipe) (Finding, error) {
	how, same, err := match(ctx, file, was.Size, []recipe{way}, v.stopped)
	if err == nil {
		err = unchanged(file, was)
	}
	f.Verdict, f.How = OtherContent, how
	switch {
	case errors.Is(err, ErrStopped):
		return f, err
	case err != nil:
		f.Verdict, f.How, f.Err = Undecided, "", &Error{Op: "read", Key: f.Key, Path: f.Path, Err: err}
	case same:
		f.Verdict = Same
	}
	return f, nil
}

// download sums the bytes of an object.
func (v *verifier) download(ctx context.Context, key string, st *Stored) (*summer, error) {
	s := newSummer(recipe{sum: algorithms["crc64nvme"]})
	return s, v.store.GetWhole(ctx, key, st.ETag, st.Size, s.one)
}

// told compares what an earlier record says.
func (v *verifier) told(ctx context.Context, f Finding, c Claim, st *Stored) (Finding, error) {
	want := recipe{want: hexOf(c.CRC64)}
	for _, r := range recipes(st) {
		if r.how == "crc64nvme" && c.HasCRC64 {
			f.How, f.Verdict = r.how, OtherContent
			if r.want == want.want {
				f.Verdict = Same
			}
			return f, nil
		}
	}
	switch {
	case c.ETag != "" && sameETag(c.ETag, st.ETag):
		f.Verdict, f.How = Same, "etag"
	case v.o.Download && c.HasCRC64:
		stored, err := v.download(ctx, c.Key, st)
		if err != nil {
			return v.failed(ctx, f, err)
		}
		f.Verdict, f.How = OtherContent, "download"
		if stored.sum() == want.want {
			f.Verdict = Same
		}
	case !st.Opaque && isMD5(st.ETag) && isMD5(c.ETag):
		f.Verdict, f.How = OtherContent, "etag"
	default:
		f.Verdict, f.How = Unverifiable, noSum
	}
	return f, nil
}
