package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"agent/cmd/internal/show"
	"agent/transfer"
	"agent/transfer/s3store"
)

// ownKey tells the keys of bench below DEST: nothing else is ever deleted.
var ownKey = regexp.MustCompile(`^` + regexp.QuoteMeta(benchMark) + `[a-z2-7]{8}/(` + benchParts + `|` + benchSmalls + `)-\d{3}$`)

// leftovers are the objects of earlier runs below DEST, by their keys, that were
// killed or still go on. Where nothing may be listed there are none to be told of.
func (b *benching) leftovers(ctx context.Context) (map[string]transfer.Object, error) {
	found, err := b.listOwn(ctx, b.store)
	if errors.Is(err, transfer.ErrDenied) {
		return nil, nil
	}
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var bytes int64
	for _, obj := range found {
		bytes += obj.Size
	}
	b.say("note: an earlier run has left %s, %s here: they are removed at the end, unless somebody still writes them", objects(len(found)), show.Bytes(bytes))
	return found, nil
}

// listOwn lists what runs of bench have stored below DEST. The mark is part of
// the prefix, so that nothing else is listed, however much there is.
func (b *benching) listOwn(ctx context.Context, store *s3store.Store) (map[string]transfer.Object, error) {
	found := map[string]transfer.Object{}
	for obj, err := range store.ListAny(ctx, b.under+benchMark) {
		if err != nil {
			return found, err
		}
		if ownKey.MatchString(strings.TrimPrefix(obj.Key, b.under)) {
			found[obj.Key] = obj
		}
	}
	return found, nil
}

// cleanAgain is how long the cleaning waits for what has failed already: the
// store, or credentials.
const cleanAgain = 2 * time.Second

// clean removes what this run has stored, and what earlier runs have left that
// nobody wrote to since. why is what ended the measurement. It goes on after the
// signal that ended that, not after another, and says what stays behind.
func (b *benching) clean(why error, earlier map[string]transfer.Object) error {
	if len(b.objects.keys())+len(earlier) == 0 {
		return nil
	}
	o := b.options(b.o.remote, b.prefix, benchMaxLanes)
	o.Stop = b.stopper.stop
	if b.stopper.code() != 0 {
		o.Stop = b.stopper.again
	}
	if why != nil {
		o.Patience, o.FirstPatience, o.KeyPatience = cleanAgain, cleanAgain, cleanAgain
	}
	ctx, cancel := untilClosed(context.Background(), o.Stop)
	defer cancel()
	c := cleaning{b: b, store: s3store.New(o), earlier: earlier}
	left, err := c.run(ctx)
	if left > 0 {
		c.report(left, err)
		return errLeftBehind
	}
	return err
}

var errLeftBehind = errors.New("something is left behind")

// cleaning removes objects of bench.
type cleaning struct {
	b       *benching
	store   *s3store.Store
	earlier map[string]transfer.Object
	old     int // how many of them were removed
}

// run removes everything, and returns how much may be left.
func (c *cleaning) run(ctx context.Context) (left int, err error) {
	keys, err := c.remove(ctx, c.b.objects.keys())
	// A request that was cut short may have been served all the same, and later
	// than the deletion: what is listed now is removed, too.
	for range 2 {
		if err != nil {
			break
		}
		var found map[string]transfer.Object
		if found, err = c.b.listOwn(ctx, c.store); err != nil {
			if errors.Is(err, transfer.ErrDenied) {
				err = nil // the known keys are all there is
			}
			break
		}
		if keys = c.pick(found); len(keys) == 0 {
			break
		}
		keys, err = c.remove(ctx, keys)
	}
	if c.old > 0 {
		c.b.say("removed %s of an earlier run", objects(c.old))
	}
	return len(keys), err
}

// pick are the keys to delete: this run's, and earlier ones that are as they were
// at its beginning.
func (c *cleaning) pick(found map[string]transfer.Object) []string {
	var keys []string
	for key, obj := range found {
		was, known := c.earlier[key]
		if strings.HasPrefix(key, c.b.prefix) || known && was.ETag == obj.ETag && was.Modified.Equal(obj.Modified) {
			keys = append(keys, key)
		}
	}
	return keys
}

// remove deletes keys, and returns those that may still be there.
func (c *cleaning) remove(ctx context.Context, keys []string) (left []string, _ error) {
	for len(keys) > 0 {
		batch := keys[:min(len(keys), s3store.MaxDelete)]
		failed, err := c.store.DeleteAll(ctx, batch)
		if err != nil {
			return append(left, keys...), err
		}
		for _, key := range batch {
			if failed[key] != nil {
				left = append(left, key)
			} else if _, earlier := c.earlier[key]; earlier {
				c.old++
			}
		}
		keys = keys[len(batch):]
	}
	return left, nil
}

// report says what stays behind, and how to get rid of it.
func (c *cleaning) report(left int, err error) {
	b := c.b
	why := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text, _ := explain(b.withoutOwnKey(err))
		why = ": " + text
	}
	b.say("%s: up to %s left behind at %s%s", b.name, objects(left), b.print.at, why)
	b.say("  remove them: %s rm -r --yes %s; the next bench there does, too", b.name, shellWord(b.print.at))
}
