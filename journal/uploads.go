package journal

import (
	"context"
	"slices"
	"strings"

	"agent/transfer"
)

// OpenUploads are the uploads that the journal in dir has begun and not ended,
// by key, without their parts. It changes nothing; a *BusyError where somebody
// holds the journal.
func OpenUploads(ctx context.Context, dir string) ([]transfer.Upload, error) {
	f, err := lockFile(ctx, dir, lockPoll, false)
	if err != nil {
		return nil, err
	}
	defer letGo(f)
	s, err := inspect(f, 0)
	if err != nil {
		return nil, named(dir, err)
	}
	ups := make([]transfer.Upload, 0, len(s.open))
	for key, u := range s.open {
		ups = append(ups, transfer.Upload{Key: key, ID: u.id})
	}
	slices.SortFunc(ups, func(a, b transfer.Upload) int { return strings.Compare(a.Key, b.Key) })
	return ups, nil
}
