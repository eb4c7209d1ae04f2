package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/transfer"
	"agent/transfer/s3store"
)

// rmOptions are the flags of rm.
type rmOptions struct {
	remote                 remoteOptions
	recursive, yes, dryRun bool
	whole, job             string
}

func (o *rmOptions) addFlags(cmd *cobra.Command) {
	o.remote.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.recursive, "recursive", "r", false, "delete everything below DEST")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would be deleted; delete nothing")
	f.StringVar(&o.whole, "whole", "", "say that the whole workspace or bucket of this `name` is meant, where nobody can be asked")
	f.StringVar(&o.job, "job", "", "undo the job of this `ID`: delete what it stored, as far as it is still the same")
}

func rmCommand(name string, s std) *cobra.Command {
	var o rmOptions
	cmd := &cobra.Command{
		Use:   "rm DEST | rm --job ID",
		Short: "Delete objects",
		Long: `Deletes the object DEST, or with -r also everything below DEST/. It counts first,
shows how much that is, and asks; without a terminal it wants --yes. Objects that
came or changed after the count are left alone.

With --job it undoes an upload: the objects that still have the size and ETag
that the job's journal noted are deleted, those that were replaced since stay.
The job forgets what is deleted, so that the same upload sends it again.

A whole workspace or bucket is only deleted when its name is typed, or given
with --whole. Versioned buckets keep what is deleted as an older version.

Ends with 1 if nothing is stored at DEST, if something could not be deleted, or
if the answer was no.`,
		Example: fmt.Sprintf(`  %[1]s rm my-workspace/scenes/old.tif
  %[1]s rm -r --dry-run my-workspace/dataset
  %[1]s rm -r --yes my-workspace/dataset
  %[1]s rm --job 6kuwv2vfyc`, name),
		RunE: func(cmd *cobra.Command, args []string) error { return runRm(cmd.Context(), name, args, o, s) },
	}
	o.addFlags(cmd)
	return cmd
}

func runRm(ctx context.Context, name string, args []string, o rmOptions, s std) error {
	switch {
	case o.job != "" && len(args) > 0:
		return &dest.Mistake{Msg: "--job names what is to be deleted, and so does " + args[0], Hint: "leave one of them out"}
	case o.job != "":
		return undoJob(ctx, name, o, s)
	case len(args) != 1:
		return &dest.Mistake{Msg: "name one object or prefix to delete", Hint: fmt.Sprintf("write: %s rm workspace/path, with -r for all below it", name)}
	}
	c, err := connect(ctx, o.remote.connection, args[0], 32)
	if err != nil {
		return err
	}
	if c.dest.Dir && !o.recursive {
		return &dest.Mistake{Msg: fmt.Sprintf("%s is no single object", c.dest), Hint: "add -r to delete everything below it"}
	}
	r, ctx := openRemote(ctx, name, o.remote, s, c, c.dest.Prefix, 8)
	defer r.close()
	return r.ended((&remover{remote: r, o: o, what: c.dest.String()}).run(ctx))
}

// remover deletes objects that it counted before.
type remover struct {
	*remote
	o    rmOptions
	what string // for people
	// pick yields what is to be deleted; it is called for the count and again
	// for the deletion.
	pick func(ctx context.Context) iter.Seq2[transfer.Object, error]
	gone func(keys []string) error // is told of what was deleted; nil for nobody

	objects int
	bytes   int64
	newest  time.Time

	deleted, failed, left int
	freed                 int64
}

// run deletes what c.dest says.
func (r *remover) run(ctx context.Context) error {
	r.pick = r.at
	if err := r.count(ctx); err != nil {
		return err
	}
	if r.objects == 0 {
		return r.nothing(ctx)
	}
	if done, err := r.agree(ctx); done || err != nil {
		return err
	}
	r.distrust(ctx, r.dest.Prefix, "", func(string, ...any) {}) // who is killed meanwhile can tell nobody
	err := r.remove(ctx)
	r.distrust(context.WithoutCancel(ctx), r.dest.Prefix, "", r.say)
	if err == nil && r.o.recursive && r.failed == 0 {
		err = r.lookAgain(ctx)
	}
	return r.report(err)
}

// at yields the object DEST and, with -r, what is below it.
func (r *remover) at(ctx context.Context) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		if !r.dest.Dir {
			obj, err := r.store.Lookup(ctx, r.dest.Prefix)
			if !errors.Is(err, transfer.ErrNotExist) && (!yield(obj, err) || err != nil) {
				return
			}
		}
		if !r.o.recursive {
			return
		}
		for obj, err := range r.store.ListAny(ctx, r.dest.Under()) {
			if !yield(obj, err) {
				return
			}
		}
	}
}

// nothing says that there is nothing at DEST, or only something below.
func (r *remover) nothing(ctx context.Context) error {
	if !r.o.recursive {
		for _, err := range r.store.ListAny(ctx, r.dest.Under()) {
			if err != nil {
				return err
			}
			return &dest.Mistake{Msg: fmt.Sprintf("%s is no single object", r.dest), Hint: "add -r to delete everything below it"}
		}
	}
	r.say("%s: nothing is stored at %s", r.name, r.what)
	return &shownError{exitFailures}
}

// count counts what is to be deleted, and prints it in a dry run.
func (r *remover) count(ctx context.Context) error {
	for obj, err := range r.pick(ctx) {
		if err != nil {
			return err
		}
		r.objects++
		r.bytes += obj.Size
		if obj.Modified.After(r.newest) {
			r.newest = obj.Modified
		}
		if r.o.dryRun {
			fmt.Fprintf(r.std.out, "delete %10s  %s\n", show.Bytes(obj.Size), show.Clean(obj.Key))
		}
	}
	return nil
}

func (r *remover) amount() string {
	return fmt.Sprintf("%s, %s", objects(r.objects), show.Bytes(r.bytes))
}

// agree shows how much it is and has it confirmed. done: nothing more is to do.
func (r *remover) agree(ctx context.Context) (done bool, _ error) {
	r.say("%s: %s", r.what, r.amount())
	if r.o.dryRun {
		return true, nil
	}
	term := r.std.asker()
	if name, whole := r.whole(); whole && r.o.job == "" { // a job's is what it stored, not what else is there
		switch {
		case r.o.yes && r.o.whole == name:
			return false, nil
		case term == nil:
			return true, &dest.Mistake{Msg: fmt.Sprintf("that is all of %s: nothing was deleted", name), Hint: "if that is meant, add --yes --whole " + name}
		}
		return r.ask(ctx, term, fmt.Sprintf("That is ALL of %s. To delete it, type its name: ", name), name)
	}
	switch {
	case r.o.yes:
		return false, nil
	case term == nil:
		return true, &dest.Mistake{Msg: "there is no terminal to ask on: nothing was deleted", Hint: "add --yes to delete without being asked"}
	}
	return r.ask(ctx, term, "Delete them? [y/N] ", "y", "yes")
}

// ask has one question answered. done: the answer was no.
func (r *remover) ask(ctx context.Context, term *prompt.Terminal, question string, yes ...string) (done bool, _ error) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-r.stopper.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer, err := term.Line(ctx, question)
	cancel()
	<-over
	if err != nil && !errors.Is(err, prompt.ErrNoInput) {
		return true, err
	}
	for _, y := range yes {
		if strings.EqualFold(strings.TrimSpace(answer), y) {
			return false, nil
		}
	}
	r.say("nothing was deleted")
	return true, &shownError{exitFailures}
}

// remove deletes what pick yields, and nothing that was not there at the count:
// times are the store's.
func (r *remover) remove(ctx context.Context) error {
	batch := make([]transfer.Object, 0, s3store.MaxDelete)
	for obj, err := range r.pick(ctx) {
		if err != nil {
			return errors.Join(err, r.flush(ctx, batch))
		}
		if obj.Modified.After(r.newest) {
			r.left++
			continue
		}
		if batch = append(batch, obj); len(batch) == cap(batch) {
			if err := r.flush(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return r.flush(ctx, batch)
}

// shownFailed is how many failures are shown one by one.
const shownFailed = 20

func (r *remover) flush(ctx context.Context, batch []transfer.Object) error {
	if len(batch) == 0 {
		return nil
	}
	keys := make([]string, len(batch))
	for i, obj := range batch {
		keys[i] = obj.Key
	}
	failed, err := r.store.DeleteAll(ctx, keys)
	if err != nil {
		return err
	}
	gone := keys[:0]
	for _, obj := range batch {
		why, ok := failed[obj.Key]
		if !ok {
			gone = append(gone, obj.Key)
			r.deleted++
			r.freed += obj.Size
			continue
		}
		if r.failed++; r.failed <= shownFailed {
			what, _ := explainItem(why)
			r.say("failed: %s: %s", obj.Key, what)
		}
	}
	if r.gone == nil {
		return nil
	}
	return r.gone(gone)
}

// lookAgain tells of what is still there: a store whose listing can't tell a
// name as it is has been asked to delete another.
func (r *remover) lookAgain(ctx context.Context) error {
	n, one := 0, ""
	for obj, err := range r.pick(ctx) {
		if err != nil {
			return err
		}
		if !obj.Modified.After(r.newest) {
			n, one = n+1, obj.Key
		}
	}
	if n > 0 {
		r.failed += n
		r.deleted = max(0, r.deleted-n)
		r.say("failed: %s still listed, such as %s: the store's listing does not tell their names as they are", objects(n), one)
	}
	return nil
}

// report says what was done, also where err ended it.
func (r *remover) report(err error) error {
	r.say("deleted %s, %s", objects(r.deleted), show.Bytes(r.freed))
	if r.left > 0 {
		r.say("left %s that came or changed meanwhile", objects(r.left))
	}
	if err != nil {
		return err
	}
	if r.failed > 0 {
		r.say("%s: %s could not be deleted", r.name, objects(r.failed))
		return &shownError{exitFailures}
	}
	return nil
}
