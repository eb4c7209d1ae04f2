package transfer

import (
	"context"
	"errors"
	"iter"
	"strings"
)

// errListedDir is a listed name that is no object, but has objects below it.
var errListedDir = errors.New("directory in a list of files")

// onlyThese yields the objects whose keys are prefix and one of names, in key
// order, without listing all that lies between them. A name that is no object
// comes as its key with an error; one without a key is the listing's.
func onlyThese(ctx context.Context, from Origin, prefix string, names *Names) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		c := objectCursor{ctx: ctx, from: from, prefix: prefix}
		defer c.close()
		for i := range names.Len() {
			key := prefix + names.at(i)
			obj, found, err := c.find(key)
			if err == nil && !found {
				err = c.missing(key)
			}
			switch {
			case errors.Is(err, errListedDir), errors.Is(err, ErrNotExist):
				obj = Object{Key: key}
			case err != nil:
				yield(Object{}, err)
				return
			}
			if !yield(obj, err) {
				return
			}
		}
	}
}

// objectCursor finds keys in a listing, in their order.
type objectCursor struct {
	ctx    context.Context // of one listing, which is one call
	from   Origin
	prefix string
	next   func() (Object, error, bool)
	stop   func()
	head   Object
	have   bool
	end    bool
}

func (c *objectCursor) close() {
	if c.stop != nil {
		c.stop()
	}
}

// open begins the listing close before key.
func (c *objectCursor) open(key string) {
	c.close()
	c.next, c.stop = iter.Pull2(c.from.List(c.ctx, c.prefix, strings.ToValidUTF8(key[:len(key)-1], "")))
}

// find returns the object of this key, if there is one.
func (c *objectCursor) find(key string) (Object, bool, error) {
	if c.next == nil {
		c.open(key)
	}
	for passed := 0; ; passed++ {
		if c.have && c.head.Key >= key {
			return c.head, c.head.Key == key, nil
		}
		if c.end {
			return Object{}, false, nil
		}
		if passed == leap {
			c.open(key)
		}
		obj, err, ok := c.next()
		if err != nil {
			return Object{}, false, err
		}
		c.head, c.have, c.end = obj, ok, !ok
	}
}

// missing says what is wrong with a key that is no object.
func (c *objectCursor) missing(key string) error {
	for _, err := range c.from.List(c.ctx, key+"/", "") {
		if err == nil {
			err = errListedDir
		}
		return err
	}
	return &Error{Op: "list", Key: key, Err: ErrNotExist}
}
